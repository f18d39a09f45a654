// F4 and F5: told to stop, the gateway finishes what it can, answers everybody, and is gone in time.
import { afterEach, expect, test } from 'vitest'
import { after, answer, hang } from '../upstreams/replies.ts'
import { eras, isAnswered, refusalCode } from './callers.ts'
import {
  childEnvironment,
  cleanUp,
  client,
  expectClean,
  furnish,
  furnishChild,
  isRunning,
  newFolder,
  onEnd,
  startGateway,
  startUpstream,
  statusOf,
  toolCalls,
  turn,
} from './rig.ts'
import { until } from '../harness/until.ts'

afterEach(cleanUp)

const mustExitMs = 25_000

test('SIGTERM with traffic: readiness falls first, calls in flight finish, new work is refused, streams end whole', async () => {
  const upstream = await startUpstream()
  upstream.on('subscriptions/listen', ({ response }) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const timer = setInterval(() => response.write(event), 5)
    response.once('close', () => clearInterval(timer))
  })
  const data = newFolder()
  const gateway = await startGateway({ data })
  const { key } = await furnish(gateway, upstream.url)
  const clients = await Promise.all(eras.map((era) => client(gateway, key, era).open()))
  const streams = await Promise.all(clients.map((caller) => caller.listen()))
  const texts = Promise.all(streams.map((stream) => stream.text()))
  const pushing = setInterval(() => upstream.push(JSON.parse(event.slice('data: '.length)) as object), 5)
  onEnd(() => clearInterval(pushing))
  const gate = Promise.withResolvers<void>()
  upstream.reply(after(gate.promise, answer()))
  const inFlight = Array.from({ length: 20 }, (_, n) => turn(clients, n).call({ id: `mine-${n}` }))
  await upstream.until((seen) => seen.calls().length === 20)

  expect(await statusOf(gateway, '/readyz')).toBe(200)
  const stopped = gateway.stop('SIGTERM')
  await until(async () => (await statusOf(gateway, '/readyz')) === 503, 'readiness falls', 2000)
  expect(await statusOf(gateway, '/livez')).toBe(200)
  for (const caller of clients) {
    const refused = await caller.call({ id: 'late' })
    expect([refused.message.id, refused.message.result.isError, refusalCode(refused)]).toEqual([
      'late',
      true,
      'shutting_down',
    ])
    const listed = await caller.request('tools/list')
    expect([listed.status, listed.message.id, refusalCode(listed)]).toEqual([
      503,
      'tools/list',
      'shutting_down',
    ])
    expect(Number(listed.headers.get('retry-after'))).toBeGreaterThan(0)
  }
  expect(upstream.calls()).toHaveLength(20)
  expect(gateway.process.exitCode).toBe(null)
  gate.resolve()
  for (const [n, answered] of (await Promise.all(inFlight)).entries()) {
    expect(isAnswered(answered), answered.text).toBe(true)
    expect(answered.message.id).toBe(`mine-${n}`)
  }
  expect(await stopped).toEqual({ code: 0, signal: null })
  for (const text of await texts) {
    expect(text.length).toBeGreaterThan(event.length)
    expect(text.endsWith('\n\n'), 'the last event is whole').toBe(true)
    // A priming event has no data.
    const blocks = text
      .split('\n\n')
      .slice(0, -1)
      .filter((block) => !block.endsWith('data: '))
    for (const block of blocks) JSON.parse(/^data: (.*)$/m.exec(block)?.[1] ?? '')
  }
  const again = await startGateway({ data })
  await expectClean(again)
  expect(await toolCalls(again)).toHaveLength(20)
})

const event = `data: ${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'x'.repeat(300) } })}\n\n`

test('SIGTERM with servers that hang: every caller is answered with its own id, the exit is bounded, no child is left', async () => {
  const upstream = await startUpstream({ reply: hang() })
  const data = newFolder()
  const env = { ...childEnvironment, TOLLBRIDGE_SHUTDOWN_DRAIN_MS: '1000' }
  const gateway = await startGateway({ data, env })
  const { key } = await furnish(gateway, upstream.url)
  const { pids } = await furnishChild(gateway, 'child')
  const clients = await Promise.all(eras.map((era) => client(gateway, key, era).open()))
  const ofChild = await client(gateway, key, 'legacy', 'child').open()
  const waiting = Array.from({ length: 40 }, (_, n) =>
    turn(clients, n).call({ id: n % 4 < 2 ? n : `text-${n}` }),
  )
  const clinging = ofChild.call({ id: 'child-1', tool: 'cling' })
  await upstream.until((seen) => seen.calls().length === 40)
  await until(() => pids().length === 2, 'the child has a child')

  const startedMs = performance.now()
  const stopped = gateway.stop('SIGTERM')
  const answers = await Promise.all([...waiting, clinging])
  expect(await stopped).toEqual({ code: 0, signal: null })
  expect(performance.now() - startedMs).toBeLessThan(mustExitMs)
  const expected = [...Array.from({ length: 40 }, (_, n) => (n % 4 < 2 ? n : `text-${n}`)), 'child-1']
  expect(answers.map((given) => given.message?.id)).toEqual(expected)
  expect(new Set(answers.map(refusalCode))).toEqual(new Set(['shutting_down']))
  await until(() => pids().every((pid) => !isRunning(pid)), 'no child is left', 1000)

  const again = await startGateway({ data })
  await expectClean(again)
  const records = await toolCalls(again)
  expect(records.map(({ outcome, cost }) => `${outcome} ${cost}`)).toEqual(Array(41).fill('unknown 0'))
})

test('SIGTERM is over at once where nothing runs', async () => {
  const gateway = await startGateway()
  const startedMs = performance.now()
  expect(await gateway.stop('SIGTERM')).toEqual({ code: 0, signal: null })
  expect(performance.now() - startedMs).toBeLessThan(3000)
})
