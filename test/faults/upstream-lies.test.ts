// F10: a server that lies costs its caller one error, and nobody else anything.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { after, answer, bigAnswer, notJson, raw, wrongId, type Reply } from '../upstreams/replies.ts'
import { eras, isAnswered, refusalCode, type Answer } from './callers.ts'
import { cleanUp, expectClean, metric, setStage, statusOf, toolCalls, type Stage } from './rig.ts'
import { until } from '../harness/until.ts'

const mib = 1024 * 1024
let stage: Stage
let recorded = 0

beforeAll(async () => (stage = await setStage({ limits: { maxResponseBytes: mib } })))
afterAll(cleanUp)
beforeEach(async () => {
  stage.upstream.hits.length = 0
  recorded = (await toolCalls(stage.gateway)).length
})
afterEach(async () => {
  expect(await statusOf(stage.gateway, '/livez')).toBe(200)
  await expectClean(stage.gateway)
})

/** The outcomes of what this test has called, newest first. */
const newRecords = async () => {
  const records = await toolCalls(stage.gateway)
  return records.slice(0, records.length - recorded)
}
const counted = (outcome: string): Promise<number> =>
  metric(stage.gateway, `tollbridge_calls_total{outcome="${outcome}"}`).catch(() => 0)

const sse = (...messages: object[]): Reply =>
  raw(messages.map((message) => `data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`).join(''), {
    headers: { 'content-type': 'text/event-stream' },
  })
const content = { content: [{ type: 'text', text: 'x' }] }

/** What the server does, how it does it, and what the record says. */
const lies: readonly (readonly [string, Reply, string])[] = [
  ['another id', wrongId(), 'unknown'],
  ['the id as another type', (exchange) => wrongId(exchange.message.id === 1 ? '1' : 1)(exchange), 'unknown'],
  ['another id in a stream', sse({ id: 'not-yours', result: content }), 'unknown'],
  ['a page', notJson(), 'unknown'],
  ['a page with 502', notJson(502), 'unknown'],
  ['half of its JSON', raw('{"jsonrpc":"2.0","id":'), 'unknown'],
  ['a batch', raw('[{"jsonrpc":"2.0","id":1,"result":{}}]'), 'unknown'],
  ['nothing', raw(''), 'unknown'],
  ['null', raw('null'), 'unknown'],
  ['bytes that are no text', raw(new Uint8Array([0xff, 0xfe, 0x00, 0x80])), 'unknown'],
  [
    'a stream of nonsense',
    raw('data: {"a\n\nx\n\n\0\n', { headers: { 'content-type': 'text/event-stream' } }),
    'unknown',
  ],
  ['8 MiB of JSON', bigAnswer(8 * mib), 'error'],
  [
    '8 MiB in one event',
    sse({ id: 1, result: { content: [{ type: 'text', text: 'x'.repeat(8 * mib) }] } }),
    'error',
  ],
]

describe.each(lies)('a server that answers with %s', (_what, reply, outcome) => {
  test.each(eras)('costs a %s caller one error, and nobody else anything', async (era) => {
    const { upstream, clients } = stage
    const before = await counted(outcome)
    upstream.once(reply)
    const given = await clients[era].call({ id: 1 })
    const said = [given.message?.id, given.answers, refusalCode(given)]
    expect(said, given.text.slice(0, 500)).toEqual([1, 1, 'upstream_unavailable'])
    expect(upstream.calls()).toHaveLength(1)
    const records = await newRecords()
    expect(records.map(({ id, ...of }) => [id, of.outcome, of.cost])).toEqual([[given.callId, outcome, '0']])
    expect(await counted(outcome)).toBe(before + 1)
    expect(isAnswered(await clients[era].call({ id: 1 }))).toBe(true)
  })
})

test.each(eras)('a second answer to the same call is not passed on (%s)', async (era) => {
  const { upstream, clients } = stage
  const twice = { id: 1, result: { ...content, resultType: 'complete' } }
  upstream.once(sse(twice, twice, { id: 1, error: { code: -32000, message: 'a third' } }))
  const given = await clients[era].call({ id: 1 })
  expect([given.message.id, given.answers, isAnswered(given)], given.text).toEqual([1, 1, true])
  expect((await newRecords()).map(({ outcome }) => outcome)).toEqual(['success'])
})

test('an answer with the id of another call in flight reaches neither of them', async () => {
  const { upstream, clients } = stage
  const gate = Promise.withResolvers<void>()
  upstream.once(after(gate.promise, answer()))
  const honest = clients.legacy.call({ id: 'honest', arguments: { name: 'honest' } })
  await upstream.until((seen) => seen.calls().length === 1)
  upstream.once(wrongId('honest'))
  const cheated = await clients.legacy.call({ id: 'cheated' })
  expect([cheated.message.id, refusalCode(cheated)]).toEqual(['cheated', 'upstream_unavailable'])
  gate.resolve()
  const given = await honest
  expect([given.message.id, given.answers, isAnswered(given)]).toEqual(['honest', 1, true])
  expect(given.text).toContain('honest')
})

test.each(eras)('an answer after the cancellation is heard by nobody (%s)', async (era) => {
  const { upstream, clients } = stage
  const gate = Promise.withResolvers<void>()
  upstream.once(after(gate.promise, answer()))
  const leave = new AbortController()
  const call: Promise<Answer | undefined> = clients[era]
    .call({ id: 7, signal: leave.signal })
    .catch(() => undefined)
  await upstream.until((seen) => seen.calls().length === 1)
  if (era === 'legacy') await clients.legacy.notify('notifications/cancelled', { requestId: 7 })
  else leave.abort()
  const given = await call
  expect(given?.answers ?? 0).toBe(0)
  await until(async () => (await newRecords()).length === 1, 'the cancellation is recorded')
  gate.resolve()
  expect(isAnswered(await clients[era].call({ id: 7 }))).toBe(true)
  expect((await newRecords()).map(({ outcome }) => outcome)).toEqual(['success', 'cancelled'])
})
