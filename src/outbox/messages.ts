// Events as the bodies that each format has, and the headers that go with a body when it is sent.
import { CallIds, derivedId, formatCallId } from '../base/id.ts'
import { formatAmount } from '../base/money.ts'
import { callCloudEvent, recordJson } from '../usage/record-json.ts'
import type { UsageRecord } from '../usage/record.ts'
import type { OutboxEvent } from './event.ts'
import { signatureOf } from './signature.ts'
import type { NewDelivery, StripeMeter, Webhook } from './webhook.ts'

/** The id of a call's event follows from its record: whoever makes it again makes the same. */
const callEventId = ({ id }: UsageRecord): string =>
  derivedId('evt', CallIds.timeMs(id), `call.settled:${formatCallId(id)}`)

const isoTime = (ms: number): string => new Date(ms).toISOString()

/** Deliveries of calls, in batches where the webhook has them. `source` is the gateway's URL. */
export function callDeliveries(
  webhook: Webhook,
  records: readonly UsageRecord[],
  source: string,
): NewDelivery[] {
  const { format, batch } = webhook
  if (format === 'stripe-meter') return records.flatMap((record) => meterDelivery(webhook, record))
  const size = batch?.maxEvents ?? 1
  const deliveries: NewDelivery[] = []
  for (let start = 0; start < records.length; start += size) {
    const part = records.slice(start, start + size)
    const [first] = part
    if (!first) break
    const createdAtMs = Math.min(...part.map(({ id }) => CallIds.timeMs(id)))
    const shared = { kind: 'call.settled', events: part.length, createdAtMs } as const
    const id = batch ? batchId(webhook, part) : callEventId(first)
    const body =
      format === 'cloudevents'
        ? JSON.stringify(part.map((record) => callCloudEvent(record, source)))
        : JSON.stringify(batch ? standardBatch(part) : standardCall(first))
    deliveries.push({ ...shared, id, body })
  }
  return deliveries
}

/** Follows from what is in it; it is stored with it, so that a crash does not cut the same calls otherwise. */
const batchId = ({ id }: Webhook, records: readonly UsageRecord[]): string => {
  const [first] = records
  const seed = [id, ...records.map((record) => formatCallId(record.id))].join(' ')
  return derivedId('evt', CallIds.timeMs(first?.id ?? 0n), seed)
}

const standardCall = (record: UsageRecord) => ({
  type: 'call.settled',
  id: callEventId(record),
  timestamp: isoTime(CallIds.timeMs(record.id)),
  data: recordJson(record),
})

const standardBatch = (records: readonly UsageRecord[]) => ({
  type: 'batch',
  timestamp: isoTime(CallIds.timeMs(records[0]?.id ?? 0n)),
  data: { events: records.map(standardCall) },
})

/** An event of a budget or an invoice; none where the format has no place for it. */
export function eventDelivery(webhook: Webhook, event: OutboxEvent, source: string): NewDelivery | undefined {
  const { id, kind, accountId, body, atMs } = event
  const owner = accountId !== undefined && { accountId }
  const shared = { id, kind, events: 1, createdAtMs: atMs }
  if (webhook.format === 'stripe-meter') return undefined
  if (webhook.format === 'standard') {
    const message = { type: kind, id, timestamp: isoTime(atMs), data: { ...owner, ...body } }
    return { ...shared, body: JSON.stringify(message) }
  }
  const cloudEvent = {
    specversion: '1.0',
    id,
    source,
    type: `tollbridge.${kind}`,
    ...(accountId !== undefined && { subject: accountId }),
    time: isoTime(atMs),
    datacontenttype: 'application/json',
    data: body,
  }
  return { ...shared, body: JSON.stringify([cloudEvent]) }
}

/** docs.stripe.com/api/billing/meter-event/create. Nothing for calls without a value or of nobody's customer. */
function meterDelivery({ stripe }: Webhook, record: UsageRecord): NewDelivery[] {
  const customer = stripe?.customers[record.accountId]
  const value = stripe ? meterValue(stripe.value, record) : '0'
  if (!stripe || customer === undefined || value === '0') return []
  const atMs = CallIds.timeMs(record.id)
  const form = new URLSearchParams({
    event_name: stripe.eventName,
    identifier: formatCallId(record.id),
    timestamp: String(Math.floor(atMs / 1000)),
    'payload[stripe_customer_id]': customer,
    'payload[value]': value,
  })
  const body = form.toString()
  return [{ id: callEventId(record), kind: 'call.settled', events: 1, body, createdAtMs: atMs }]
}

function meterValue(value: StripeMeter['value'], record: UsageRecord): string {
  switch (value) {
    case 'calls':
      return '1'
    case 'cost':
      return record.cost > 0n ? formatAmount(record.cost) : '0'
    case 'bytes':
      return String(record.requestBytes + record.responseBytes)
    case 'tokens':
      return String(record.tokens ?? 0)
    default:
      return String(Math.ceil(record.durationUs / 1000))
  }
}

/** What goes in front of a body: who sends it, and how that is proved now. */
export function headersOf(
  { format }: Webhook,
  { id, body }: { readonly id: string; readonly body: string },
  { secrets, nowMs }: { readonly secrets: readonly string[]; readonly nowMs: number },
): Record<string, string> {
  const [secret] = secrets
  const bearer: Record<string, string> = secret === undefined ? {} : { authorization: `Bearer ${secret}` }
  if (format === 'cloudevents')
    return { 'content-type': 'application/cloudevents-batch+json', 'webhook-id': id, ...bearer }
  if (format === 'stripe-meter') return { 'content-type': 'application/x-www-form-urlencoded', ...bearer }
  const timestampS = Math.floor(nowMs / 1000)
  return {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': String(timestampS),
    'webhook-signature': signatureOf({ id, timestampS, body }, secrets),
  }
}
