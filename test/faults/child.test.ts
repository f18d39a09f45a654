// F12: a stdio server that dies, stops or floods loses no caller, comes back, and leaves nothing behind.
import { readdirSync, readFileSync } from 'node:fs'
import { afterEach, expect, test } from 'vitest'
import type { TestGateway } from '../harness/gateway.ts'
import { isAnswered, refusalCode, type McpClient } from './callers.ts'
import {
  childEnvironment,
  cleanUp,
  client,
  expectClean,
  furnish,
  furnishChild,
  isRunning,
  metric,
  startGateway,
  startUpstream,
  toolCalls,
} from './rig.ts'
import { until } from '../harness/until.ts'

afterEach(cleanUp)

const name = 'child'

async function setChildStage(more: object = {}) {
  const upstream = await startUpstream()
  const gateway = await startGateway({ env: childEnvironment })
  const { key } = await furnish(gateway, upstream.url)
  const { pids } = await furnishChild(gateway, name, more)
  const open = (): Promise<McpClient> => client(gateway, key, 'legacy', name).open()
  return { gateway, pids, open }
}

/** Processes that the gateway has not waited for. */
function zombiesOf(gateway: TestGateway): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8')
      return new RegExp(`^PPid:\\s+${gateway.process.pid}$`, 'm').test(status) && /^State:\s+Z/m.test(status)
    } catch {
      return false
    }
  })
}

const pidOf = async (caller: McpClient): Promise<number> =>
  Number((await caller.call({ tool: 'pid' })).message.result.content[0].text)

test('children killed under calls: every caller has an error with its id, one restart each, nothing left over', async () => {
  const { gateway, pids, open } = await setChildStage()
  const sessions = 5
  const callers: McpClient[] = []
  for (let n = 0; n < sessions; n++) callers.push(await open())
  // As many at once as later, so that the clients' own connections are among the descriptors from the start.
  const warmUp = callers.flatMap((caller) => [1, 2, 3, 4, 5].map(() => caller.call()))
  expect((await Promise.all(warmUp)).every(isAnswered)).toBe(true)
  const descriptors = await metric(gateway, 'process_open_fds')
  const rounds = 3
  for (let round = 1; round <= rounds; round++) {
    await Promise.all(
      callers.map(async (caller, n) => {
        const pid = await pidOf(caller)
        const ids = [`${n}-a`, `${n}-b`, 1000 + n]
        const hung = ids.map((id) => caller.call({ id, tool: 'hang' }))
        // The child reads in order: it has the calls once it has answered a later one.
        expect(await pidOf(caller)).toBe(pid)
        const killedMs = performance.now()
        process.kill(pid, 'SIGKILL')
        const answers = await Promise.all(hung)
        expect(performance.now() - killedMs).toBeLessThan(2000)
        expect(answers.map(({ message }) => message.id)).toEqual(ids)
        expect(new Set(answers.map(refusalCode))).toEqual(new Set(['upstream_unavailable']))
        expect(isRunning(pid)).toBe(false)
        const next = await caller.call({ id: 'next' })
        expect([next.message.id, isAnswered(next)], next.text).toEqual(['next', true])
      }),
    )
    expect(pids(), 'one new child a session and kill').toHaveLength(sessions * (round + 1))
    expect(zombiesOf(gateway)).toEqual([])
  }
  await until(
    async () => (await metric(gateway, 'process_open_fds')) <= descriptors + 3,
    'descriptors are back',
  )
  const ofHung = (await toolCalls(gateway)).filter(({ tool }) => tool === 'hang')
  expect(ofHung.map(({ outcome, cost }) => `${outcome} ${cost}`)).toEqual(
    Array(rounds * sessions * 3).fill('unknown 0'),
  )
  for (const caller of callers) expect((await caller.close()).status).toBe(200)
  await until(() => pids().every((pid) => !isRunning(pid)), 'no child is left')
  expect(zombiesOf(gateway)).toEqual([])
  await expectClean(gateway)
}, 60_000)

test('a child that ends itself in a call ran it once; the caller hears of it at once', async () => {
  const { gateway, pids, open } = await setChildStage()
  const caller = await open()
  const given = await caller.call({ id: 'mine', tool: 'die' })
  expect([given.message.id, refusalCode(given)]).toEqual(['mine', 'upstream_unavailable'])
  // A call that may have run is not sent again: the child that comes back is asked for nothing that was asked before.
  expect(isAnswered(await caller.call())).toBe(true)
  expect(pids()).toHaveLength(2)
  const records = await toolCalls(gateway)
  expect(records.map(({ tool, outcome }) => [tool, outcome])).toEqual([
    ['work', 'success'],
    ['die', 'unknown'],
  ])
})

test('a stopped child times out its own calls alone, and ends with its session', async () => {
  const { gateway, open } = await setChildStage({ timeouts: { callMs: 1000 } })
  const [stopped, other] = [await open(), await open()]
  const pid = await pidOf(stopped)
  process.kill(pid, 'SIGSTOP')
  const waiting = ['s', 1].map((id) => stopped.call({ id }))
  expect(isAnswered(await other.call())).toBe(true)
  const answers = await Promise.all(waiting)
  expect(answers.map((given) => [given.message.id, refusalCode(given)])).toEqual([
    ['s', 'upstream_timeout'],
    [1, 'upstream_timeout'],
  ])
  expect((await stopped.close()).status).toBe(200)
  await until(() => !isRunning(pid), 'the stopped child is gone')
  expect(isAnswered(await other.call())).toBe(true)
  expect((await toolCalls(gateway)).filter(({ outcome }) => outcome === 'timeout')).toHaveLength(2)
  await expectClean(gateway)
})

test('a flood on standard error holds nobody up and is not kept', async () => {
  const { gateway, open } = await setChildStage()
  const caller = await open()
  expect(isAnswered(await caller.call())).toBe(true)
  const before = await metric(gateway, 'process_resident_memory_bytes')
  for (let n = 0; n < 10; n++) expect(isAnswered(await caller.call({ tool: 'flood' }))).toBe(true)
  const grownBytes = (await metric(gateway, 'process_resident_memory_bytes')) - before
  expect(grownBytes).toBeLessThan(64 * 1024 * 1024)
})
