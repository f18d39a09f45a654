// A stored row as a usage record again: integers back into texts, compound dimensions back into their parts.
import { assert } from '../base/errors.ts'
import type { Outcome } from '../pricing/price.ts'
import { partSeparator } from './batch.ts'
import { serverParts } from './filter.ts'
import type { RecordRow } from './query-store.ts'
import type { UsageRecord } from './record.ts'

/** `texts` must hold the text of every dimension of the row. */
export function toRecord(row: RecordRow, texts: ReadonlyMap<bigint, string>): UsageRecord {
  const text = (id: bigint): string => {
    const found = texts.get(id)
    assert(found !== undefined, 'every dimension of a record is stored')
    return found
  }
  const [ip = '', userAgent = '', ...info] = text(row.client).split(partSeparator)
  const [transport, upstreamTransport, era, upstreamEra] = text(row.route).split(partSeparator)
  return {
    id: row.id,
    userId: text(row.caller),
    accountId: text(row.account),
    ...(row.api_key !== null && { keyId: text(row.api_key) }),
    ...(row.session !== null && { sessionId: text(row.session) }),
    ...serverParts(text(row.server)),
    method: text(row.method),
    ...(row.tool !== null && { tool: text(row.tool) }),
    transport: transport as UsageRecord['transport'],
    upstreamTransport: upstreamTransport as UsageRecord['upstreamTransport'],
    era: era as UsageRecord['era'],
    upstreamEra: upstreamEra as UsageRecord['upstreamEra'],
    outcome: text(row.outcome) as Outcome,
    statusCode: Number(row.status),
    requestBytes: Number(row.request_bytes),
    responseBytes: Number(row.response_bytes),
    durationUs: Number(row.duration_us),
    cost: row.cost,
    currency: text(row.currency),
    ...(row.rule !== null && { ruleId: text(row.rule) }),
    ...(row.rule_version !== null && { ruleVersion: Number(row.rule_version) }),
    priced: row.rule !== null,
    ...(row.error !== null && { error: row.error }),
    client: { ip, userAgent, ...(info.join(partSeparator) !== '' && { info: info.join(partSeparator) }) },
    ...(row.idempotency_key !== null && { idempotencyKey: row.idempotency_key }),
    ...(row.tokens !== null && { tokens: Number(row.tokens) }),
    ...(row.upstream_cost !== null && { upstreamCost: row.upstream_cost }),
    ...(row.counted_before !== null && { counted: countedOf(row.counted_before) }),
  }
}

/** What `counted_before` holds: a number below zero at the first call of a period. */
const countedOf = (before: bigint): { before?: bigint } => (before < 0n ? {} : { before })
