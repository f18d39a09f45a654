// One batch of settled calls as rows of the hot tables: records, new dimensions and rollups.
import { CallIds } from '../base/id.ts'
import type { HotRow } from './store.ts'
import { Dimensions, type Dimension, type DimensionKind } from './dimensions.ts'
import { latencyBoundsUs, latencyBucket, rollupMs, type UsageRecord } from './record.ts'
import { dimensionTable, recordTable, rollupTable } from './tables.ts'

/** Separates the parts of a compound dimension; cannot occur in an address, a version or a printable name. */
export const partSeparator = '\u001f'

interface Rollup {
  readonly key: readonly number[]
  calls: number
  unpriced: number
  cost: bigint
  requestBytes: number
  responseBytes: number
  durationUs: number
  readonly latency: number[]
}

/** Turns records into rows; the rollup rows are summed within the batch, so that each is touched once. */
export function usageRows(records: readonly UsageRecord[], dimensions: Dimensions): HotRow[] {
  const rows: HotRow[] = []
  const rollups = new Map<string, Rollup>()
  const onNew = ({ id, kind, value }: Dimension) =>
    rows.push({ table: dimensionTable, values: [id, kind, value] })
  const idOf = (kind: DimensionKind, value: string) => dimensions.idOf(kind, value, onNew)
  const idOrNull = (kind: DimensionKind, value: string | undefined) =>
    value === undefined ? null : idOf(kind, value)
  for (const record of records) {
    const account = idOf('account', record.accountId)
    const caller = idOf('caller', record.userId)
    const key = idOrNull('api_key', record.keyId)
    const server = idOf('server', record.serverId + partSeparator + record.server)
    const method = idOf('method', record.method)
    const tool = idOrNull('tool', record.tool)
    const outcome = idOf('outcome', record.outcome)
    const currency = idOf('currency', record.currency)
    rows.push({
      table: recordTable,
      values: [
        record.id,
        account,
        caller,
        key,
        idOrNull('session', record.sessionId),
        server,
        method,
        tool,
        idOf(
          'client',
          [record.client.ip, record.client.userAgent, record.client.info ?? ''].join(partSeparator),
        ),
        idOf(
          'route',
          [record.transport, record.upstreamTransport, record.era, record.upstreamEra].join(partSeparator),
        ),
        outcome,
        record.statusCode,
        record.requestBytes,
        record.responseBytes,
        record.durationUs,
        record.cost,
        currency,
        idOrNull('rule', record.ruleId),
        record.ruleVersion ?? null,
        record.error ?? null,
        record.idempotencyKey ?? null,
      ],
    })
    const bucket = Math.floor(CallIds.timeMs(record.id) / rollupMs)
    addToRollup(
      rollups,
      [bucket, account, caller, key ?? 0, server, method, tool ?? 0, outcome, currency],
      record,
    )
  }
  for (const sum of rollups.values()) {
    const { key, calls, unpriced, cost, requestBytes, responseBytes, durationUs, latency } = sum
    const values = [...key, calls, unpriced, cost, requestBytes, responseBytes, durationUs, ...latency]
    rows.push({ table: rollupTable, values })
  }
  return rows
}

function addToRollup(rollups: Map<string, Rollup>, key: readonly number[], record: UsageRecord): void {
  const name = key.join(' ')
  let sum = rollups.get(name)
  if (!sum) {
    const latency = Array.from({ length: latencyBoundsUs.length + 1 }, () => 0)
    sum = { key, calls: 0, unpriced: 0, cost: 0n, requestBytes: 0, responseBytes: 0, durationUs: 0, latency }
    rollups.set(name, sum)
  }
  const bucket = latencyBucket(record.durationUs)
  sum.calls += 1
  sum.unpriced += record.priced ? 0 : 1
  sum.cost += record.cost
  sum.requestBytes += record.requestBytes
  sum.responseBytes += record.responseBytes
  sum.durationUs += record.durationUs
  sum.latency[bucket] = (sum.latency[bucket] ?? 0) + 1
}
