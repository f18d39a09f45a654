// One batch of settled calls as rows of the hot tables: records, new dimensions and rollups.
import { CallIds } from '../base/id.ts'
import type { HotRow } from './store.ts'
import { Dimensions, type Dimension, type DimensionKind } from './dimensions.ts'
import { latencyBoundsUs, latencyBucket, rollupMs, type Client, type UsageRecord } from './record.ts'
import { hourSpan, startOf } from './cubes.ts'
import { dimensionTable, recordTable, rollupTable, staleTable } from './tables.ts'

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

/** The text of a client, made once for the object that all calls of a session share. */
const clientTexts = new WeakMap<Client, string>()

/** Turns records into rows; the rollup rows are summed within the batch, so that each is touched once. */
export function usageRows(
  calls: readonly { readonly record: UsageRecord }[],
  dimensions: Dimensions,
): HotRow[] {
  const batch = new UsageBatch(dimensions)
  for (const { record } of calls) batch.add(record)
  return batch.finish()
}

class UsageBatch {
  readonly #rows: HotRow[] = []
  readonly #rollups = new Map<string, Rollup>()
  /** Neighbours in a batch mostly belong to the same rollup. */
  #last: Rollup | undefined
  readonly #dimensions: Dimensions
  readonly #onNew = ({ id, kind, value }: Dimension): void => {
    this.#rows.push({ table: dimensionTable, values: [id, kind, value] })
  }

  constructor(dimensions: Dimensions) {
    this.#dimensions = dimensions
  }

  add(record: UsageRecord): void {
    const account = this.#id('account', record.accountId)
    const caller = this.#id('caller', record.userId)
    const key = this.#idOrNull('api_key', record.keyId)
    const server = this.#id('server', record.serverId + partSeparator + record.server)
    const method = this.#id('method', record.method)
    const tool = this.#idOrNull('tool', record.tool)
    const outcome = this.#id('outcome', record.outcome)
    const currency = this.#id('currency', record.currency)
    this.#rows.push({
      table: recordTable,
      values: [
        record.id,
        account,
        caller,
        key,
        this.#idOrNull('session', record.sessionId),
        server,
        method,
        tool,
        this.#id('client', clientText(record.client)),
        this.#id('route', routeText(record)),
        outcome,
        record.statusCode,
        record.requestBytes,
        record.responseBytes,
        record.durationUs,
        record.cost,
        currency,
        this.#idOrNull('rule', record.ruleId),
        record.ruleVersion ?? null,
        record.error ?? null,
        record.idempotencyKey ?? null,
        record.tokens ?? null,
        record.upstreamCost ?? null,
        countedBefore(record),
      ],
    })
    const bucket = Math.floor(CallIds.timeMs(record.id) / rollupMs)
    addTo(
      this.#rollup([bucket, account, caller, key ?? 0, server, method, tool ?? 0, outcome, currency]),
      record,
    )
  }

  finish(): HotRow[] {
    const hours = new Set<number>()
    for (const {
      key,
      calls,
      unpriced,
      cost,
      requestBytes,
      responseBytes,
      durationUs,
      latency,
    } of this.#rollups.values()) {
      const values = [...key, calls, unpriced, cost, requestBytes, responseBytes, durationUs, ...latency]
      this.#rows.push({ table: rollupTable, values })
      hours.add(startOf(key[0] ?? 0, hourSpan))
    }
    for (const hour of hours) this.#rows.push({ table: staleTable, values: [hourSpan, hour, 1] })
    return this.#rows
  }

  #id(kind: DimensionKind, value: string): number {
    return this.#dimensions.idOf(kind, value, this.#onNew)
  }

  #idOrNull(kind: DimensionKind, value: string | undefined): number | null {
    return value === undefined ? null : this.#id(kind, value)
  }

  #rollup(key: readonly number[]): Rollup {
    if (this.#last?.key.every((part, index) => part === key[index])) return this.#last
    const name = key.join(' ')
    let rollup = this.#rollups.get(name)
    if (!rollup) {
      const latency = Array.from({ length: latencyBoundsUs.length + 1 }, () => 0)
      rollup = {
        key,
        calls: 0,
        unpriced: 0,
        cost: 0n,
        requestBytes: 0,
        responseBytes: 0,
        durationUs: 0,
        latency,
      }
      this.#rollups.set(name, rollup)
    }
    this.#last = rollup
    return rollup
  }
}

function addTo(rollup: Rollup, record: UsageRecord): void {
  const bucket = latencyBucket(record.durationUs)
  rollup.calls += 1
  rollup.unpriced += record.priced ? 0 : 1
  rollup.cost += record.cost
  rollup.requestBytes += record.requestBytes
  rollup.responseBytes += record.responseBytes
  rollup.durationUs += record.durationUs
  rollup.latency[bucket] = (rollup.latency[bucket] ?? 0) + 1
}

/** Below zero at the first call of a period; nothing where nothing is counted. */
const countedBefore = ({ counted }: UsageRecord): bigint | null => (counted ? (counted.before ?? -1n) : null)

function clientText(client: Client): string {
  let text = clientTexts.get(client)
  if (text === undefined) {
    text = [client.ip, client.userAgent, client.info ?? ''].join(partSeparator)
    clientTexts.set(client, text)
  }
  return text
}

const routeText = ({ transport, upstreamTransport, era, upstreamEra }: UsageRecord): string =>
  `${transport}${partSeparator}${upstreamTransport}${partSeparator}${era}${partSeparator}${upstreamEra}`
