// F6 and F8: a server that hangs or breaks off costs its caller one clear error, runs nothing twice, and frees all it held.
import { readFileSync } from 'node:fs'
import { afterEach, expect, test } from 'vitest'
import { answer, halfBody, hang, reset, streamCut, type Reply } from '../upstreams/replies.ts'
import { eras, isAnswered, refusalCode, type Era } from './callers.ts'
import { cleanUp, expectClean, nameIn, setStage, toolCalls } from './rig.ts'
import { until } from '../harness/until.ts'

afterEach(cleanUp)

/** Connections that are open to this URL's port, from the side of whoever opened them (proc(5), /proc/net/tcp). */
function socketsTo(url: string): number {
  const port = Number(new URL(url).port).toString(16).toUpperCase().padStart(4, '0')
  return readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .filter((line) => new RegExp(`^ *\\d+: \\S+ [0-9A-F]{8}:${port} 01 `).test(line)).length
}

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
  const answers = await Promise.all(
    ids.map((id, n) => clients[n % 2 === 0 ? 'legacy' : 'modern'].call({ id })),
  )
  expect(answers.map(({ message }) => message.id)).toEqual(ids)
  expect(new Set(answers.map(refusalCode))).toEqual(new Set(['upstream_timeout']))
  expect(answers.filter(({ message }) => message.result.isError !== true)).toEqual([])

  const ofEra = (era: Era) => upstream.calls().filter((hit) => hit.era === era)
  await until(() => ofEra('modern').every(({ aborted }) => aborted), 'modern streams are closed')
  const cancelled = () => upstream.hits.filter(({ message }) => message?.method === 'notifications/cancelled')
  await until(() => cancelled().length === 50, 'legacy servers are told')
  const told = cancelled().map(({ message }) => message?.params?.['requestId'])
  expect(new Set(told)).toEqual(new Set(ids.filter((_, n) => n % 2 === 0)))
  expect([ofEra('legacy').length, ofEra('modern').length]).toEqual([50, 50])

  const records = (await toolCalls(gateway)).slice(0, 100)
  expect(new Set(records.map(({ outcome, cost }) => `${outcome} ${cost}`))).toEqual(new Set(['timeout 0']))
  const durations = records.map(({ durationMs }) => durationMs)
  expect(Math.min(...durations)).toBeGreaterThanOrEqual(callMs * 0.99)
  expect(Math.max(...durations)).toBeLessThanOrEqual(callMs * 1.05)
  // What is left is what the notifications came on: connections that were answered are kept for the next call.
  await until(() => socketsTo(upstream.url) <= 50, 'the sockets of hung calls are closed')
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
        expect([given.message?.id, given.answers, refusalCode(given)]).toEqual([
          name,
          1,
          'upstream_unavailable',
        ])
      }),
    )
  }
  const ran = upstream.calls().map(nameIn)
  expect(ran).toHaveLength(names.length)
  expect(new Set(ran)).toEqual(new Set(names))
  const records = await toolCalls(gateway)
  expect(records.map(({ outcome, cost }) => `${outcome} ${cost}`)).toEqual(Array(100).fill('unknown 0'))
  await expectClean(gateway)
  upstream.reply(answer())
  for (const era of eras) expect(isAnswered(await clients[era].call())).toBe(true)
})
