// F13: a client that vanishes in the middle of a call frees everything, and is billed by the written rule.
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { after, answer, hang } from '../upstreams/replies.ts'
import type { TestGateway } from '../harness/gateway.ts'
import type { Era } from './callers.ts'
import {
  cleanUp,
  client,
  countFrom,
  expectBalance,
  expectClean,
  furnish,
  metric,
  price,
  startGateway,
  startUpstream,
  toolCalls,
} from './rig.ts'
import { until } from '../harness/until.ts'

afterEach(cleanUp)

const aborts = countFrom('TOLLBRIDGE_TEST_ABORTS', 1000)
const grant = '100000'
const parallel = 25

/** Live bytes of the heap after garbage collection; the launcher collects on SIGUSR2. */
async function settledHeapBytes(gateway: TestGateway): Promise<number> {
  let least = Infinity
  for (let n = 0; n < 5; n++) {
    gateway.process.kill('SIGUSR2')
    await new Promise((resolve) => setTimeout(resolve, 100))
    least = Math.min(least, await metric(gateway, 'tollbridge_heap_used_bytes'))
  }
  return least
}

async function setAbortStage() {
  const upstream = await startUpstream()
  const gateway = await startGateway({ program: [join(import.meta.dirname, 'launcher.ts')] })
  const { key, accountId } = await furnish(gateway, upstream.url, { grant })
  const callers: Record<Era, Awaited<ReturnType<ReturnType<typeof client>['open']>>> = {
    legacy: await client(gateway, key, 'legacy').open(),
    modern: client(gateway, key, 'modern'),
  }
  /** Starts calls, waits until the server has them all, and leaves. */
  const leave = async (era: Era, count: number): Promise<void> => {
    for (let left = count; left > 0; left -= parallel) {
      const before = upstream.calls().length
      const gone = new AbortController()
      const calls = Array.from({ length: Math.min(left, parallel) }, () =>
        callers[era].call({ signal: gone.signal }),
      )
      await upstream.until((seen) => seen.calls().length === before + calls.length)
      gone.abort()
      const ended = await Promise.allSettled(calls)
      expect(ended.every(({ status }) => status === 'rejected')).toBe(true)
    }
  }
  return { upstream, gateway, accountId, callers, leave }
}

test(`${aborts} modern callers that vanish: the server is told, each record says so, nothing is held back`, async () => {
  const { upstream, gateway, accountId, leave } = await setAbortStage()
  upstream.reply(hang())
  const warmUp = Math.min(aborts, 500)
  await leave('modern', warmUp)
  const cancelled = async (count: number): Promise<boolean> =>
    (await metric(gateway, 'tollbridge_calls_total{outcome="cancelled"}').catch(() => 0)) === count
  await until(() => cancelled(warmUp), 'the first are recorded')
  const heapBytes = await settledHeapBytes(gateway)
  const descriptors = await metric(gateway, 'process_open_fds')
  await leave('modern', aborts)
  await until(() => cancelled(warmUp + aborts), 'all are recorded')
  await until(() => upstream.calls().every((hit) => hit.aborted), 'the server was left each time')
  await until(
    async () => (await metric(gateway, 'process_open_fds')) <= descriptors * 1.05,
    'descriptors are back',
  )
  expect(await settledHeapBytes(gateway)).toBeLessThan(heapBytes * 1.05)
  const records = await toolCalls(gateway)
  expect(records).toHaveLength(warmUp + aborts)
  expect(new Set(records.map(({ outcome, cost }) => `${outcome} ${cost}`))).toEqual(new Set(['cancelled 0']))
  await expectBalance(gateway, accountId, grant)
  await expectClean(gateway)
}, 120_000)

test('legacy callers that vanish do not cancel: the call ends as it ends, and is billed for it', async () => {
  const { upstream, gateway, accountId, leave } = await setAbortStage()
  const gate = Promise.withResolvers<void>()
  upstream.reply(after(gate.promise, answer()))
  await leave('legacy', parallel)
  expect(await toolCalls(gateway)).toEqual([])
  gate.resolve()
  const settled = async (): Promise<boolean> => (await toolCalls(gateway)).length === parallel
  await until(settled, 'every call is recorded')
  const records = await toolCalls(gateway)
  expect(new Set(records.map(({ outcome, cost }) => `${outcome} ${cost}`))).toEqual(
    new Set([`success ${price}`]),
  )
  expect(upstream.calls().some((hit) => hit.aborted)).toBe(false)
  await expectBalance(gateway, accountId, grant)
  await expectClean(gateway)
})

test('a rule that bills cancelled calls bills those that vanish', async () => {
  const { upstream, gateway, accountId, leave } = await setAbortStage()
  await gateway.admin.ok('POST', '/api/v1/billing/rules', {
    name: 'cancelled too',
    priority: 10,
    currency: 'USD',
    match: { tool: 'work' },
    price: { perCall: '0.5' },
    billOn: ['success', 'cancelled'],
  })
  upstream.reply(hang())
  await leave('modern', 10)
  await until(async () => (await toolCalls(gateway)).length === 10, 'every call is recorded')
  expect((await toolCalls(gateway)).map(({ outcome, cost }) => `${outcome} ${cost}`)).toEqual(
    Array(10).fill('cancelled 0.5'),
  )
  await expectBalance(gateway, accountId, grant)
  await expectClean(gateway)
})
