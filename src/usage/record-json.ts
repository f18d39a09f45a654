// A usage record as others get it: the JSON of the API, of exports and of webhooks, alone or as a CloudEvent.
import { CallIds, formatCallId } from '../base/id.ts'
import { formatAmount } from '../base/money.ts'
import type { UsageRecord } from './record.ts'

/** Ids and times as text, amounts as decimal strings. */
export function recordJson(record: UsageRecord) {
  const { id, durationUs, cost, client, upstreamCost, counted, ...rest } = record
  return {
    ...rest,
    id: formatCallId(id),
    time: new Date(CallIds.timeMs(id)).toISOString(),
    durationMs: durationUs / 1000,
    cost: formatAmount(cost),
    clientIp: client.ip,
    userAgent: client.userAgent,
    ...(upstreamCost !== undefined && { upstreamCost: formatAmount(upstreamCost) }),
    ...(counted && { counted: counted.before === undefined ? {} : { before: counted.before.toString() } }),
    ...(client.info !== undefined && { clientInfo: client.info }),
  }
}

/** CloudEvents 1.0: `source` and `id` together name the call for ever. */
export const callCloudEvent = (record: UsageRecord, source: string) => ({
  specversion: '1.0',
  id: formatCallId(record.id),
  source,
  type: 'tollbridge.call.settled',
  subject: record.accountId,
  time: new Date(CallIds.timeMs(record.id)).toISOString(),
  datacontenttype: 'application/json',
  data: recordJson(record),
})
