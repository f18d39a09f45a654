// F6, F8 and F10: a server that hangs, breaks off or lies costs its caller one clear error, and nobody anything else.
import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import type { TestGateway } from '../harness/gateway.ts'
import type { Recorder } from '../upstreams/recorder.ts'
import {
  after,
  answer,
  bigAnswer,
  halfBody,
  hang,
  notJson,
  raw,
  reset,
  streamCut,
  wrongId,
  type Reply,
} from '../upstreams/replies.ts'
import { eras, isAnswered, refusalCode, type Answer, type Era, type McpClient } from './callers.ts'
import {
  cleanUp,
  client,
  expectClean,
  furnish,
  metric,
  startGateway,
  startUpstream,
  statusOf,
  toolCalls,
  until,
} from './rig.ts'

afterEach(cleanUp)

interface Stage {
  readonly gateway: TestGateway
  readonly upstream: Recorder
  readonly clients: Readonly<Record<Era, McpClient>>
}

async function setStage(more: object = {}): Promise<Stage> {
  const upstream = await startUpstream()
  const gateway = await startGateway()
  const { key } = await furnish(gateway, upstream.url, { more })
  const [legacy, modern] = [client(gateway, key, 'legacy'), client(gateway, key, 'modern')]
  return { gateway, upstream, clients: { legacy: await legacy.open(), modern } }
}

/** Connections that are open to this URL's port, from the side of whoever opened them (proc(5), /proc/net/tcp). */
function socketsTo(url: string): number {
  const port = Number(new URL(url).port).toString(16).toUpperCase().padStart(4, '0')
  return readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .filter((line) => new RegExp(`^ *\\d+: \\S+ [0-9A-F]{8}:${port} 01 `).test(line)).length
}

const nameOf = (params: object | undefined): string =>
  String((params as { arguments?: { name?: string } } | undefined)?.arguments?.name)

test('100 calls that hang time out with their own ids, the server is told, nothing is billed, the sockets are back', async () => {
  const callMs = 2500
  const { gateway, upstream, clients } = await setStage({
    timeouts: { callMs },
    limits: { maxConnections: 128 },
  })
  for (const era of eras) expect(isAnswered(await clients[era].call())).toBe(true)
  upstream.hits.length = 0
  upstream.reply(hang())
  const ids = Array.from({ length: 100 }, (_, n) => (n % 4 < 2 ? n + 1 : String(n + 1)))
  const answers = await Promise.all(ids.map((id, n) => clients[n % 2 === 0 ? 'legacy' : 'modern'].call({ id })))
  expect(answers.map(({ message }) => message.id)).toEqual(ids)
  expect(new Set(answers.map(refusalCode))).toEqual(new Set(['upstream_timeout']))
  expect(answers.filter(({ message }) => message.result.isError !== true)).toEqual([])

  const ofEra = (era: Era) => upstream.calls().filter((hit) => hit.era === era)
  await until('modern streams are closed', () => ofEra('modern').every(({ aborted }) => aborted))
  const cancelled = () => upstream.hits.filter(({ message }) => message?.method === 'notifications/cancelled')
  await until('legacy servers are told', () => cancelled().length === 50)
  const told = cancelled().map(({ message }) => message?.params?.['requestId'])
  expect(new Set(told)).toEqual(new Set(ids.filter((_, n) => n % 2 === 0)))
  expect([ofEra('legacy').length, ofEra('modern').length]).toEqual([50, 50])

  const records = (await toolCalls(gateway)).slice(0, 100)
  expect(new Set(records.map(({ outcome, cost }) => `${outcome} ${cost}`))).toEqual(new Set(['timeout 0']))
  const durations = records.map(({ durationMs }) => durationMs)
  expect(Math.min(...durations)).toBeGreaterThanOrEqual(callMs * 0.99)
  expect(Math.max(...durations)).toBeLessThanOrEqual(callMs * 1.05)
  // What is left is what the notifications came on: connections that were answered are kept for the next call.
  await until('the sockets of hung calls are closed', () => socketsTo(upstream.url) <= 50)
  await expectClean(gateway)
  upstream.reply(answer())
  for (const era of eras) expect(isAnswered(await clients[era].call())).toBe(true)
})

const breaks: readonly (readonly [string, Reply])[] = [
  ['reset before the answer', reset()],
  ['closed in the body', halfBody()],
  ['reset in the stream', streamCut({ reset: true })],
  ['ended in the stream', streamCut()],
]

test.each(breaks)('a connection %s is a prompt error, and no call runs twice', async (_what, reply) => {
  const { gateway, upstream, clients } = await setStage()
  upstream.reply(reply)
  const names = Array.from({ length: 100 }, (_, n) => `call-${n}`)
  for (let at = 0; at < names.length; at += 10) {
    await Promise.all(
      names.slice(at, at + 10).map(async (name, n) => {
        const startedMs = performance.now()
        const given = await clients[n % 2 === 0 ? 'legacy' : 'modern'].call({ id: name, arguments: { name } })
        expect(performance.now() - startedMs).toBeLessThan(1000)
        expect([given.message?.id, given.answers, refusalCode(given)]).toEqual([name, 1, 'upstream_unavailable'])
      }),
    )
  }
  expect(upstream.calls().map(({ message }) => nameOf(message?.params)).toSorted()).toEqual(names.toSorted())
  const records = await toolCalls(gateway)
  expect(records.map(({ outcome, cost }) => `${outcome} ${cost}`)).toEqual(Array(100).fill('unknown 0'))
  await expectClean(gateway)
  upstream.reply(answer())
  for (const era of eras) expect(isAnswered(await clients[era].call())).toBe(true)
})

const sse = (...messages: object[]): Reply =>
  raw(messages.map((message) => `data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`).join(''), {
    headers: { 'content-type': 'text/event-stream' },
  })
const content = { content: [{ type: 'text', text: 'x' }] }
const mib = 1024 * 1024

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
  ['a stream of nonsense', raw('data: {"a\n\nx\n\n\0\n', { headers: { 'content-type': 'text/event-stream' } }), 'unknown'],
  ['8 MiB of JSON', bigAnswer(8 * mib), 'error'],
  ['8 MiB in one event', sse({ id: 1, result: { content: [{ type: 'text', text: 'x'.repeat(8 * mib) }] } }), 'error'],
]

describe.each(lies)('a server that answers with %s', (_what, reply, outcome) => {
  test.each(eras)('costs a %s caller one error, and nobody else anything', async (era) => {
    const { gateway, upstream, clients } = await setStage({ limits: { maxResponseBytes: mib } })
    upstream.once(reply)
    const given = await clients[era].call({ id: 1 })
    expect([given.message?.id, given.answers, refusalCode(given)], given.text.slice(0, 500)).toEqual([
      1,
      1,
      'upstream_unavailable',
    ])
    expect(upstream.calls()).toHaveLength(1)
    const [record] = await toolCalls(gateway)
    expect([record?.id, record?.outcome, record?.cost]).toEqual([given.callId, outcome, '0'])
    expect(await metric(gateway, `tollbridge_calls_total{outcome="${outcome}"}`)).toBe(1)
    expect(isAnswered(await clients[era].call({ id: 1 }))).toBe(true)
    await expectClean(gateway)
  })
})

test.each(eras)('a second answer to the same call is not passed on (%s)', async (era) => {
  const { gateway, upstream, clients } = await setStage()
  const twice = { id: 1, result: { ...content, resultType: 'complete' } }
  upstream.once(sse(twice, twice, { id: 1, error: { code: -32000, message: 'a third' } }))
  const given = await clients[era].call({ id: 1 })
  expect([given.message.id, given.answers, isAnswered(given)], given.text).toEqual([1, 1, true])
  expect((await toolCalls(gateway)).map(({ outcome }) => outcome)).toEqual(['success'])
  await expectClean(gateway)
})

test('an answer with the id of another call in flight reaches neither of them', async () => {
  const { gateway, upstream, clients } = await setStage()
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
  await expectClean(gateway)
})

test.each(eras)('an answer after the cancellation is heard by nobody (%s)', async (era) => {
  const { gateway, upstream, clients } = await setStage()
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
  await until('the cancellation is recorded', async () => (await toolCalls(gateway)).length === 1)
  gate.resolve()
  expect(isAnswered(await clients[era].call({ id: 7 }))).toBe(true)
  expect((await toolCalls(gateway)).map(({ outcome }) => outcome)).toEqual(['success', 'cancelled'])
  expect(await statusOf(gateway, '/livez')).toBe(200)
  await expectClean(gateway)
})
