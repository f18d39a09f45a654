// Limits on a real gateway: exact under parallel calls, told in headers and words, and free of charge.
import { afterEach, describe, expect, test } from 'vitest'
import { type TestGateway } from '../harness/gateway.ts'
import { eras } from '../faults/callers.ts'
import {
  cleanUp,
  client,
  expectBalance,
  expectClean,
  furnish,
  startGateway,
  startUpstream,
  toolCalls,
  turn,
} from '../faults/rig.ts'
import { until } from '../harness/until.ts'
import { answer, delayed, type Reply } from '../upstreams/replies.ts'

afterEach(cleanUp)

const path = '/api/v1/limits'

async function stage(limit: object) {
  const upstream = await startUpstream()
  const gateway = await startGateway()
  const { key, accountId } = await furnish(gateway, upstream.url, { grant: '100' })
  const made = await gateway.admin.ok('POST', path, { name: 'test', ...limit })
  return { upstream, gateway, key, accountId, limit: made }
}

async function expectFree(gateway: TestGateway, accountId: string, admitted: number): Promise<void> {
  const records = await toolCalls(gateway)
  expect(records).toHaveLength(admitted)
  await expectBalance(gateway, accountId, '100')
  await expectClean(gateway)
}

test.each(eras)('of 500 parallel calls of %s clients exactly as many run as may come', async (era) => {
  const { upstream, gateway, key, accountId } = await stage({
    match: { method: 'tools/call' },
    rate: { calls: 40, seconds: 86_400 },
    per: ['user', 'server'],
  })
  const callers = await Promise.all(Array.from({ length: 20 }, () => client(gateway, key, era).open()))
  const answers = await Promise.all(Array.from({ length: 500 }, (_, n) => turn(callers, n).call()))
  const limited = answers.filter((each) => each.message.result?.isError === true)
  expect(limited).toHaveLength(460)
  expect(upstream.calls()).toHaveLength(40)
  for (const each of limited) {
    expect(each.status).toBe(200)
    expect(each.callId).toBeUndefined()
    expect(each.message.result.structuredContent).toMatchObject({ code: 'rate_limited', limit: 'test' })
    expect(each.headers.get('ratelimit-policy')).toBe('"test";q=40;w=86400')
    expect(each.headers.get('ratelimit')).toMatch(/^"test";r=0;t=\d+$/)
    expect(Number(each.headers.get('retry-after'))).toBeGreaterThan(0)
  }
  await expectFree(gateway, accountId, 40)
})

test('of 500 parallel calls exactly as many run at once as may, and the others come later', async () => {
  const { upstream, gateway, key, accountId } = await stage({
    match: { tool: '*' },
    concurrent: 7,
    per: ['key'],
  })
  upstream.reply(delayed(1000, answer()))
  const caller = client(gateway, key, 'modern')
  const answers = await Promise.all(Array.from({ length: 500 }, () => caller.call()))
  expect(answers.filter(({ message }) => message.result.isError !== true)).toHaveLength(7)
  upstream.reply(answer())
  // What ended gave its place back, also where the client went away or the server failed.
  const leaving = new AbortController()
  upstream.once(delayed(60_000, answer()))
  const left = caller.call({ signal: leaving.signal }).catch(() => undefined)
  await upstream.until(() => upstream.calls().length === 8)
  leaving.abort()
  await left
  for (let n = 0; n < 30; n++) expect((await caller.call()).message.result.isError).not.toBe(true)
  await expect.poll(async () => (await toolCalls(gateway)).length).toBe(38)
  await expectFree(gateway, accountId, 38)
})

test.each(eras)(
  'bytes of %s clients are counted as they come, and used up for what comes next',
  async (era) => {
    const { upstream, gateway, key, accountId } = await stage({
      match: { tool: '*' },
      bandwidth: { bytes: 100_000, seconds: 86_400 },
    })
    upstream.reply(answer({ content: [{ type: 'text', text: 'x'.repeat(40_000) }] }))
    const caller = await client(gateway, key, era).open()
    const answers = []
    for (let n = 0; n < 5; n++) answers.push(await caller.call({ arguments: { n } }))
    expect(answers.map(({ message }) => message.result.isError ?? false)).toEqual([
      false,
      false,
      false,
      true,
      true,
    ])
    const [, second, , refused] = answers
    expect(second?.headers.get('ratelimit-policy')).toBe('"test";q=100000;w=86400;qu="content-bytes"')
    expect(Number(/r=(\d+)/.exec(second?.headers.get('ratelimit') ?? '')?.[1])).toBeLessThan(60_000)
    expect(refused?.message.result.structuredContent).toMatchObject({ code: 'rate_limited', limit: 'test' })
    expect(Number(refused?.headers.get('retry-after'))).toBeGreaterThan(10_000)
    expect(upstream.calls()).toHaveLength(3)
    await expectFree(gateway, accountId, 3)
  },
)

test.each([
  ['modern', 'subscriptions/listen'],
  ['legacy', 'stream'],
] as const)(
  '%s streams are as many at once as may be open, and one that ends makes room',
  async (era, method) => {
    const { upstream, gateway, key } = await stage({ match: { method }, concurrent: 2 })
    const silent: Reply = ({ response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
    }
    upstream.on('subscriptions/listen', silent)
    const [first, second, third] = await Promise.all([0, 1, 2].map(() => client(gateway, key, era).open()))
    const [one, two] = [await first?.listen(), await second?.listen()]
    expect([one?.status, two?.status]).toEqual([200, 200])
    const refused = await third?.listen()
    expect([refused?.status, refused?.headers.get('retry-after')]).toEqual([429, '1'])
    expect(await refused?.text()).toContain('The limit test lets 2 calls run at once for each user.')
    // Calls are none of it.
    expect((await third?.call())?.message.result.isError).not.toBe(true)
    await one?.body?.cancel()
    const next = await until(async () => {
      const answered = await third?.listen()
      if (answered?.status === 200) return answered
      await answered?.body?.cancel()
      return undefined
    }, 'room for the third')
    expect(next.headers.get('content-type')).toContain('text/event-stream')
    await Promise.all([next.body?.cancel(), two?.body?.cancel()])
  },
)

test('a request that is no tool call gets 429 with the time to wait', async () => {
  const { gateway, key } = await stage({ match: { method: 'tools/list' }, rate: { calls: 1, seconds: 60 } })
  const caller = client(gateway, key, 'modern')
  const first = await caller.request('tools/list')
  expect([first.status, first.headers.get('ratelimit')]).toEqual([200, '"test";r=0;t=60'])
  const second = await caller.request('tools/list')
  expect([second.status, second.message.error.code, second.headers.get('retry-after')]).toEqual([
    429,
    42900,
    '60',
  ])
  expect((await caller.call()).headers.get('ratelimit')).toBeNull()
})

test('another key, session, spelling or transport is no new bucket', async () => {
  const { gateway, key } = await stage({
    match: { method: 'tools/call' },
    rate: { calls: 3, seconds: 3600 },
    per: ['user'],
  })
  const login = (
    await gateway.admin.ok('POST', '/api/v1/auth/authenticate', {
      username: 'ada',
      password: 'Member-passw0rd-ada',
    })
  ).token as string
  const ways = [
    client(gateway, key, 'modern'),
    await client(gateway, key, 'legacy').open(),
    await client(gateway, login, 'legacy').open(),
    client(gateway, login, 'modern'),
  ]
  const answers = []
  for (const way of ways) answers.push((await way.call()).message.result.isError ?? false)
  expect(answers).toEqual([false, false, false, true])
})

test('a repeat of an idempotency key counts as nothing', async () => {
  const { gateway, key } = await stage({ match: { tool: '*' }, rate: { calls: 2, seconds: 3600 } })
  const caller = client(gateway, key, 'modern')
  const headers = { 'idempotency-key': 'once' }
  for (let n = 0; n < 5; n++) expect((await caller.call({ headers })).message.result.isError).not.toBe(true)
  expect((await caller.call()).message.result.isError).not.toBe(true)
  expect((await caller.call()).message.result.isError).toBe(true)
})

test('limits stay over a restart, change at once, and are refused where they say nothing', async () => {
  const { gateway, key, limit } = await stage({ rate: { calls: 1, seconds: 3600 }, match: { tool: 'work' } })
  const caller = client(gateway, key, 'modern')
  await caller.call()
  expect((await caller.call()).message.result.isError).toBe(true)
  const changed = await gateway.admin.ok('PATCH', `${path}/test`, { rate: { calls: 100 } })
  expect(changed.rate).toEqual({ calls: 100, seconds: 3600, burst: 100 })
  expect((await caller.call()).message.result.isError).not.toBe(true)
  const body = { name: 'test', rate: { calls: 1, seconds: 1 } }
  expect((await gateway.admin.call('POST', path, body)).status).toBe(409)
  for (const wrong of [
    {},
    { rate: { calls: 0, seconds: 1 } },
    { concurrent: 1, per: ['user', 'user'] },
    { concurrent: 1, match: { user: 'ada' } },
  ])
    expect((await gateway.admin.call('POST', path, { name: 'wrong', ...wrong })).status).toBe(400)
  await gateway.admin.ok('DELETE', `${path}/${limit.id}`)
  expect((await gateway.admin.ok('GET', path)).items).toEqual([])
  expect((await caller.call()).headers.get('ratelimit')).toBeNull()
})

describe('a batch', () => {
  test('counts as each of its messages', async () => {
    const { upstream, gateway, key, accountId } = await stage({
      match: { tool: '*' },
      rate: { calls: 30, seconds: 86_400 },
    })
    const url = `${gateway.url}/mcp/stub`
    const headers = {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    }
    const params = {
      protocolVersion: '2025-03-26',
      capabilities: {},
      clientInfo: { name: 'batch', version: '1' },
    }
    const opened = await fetch(url, {
      method: 'POST',
      headers,
      body: JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }),
    })
    await opened.text()
    const session = { ...headers, 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' }
    await fetch(url, {
      method: 'POST',
      headers: session,
      body: JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' }),
    })
    const calls = Array.from({ length: 100 }, (_, id) => ({
      jsonrpc: '2.0',
      id,
      method: 'tools/call',
      params: { name: 'work', arguments: {} },
    }))
    const answers = (await (
      await fetch(url, { method: 'POST', headers: session, body: JSON.stringify(calls) })
    ).json()) as {
      result: { isError?: boolean }
    }[]
    expect(answers.filter(({ result }) => result.isError === true)).toHaveLength(70)
    expect(upstream.calls()).toHaveLength(30)
    await expectFree(gateway, accountId, 30)
  })
})
