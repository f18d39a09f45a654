// A29: a task is found by whoever started it, over every key and restart, and for everybody else it is not there.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newKey } from '../faults/callers.ts'
import { startTestGateway, type ApiCaller } from '../harness/gateway.ts'
import { answer, type Reply } from '../upstreams/replies.ts'
import { eras, essence, McpClient, startBench, toolCall, type Bench, type Era } from './bench.ts'

const data = mkdtempSync(join(tmpdir(), 'tollbridge-tasks-'))
let bench: Bench
let made = 0

/** As a server that knows tasks by their ids alone, whoever asks. */
const start: Reply = (exchange) => {
  const { hit } = exchange
  const task = {
    taskId: `task-${++made}`,
    status: 'working',
    createdAt: '2026-11-23T00:00:00Z',
    ttlMs: 60_000,
  }
  const result = hit.era === 'modern' ? { ...task, resultType: 'task' } : { task }
  return answer(result)(exchange)
}
const tell: Reply = (exchange) =>
  answer({
    taskId: exchange.message.params?.['taskId'],
    status: 'completed',
    result: { secret: 'of its owner' },
  })(exchange)
const methods = ['tasks/get', 'tasks/update', 'tasks/cancel', 'tasks/result'] as const

beforeAll(async () => {
  bench = await startBench({ data })
  bench.upstream.on('tools/call', start)
  for (const method of methods) bench.upstream.on(method, tell)
  bench.upstream.on('subscriptions/listen', answer({}))
})
afterAll(async () => {
  await bench.stop()
  rmSync(data, { recursive: true, force: true })
})

async function startTask(client: McpClient, era: Era): Promise<string> {
  const message = toolCall('work')
  const params = { ...message.params, ...(era === 'legacy' && { task: { ttl: 60_000 } }) }
  const { json } = await client.ask(era, { ...message, params })
  return (era === 'modern' ? json.result.taskId : json.result.task.taskId) as string
}

const ask = (client: McpClient, era: Era, method: string, taskId: string) =>
  client.ask(era, { method, params: { taskId } }, era === 'modern' ? { 'mcp-name': taskId } : {})

describe.each(eras)('a task of a %s client', (era) => {
  test('is asked for, answered and cancelled by its own user, with any key and in any session', async () => {
    const client = bench.client(bench.a)
    const taskId = await startTask(client, era)
    const other = bench.client({ url: bench.gateway.url, credential: await newKey(bench.a) })
    for (const each of [client, other])
      for (const method of methods) {
        const { json } = await ask(each, era, method, taskId)
        expect(json.result, method).toMatchObject({ taskId, result: { secret: 'of its owner' } })
      }
  })

  test('is for everybody else as one that never was, reaches no server and costs nothing', async () => {
    const taskId = await startTask(bench.client(bench.a), era)
    const thief = bench.client(bench.b)
    await thief.ask(era, toolCall('ok'))
    const hits = await bench.hitsDuring(async () => {
      for (const method of methods) {
        const stolen = await ask(thief, era, method, taskId)
        const unknown = await ask(thief, era, method, 'task-of-nobody')
        // The modern extension knows no such method.
        const isKnown = era === 'legacy' || method !== 'tasks/result'
        expect(stolen.json.error.code).toBe(isKnown ? -32602 : -32601)
        expect(essence(stolen, taskId)).toEqual(essence(unknown, 'task-of-nobody'))
      }
      const own = await ask(bench.client(bench.a), era, 'tasks/get', 'task-of-nobody')
      expect(own.json.error.code).toBe(-32602)
    })
    expect(hits.filter(({ message }) => message?.method?.startsWith('tasks/'))).toEqual([])
    const [record] = await bench.b.all('/api/v1/billing/usage?method=tasks/get')
    expect(record).toMatchObject({ outcome: 'denied', cost: '0' })
  })
})

test('nobody listens to the task of somebody else', async () => {
  const taskId = await startTask(bench.client(bench.a), 'modern')
  const listen = (caller: ApiCaller) =>
    bench.client(caller).ask('modern', {
      method: 'subscriptions/listen',
      params: { notifications: { taskIds: [taskId] } },
    })
  expect((await listen(bench.b)).json.error).toMatchObject({ code: -32602 })
  expect((await listen(bench.a)).json.error).toBeUndefined()
})

test('whoever started a task first keeps it, also where the server gives its id again', async () => {
  const taskId = await startTask(bench.client(bench.a), 'modern')
  made--
  expect(await startTask(bench.client(bench.b), 'modern')).toBe(taskId)
  expect((await ask(bench.client(bench.b), 'modern', 'tasks/get', taskId)).json.error).toBeDefined()
  expect((await ask(bench.client(bench.a), 'modern', 'tasks/get', taskId)).json.result).toBeDefined()
})

test('after kill -9 and a start a task is still of its user alone', async () => {
  const taskId = await startTask(bench.client(bench.a), 'modern')
  const [own, foreign] = [await newKey(bench.a), await newKey(bench.b)]
  await bench.gateway.stop('SIGKILL')
  const again = await startTestGateway({ data })
  try {
    const at = (credential: string) => new McpClient({ url: again.url, credential }, '/mcp/stub')
    expect((await ask(at(foreign), 'modern', 'tasks/get', taskId)).json.error).toMatchObject({ code: -32602 })
    expect((await ask(at(own), 'modern', 'tasks/get', taskId)).json.result).toMatchObject({ taskId })
  } finally {
    await again.stop()
  }
})
