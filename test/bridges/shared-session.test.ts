// Guarantees of shared sessions: several tenants, one session with the server, and nothing crosses between them.
import { afterEach, describe, expect, test } from 'vitest'
import { ManualClock } from '../../src/base/clock.ts'
import { SharedSession, type SharedSessionOptions } from '../../src/bridges/shared/session.ts'
import { SharedSessions } from '../../src/bridges/shared/sessions.ts'
import type { Upstream } from '../../src/upstreams/upstream.ts'
import {
  hello,
  listen,
  messageOf,
  nothingHeld,
  notice,
  request,
  ScriptedServer,
  send,
  sharedOptions,
} from './shared-server.ts'
import { until } from '../harness/until.ts'

const sessions: SharedSession[] = []

afterEach(async () => {
  for (const session of sessions.splice(0)) {
    await session.close()
    expect(session.counts()).toEqual(nothingHeld)
  }
})

function share(server: ScriptedServer, more: Partial<SharedSessionOptions> = {}): SharedSession {
  const session = new SharedSession(sharedOptions(server, more))
  sessions.push(session)
  return session
}

/** Tenants that have said hello. */
async function tenants(session: SharedSession, count: number): Promise<Upstream[]> {
  const ways = Array.from({ length: count }, (_, index) => session.join({ id: `t${index}` }))
  for (const way of ways) await send(way, request(0, 'initialize', { protocolVersion: '2025-11-25' })).done
  return ways
}

async function two(server: ScriptedServer, more: Partial<SharedSessionOptions> = {}) {
  const session = share(server, more)
  const [a, b] = (await tenants(session, 2)) as [Upstream, Upstream]
  return { session, a, b }
}

/** Long enough for whatever is on its way, none of which waits for a clock. */
const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}

describe('initialize', () => {
  test('is sent once by the gateway itself, and answered to every tenant with the version it asked for', async () => {
    const server = new ScriptedServer()
    const session = share(server)
    const asked = ['2025-11-25', '2025-03-26', '2026-07-28', '1999-01-01', undefined]
    const heard = asked.map((protocolVersion, index) =>
      send(
        session.join({ id: `${index}` }),
        request(7, 'initialize', { protocolVersion, capabilities: { roots: {} } }),
      ),
    )
    await Promise.all(heard.map(({ done }) => done))
    expect(heard.map(({ messages }) => messages)).toEqual(
      ['2025-11-25', '2025-03-26', '2025-11-25', '2025-11-25', '2025-11-25'].map((protocolVersion) => [
        { jsonrpc: '2.0', id: 7, result: { ...hello, protocolVersion } },
      ]),
    )
    expect(server.methods()).toEqual(['initialize', 'notifications/initialized'])
    expect(server.got[0]?.message.params).toEqual({
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'tollbridge', version: '1.2.3' },
    })
  })

  test('never offers a version newer than that of the server', async () => {
    const server = new ScriptedServer()
    server.greeting = (got) => server.answer(got, { result: { ...hello, protocolVersion: '2025-03-26' } })
    const way = share(server).join({ id: 'a' })
    const newer = send(way, request(1, 'initialize', { protocolVersion: '2025-06-18' }))
    await newer.done
    expect(newer.messages[0]?.result?.protocolVersion).toBe('2025-03-26')
  })

  test("that the server refuses is refused to the tenant in the server's own words, and can be tried again", async () => {
    const server = new ScriptedServer()
    const greet = server.greeting
    server.greeting = (got) => server.answer(got, { error: { code: -32022, message: 'not my era' } })
    const way = share(server).join({ id: 'a' })
    const refused = send(way, request('x', 'initialize'))
    await refused.done
    expect(refused.messages).toEqual([
      { jsonrpc: '2.0', id: 'x', error: { code: -32022, message: 'not my era' } },
    ])
    expect(server.last.closed).toBe(true)
    server.greeting = greet
    const taken = send(way, request('y', 'initialize'))
    await taken.done
    expect(taken.messages[0]?.result).toEqual(hello)
  })

  test('waits for the server no longer than its time limit, and fails as not sent', async () => {
    const server = new ScriptedServer()
    server.greeting = () => {}
    const way = share(server, { openTimeoutMs: 30 }).join({ id: 'a' })
    const heard = send(way, request(1, 'initialize'))
    await heard.done
    expect(heard.failure).toMatchObject({ sent: false })
  })

  test('and what belongs to it never reaches the server from a tenant', async () => {
    const server = new ScriptedServer()
    const { a } = await two(server)
    const before = server.got.length
    const heard = [
      send(a, notice('notifications/initialized')),
      send(a, notice('notifications/roots/list_changed')),
      send(a, { jsonrpc: '2.0', id: 5, result: { roots: [] } }),
      send(a, request(1, 'ping')),
    ]
    await Promise.all(heard.map(({ done }) => done))
    expect(server.got.length).toBe(before)
    expect(heard.map(({ head }) => head?.status)).toEqual([202, 202, 202, 200])
    expect(heard[3]?.messages).toEqual([{ jsonrpc: '2.0', id: 1, result: {} }])
  })
})

describe('a request', () => {
  test('is answered to its own tenant under its own id, type and digits included, in any order', async () => {
    const server = new ScriptedServer()
    const { a, b } = await two(server)
    const huge = '{"jsonrpc":"2.0","id":12345678901234567890,"method":"tools/call","params":{"n":1.0}}'
    const heard = [
      send(a, request(1)),
      send(b, request(1)),
      send(a, request('1')),
      send(b, JSON.parse(huge) as object, huge),
    ]
    await settle()
    const held = server.held('tools/call')
    expect(new Set(held.map(({ message }) => message.id)).size).toBe(4)
    expect(held[3]?.body).toContain('"n":1.0')
    for (const got of held.toReversed()) {
      const text = `{"jsonrpc":"2.0","id":${got.message.id},"extra":1,"result":{"was":${got.message.id},"n":1e2}}`
      got.sink.head({ status: 200, contentType: 'json' })
      got.sink.message(messageOf({}, text))
    }
    await Promise.all(heard.map(({ done }) => done))
    expect(heard.map(({ texts }) => texts[0])).toEqual(
      ['1', '1', '"1"', '12345678901234567890'].map(
        (id, index) =>
          `{"jsonrpc":"2.0","id":${id},"extra":1,"result":{"was":${held[index]?.message.id},"n":1e2}}`,
      ),
    )
  })

  test('hears its own progress alone, under its own token, though all tenants use the same one', async () => {
    const server = new ScriptedServer()
    const { a, b } = await two(server)
    const withToken = { name: 'x', _meta: { progressToken: 't', other: 1 } }
    const heard = [
      send(a, request(1, 'tools/call', withToken)),
      send(b, request(1, 'tools/call', withToken)),
      send(b, request(2)),
    ]
    await settle()
    const held = server.held('tools/call')
    const tokens = held.map(
      ({ message }) => (message.params?._meta as { progressToken?: number })?.progressToken,
    )
    expect(new Set(tokens).size).toBe(3)
    expect(tokens[2]).toBeUndefined()
    expect(held[0]?.message.params).toMatchObject({ name: 'x', _meta: { other: 1 } })
    for (const progressToken of [...tokens, held[2]?.message.id, 't', 999])
      server.last.say('notifications/progress', {
        progressToken,
        progress: tokens.indexOf(progressToken as number),
      })
    for (const got of held) server.answer(got, { result: {} })
    // Late progress of what is answered finds nobody.
    server.last.say('notifications/progress', { progressToken: tokens[0], progress: 9 })
    await Promise.all(heard.map(({ done }) => done))
    const progress = heard.map(({ messages }) => messages.slice(0, -1).map(({ params }) => params))
    expect(progress).toEqual([
      [{ progressToken: 't', progress: 0 }],
      [{ progressToken: 't', progress: 1 }],
      [],
    ])
    expect(heard[0]?.head).toEqual({ status: 200, contentType: 'event-stream' })
  })

  test('can be cancelled by its own tenant alone, and what was cancelled is not answered', async () => {
    const server = new ScriptedServer()
    const { a, b } = await two(server)
    const first = send(a, request(1))
    const second = send(b, request('1'))
    await settle()
    const [ofA] = server.held('tools/call')
    for (const requestId of [1, ofA?.message.id, 99, undefined])
      await send(b, notice('notifications/cancelled', { requestId, reason: 'mine?' })).done
    expect(server.held('notifications/cancelled')).toEqual([])
    expect(server.methods()).not.toContain('notifications/cancelled')
    await send(a, notice('notifications/cancelled', { requestId: 1, reason: 'mine' })).done
    await settle()
    const told = server.got.filter(({ message }) => message.method === 'notifications/cancelled')
    expect(told.map(({ message }) => message.params)).toEqual([
      { requestId: ofA?.message.id, reason: 'mine' },
    ])
    first.exchange.abort()
    server.last.say('', {}, { method: undefined, id: ofA?.message.id, result: {} })
    for (const got of server.held('tools/call')) server.answer(got, { result: {} })
    await second.done
    expect(first).toMatchObject({ messages: [], ended: false, failure: undefined })
  })

  test('that is cancelled before the session is open is never sent', async () => {
    const server = new ScriptedServer()
    let greet = (): void => {}
    server.greeting = (got) => (greet = () => server.answer(got, { result: hello }))
    const way = share(server).join({ id: 'a' })
    const heard = send(way, request(1))
    send(way, notice('notifications/cancelled', { requestId: 1 }))
    await heard.done
    greet()
    await settle()
    expect(heard.failure).toMatchObject({ sent: false })
    expect(server.methods()).toEqual(['initialize', 'notifications/initialized'])
  })

  test('with an id that is in flight is refused, and the first keeps its answer', async () => {
    const server = new ScriptedServer()
    const { a } = await two(server)
    const first = send(a, request(1))
    const again = send(a, request(1))
    await again.done
    expect(again.failure).toMatchObject({ sent: false })
    await settle()
    for (const got of server.held('tools/call')) server.answer(got, { result: { first: true } })
    await first.done
    expect(first.messages[0]).toMatchObject({ id: 1, result: { first: true } })
  })

  test('beyond the limit of a tenant, or of all, is refused as not sent', async () => {
    const server = new ScriptedServer()
    const { a, b } = await two(server, { limits: { maxInFlight: 2, maxSent: 3 } })
    const heard = [1, 2, 3].map((id) => send(a, request(id)))
    heard.push(send(b, request(1)), send(b, request(2)))
    await settle()
    expect(heard.map(({ failure }) => failure?.sent)).toEqual([undefined, undefined, false, undefined, false])
  })

  test('is answered as an older client can read it', async () => {
    const server = new ScriptedServer()
    const way = share(server).join({ id: 'old' })
    await send(way, request(0, 'initialize', { protocolVersion: '2024-11-05' })).done
    const heard = send(way, request(1))
    await settle()
    const link = { type: 'resource_link', uri: 'file:///x', name: 'x' }
    for (const got of server.held('tools/call')) server.answer(got, { result: { content: [link] } })
    await heard.done
    expect(heard.messages[0]?.result?.content).toEqual([
      { type: 'text', text: expect.stringContaining('file:///x') },
    ])
  })
})

describe('a slow tenant', () => {
  test('does not hold up the others; what it has not read waits, and comes in order', async () => {
    const server = new ScriptedServer()
    const { a, b } = await two(server)
    const slow = send(a, request(1, 'tools/call', { _meta: { progressToken: 1 } }))
    await settle()
    slow.exchange.pause()
    const [got] = server.held('tools/call')
    for (let progress = 0; progress < 3; progress++)
      server.last.say('notifications/progress', { progressToken: got?.message.id, progress })
    if (got) server.answer(got, { result: {} })
    const quick = send(b, request(1))
    await settle()
    for (const other of server.held('tools/call')) server.answer(other, { result: {} })
    await quick.done
    expect(slow.messages).toEqual([])
    expect(got?.paused).toBe(false)
    slow.exchange.resume()
    await slow.done
    expect(slow.messages.map(({ params }) => params?.progress)).toEqual([0, 1, 2, undefined])
    expect(slow.ended).toBe(true)
  })

  test('that does not read what its call says loses the call, and the server is told', async () => {
    const server = new ScriptedServer()
    const { a } = await two(server, { limits: { maxHeldBytes: 1000 } })
    const slow = send(a, request(1, 'tools/call', { _meta: { progressToken: 1 } }))
    await settle()
    slow.exchange.pause()
    const [got] = server.held('tools/call')
    for (let progress = 0; progress < 30; progress++)
      server.last.say('notifications/progress', { progressToken: got?.message.id, progress })
    await slow.done
    expect(slow.failure).toMatchObject({ tooLarge: true, sent: true })
    await settle()
    expect(server.got.at(-1)?.message).toMatchObject({
      method: 'notifications/cancelled',
      params: { requestId: got?.message.id },
    })
  })

  test('that does not read its stream gets each kind of news once, and too many others end the stream', async () => {
    const server = new ScriptedServer()
    const { a, b } = await two(server, { limits: { maxQueuedMessages: 5 } })
    const [slow, quick] = [listen(a), listen(b)]
    await settle()
    slow.exchange.pause()
    for (let n = 0; n < 100; n++) {
      server.last.say('notifications/tools/list_changed', { n })
      server.last.say('notifications/prompts/list_changed', { n })
    }
    expect(quick.messages).toHaveLength(200)
    slow.exchange.resume()
    expect(slow.messages.map(({ params }) => params?.n)).toEqual([99, 99])
    slow.exchange.pause()
    await b.close()
    for (let n = 0; n < 10; n++) server.last.say('notifications/custom', { n })
    await slow.done
    expect(slow.failure).toBeDefined()
    const again = listen(a)
    await settle()
    expect(again.head).toEqual({ status: 200, contentType: 'event-stream' })
    expect(again.messages).toEqual([])
  })
})

describe('what the server says of its own', () => {
  test('about its lists reaches every tenant that listens, once', async () => {
    const server = new ScriptedServer()
    const { a, b, session } = await two(server)
    const [third] = await tenants(session, 1)
    const heard = [listen(a), listen(b)]
    await settle()
    server.last.say('notifications/tools/list_changed')
    expect(heard.map(({ messages }) => messages.length)).toEqual([1, 1])
    // Who listens late is told then.
    if (third) heard.push(listen(third))
    await settle()
    expect(heard[2]?.messages).toHaveLength(1)
  })

  test('about a resource reaches those who subscribed to it or to what holds it', async () => {
    const server = new ScriptedServer()
    const { a, b } = await two(server)
    const [ofA, ofB] = [listen(a), listen(b)]
    const uri = 'file:///x/1'
    await Promise.all([
      send(a, request(1, 'resources/subscribe', { uri })).done,
      send(a, request(2, 'resources/subscribe', { uri: 'file:///y/' })).done,
      send(b, request(1, 'resources/subscribe', { uri: 'file:///y' })).done,
    ])
    for (const one of [uri, 'file:///y/2', 'file:///z', 'file:///x/11', 'file:///y2'])
      server.last.say('notifications/resources/updated', { uri: one })
    expect(ofA.messages.map(({ params }) => params?.uri)).toEqual([uri, 'file:///y/2'])
    expect(ofB.messages.map(({ params }) => params?.uri)).toEqual(['file:///y/2'])
  })

  test('in its log reaches a tenant only while nobody else has or just had a request there', async () => {
    const server = new ScriptedServer()
    const clock = new ManualClock()
    const { a, b } = await two(server, { clock, openTimeoutMs: 50 })
    const [ofA, ofB] = [listen(a), listen(b)]
    await settle()
    const log = (data: string): void => server.last.say('notifications/message', { level: 'info', data })
    const read = (): unknown[][] =>
      [ofA, ofB].map(({ messages }) => messages.map(({ params }) => params?.data))
    log('nobody')
    const first = send(a, request(1))
    log('a alone')
    const second = send(b, request(1))
    log('both')
    server.answer(await until(() => server.held('tools/call')[0]), { result: {} })
    await first.done
    log('a has only just ended')
    clock.advance(2000)
    log('b alone')
    expect(read()).toEqual([['a alone'], ['b alone']])
    second.exchange.abort()
    await settle()
    const third = send(a, request(2))
    clock.advance(5000)
    log('the server may still work for b')
    clock.advance(60_000)
    log('no more')
    expect(read()).toEqual([['a alone', 'no more'], ['b alone']])
    third.exchange.abort()
  })

  test('in its log comes with the call where the tenant has no stream', async () => {
    const server = new ScriptedServer()
    const { a } = await two(server)
    const heard = send(a, request(1))
    await settle()
    server.last.say('notifications/message', { level: 'info', data: 'x' })
    expect(heard.messages).toHaveLength(1)
  })

  test('in a kind that nobody knows reaches the only tenant, and nobody where there are more', async () => {
    const server = new ScriptedServer()
    const { a, b } = await two(server)
    const heard = listen(a)
    await settle()
    server.last.say('notifications/custom', { n: 1 })
    await b.close()
    server.last.say('notifications/custom', { n: 2 })
    expect(heard.messages.map(({ params }) => params?.n)).toEqual([2])
  })

  test('as a request is answered by the gateway: ping with a result, the rest with an error', async () => {
    const server = new ScriptedServer()
    const { a } = await two(server)
    const heard = [listen(a), send(a, request(1))]
    await settle()
    server.last.say('ping', {}, { id: 1 })
    server.last.say('sampling/createMessage', { secret: 1 }, { id: 'p' })
    server.last.say('elicitation/create', {}, { id: 2 })
    await settle()
    expect(server.got.slice(-3).map(({ message }) => message)).toEqual([
      { jsonrpc: '2.0', id: 1, result: {} },
      {
        jsonrpc: '2.0',
        id: 'p',
        error: { code: -32601, message: expect.stringContaining('sampling/createMessage') },
      },
      { jsonrpc: '2.0', id: 2, error: { code: -32601, message: expect.any(String) } },
    ])
    expect(heard.flatMap(({ messages }) => messages)).toEqual([])
  })
})

describe('subscriptions', () => {
  const subscribe = (way: Upstream, id: number, uri = 'u:1') =>
    send(way, request(id, 'resources/subscribe', { uri }))
  const unsubscribe = (way: Upstream, id: number, uri = 'u:1') =>
    send(way, request(id, 'resources/unsubscribe', { uri }))
  const asked = (server: ScriptedServer): (string | undefined)[] =>
    server.methods().filter((method) => method?.startsWith('resources/'))

  test('are asked for by the first tenant and ended by the last', async () => {
    const server = new ScriptedServer()
    const { a, b, session } = await two(server)
    const heard = [subscribe(a, 1), subscribe(b, 1), subscribe(a, 2)]
    await Promise.all(heard.map(({ done }) => done))
    expect(heard.map(({ messages }) => messages)).toEqual(
      [1, 1, 2].map((id) => [{ jsonrpc: '2.0', id, result: {} }]),
    )
    expect(asked(server)).toEqual(['resources/subscribe'])
    await unsubscribe(a, 3).done
    await unsubscribe(a, 4).done
    expect(asked(server)).toEqual(['resources/subscribe'])
    await unsubscribe(b, 2).done
    expect(asked(server)).toEqual(['resources/subscribe', 'resources/unsubscribe'])
    expect(session.counts().subscriptions).toBe(0)
  })

  test('wait for the first answer, and each tenant hears a refusal of its own', async () => {
    const server = new ScriptedServer()
    server.obliging.delete('resources/subscribe')
    const { a, b, session } = await two(server)
    const [first, second] = [subscribe(a, 1), subscribe(b, 'x' as unknown as number)]
    for (const n of [1, 2]) {
      const got = await until(() => server.held('resources/subscribe')[0])
      server.answer(got, { error: { code: -32002, message: `no ${n}` } })
      await settle()
    }
    await Promise.all([first.done, second.done])
    expect(first.messages[0]).toMatchObject({ id: 1, error: { message: 'no 1' } })
    expect(second.messages[0]).toMatchObject({ id: 'x', error: { message: 'no 2' } })
    expect(session.counts().subscriptions).toBe(0)
  })

  test('end with their tenant, and are bounded', async () => {
    const server = new ScriptedServer()
    const { a, b, session } = await two(server, { limits: { maxSubscriptionsPerTenant: 2 } })
    const heard = [subscribe(a, 1), subscribe(a, 2, 'u:2'), subscribe(a, 3, 'u:3'), subscribe(b, 1, 'u:2')]
    await Promise.all(heard.map(({ done }) => done))
    expect(heard[2]?.messages[0]?.error?.message).toContain('too many subscriptions')
    await a.close()
    await until(() => session.counts().subscriptions === 1)
    expect(
      server.got
        .filter(({ message }) => message.method === 'resources/unsubscribe')
        .map(({ message }) => message.params),
    ).toEqual([{ uri: 'u:1' }])
    await b.close()
    await until(() => session.counts().subscriptions === 0)
  })
})

describe('log levels', () => {
  test('are the most verbose at the server, and their own for each tenant', async () => {
    const server = new ScriptedServer()
    const clock = new ManualClock()
    const { a, b } = await two(server, { clock, openTimeoutMs: 50 })
    const set = (way: Upstream, id: number, level: string) =>
      send(way, request(id, 'logging/setLevel', { level }))
    const told = (): unknown[] =>
      server.got.flatMap(({ message }) =>
        message.method === 'logging/setLevel' ? [message.params?.level] : [],
      )
    await set(a, 1, 'error').done
    await set(b, 1, 'debug').done
    await set(a, 2, 'warning').done
    const wrong = set(a, 3, 'loud')
    await wrong.done
    expect(wrong.messages[0]?.error?.code).toBe(-32602)
    expect(told()).toEqual(['error', 'debug'])
    const heard = send(a, request(4))
    await settle()
    for (const level of ['debug', 'warning', 'emergency']) server.last.say('notifications/message', { level })
    expect(heard.messages.map(({ params }) => params?.level)).toEqual(['warning', 'emergency'])
    await b.close()
    await settle()
    expect(told()).toEqual(['error', 'debug', 'warning'])
  })

  test('that the server refuses are as they were', async () => {
    const server = new ScriptedServer()
    server.obliging.delete('logging/setLevel')
    const { a } = await two(server)
    const heard = send(a, request(1, 'logging/setLevel', { level: 'debug' }))
    server.answer(await until(() => server.held('logging/setLevel')[0]), {
      error: { code: -32601, message: 'no' },
    })
    await heard.done
    expect(heard.messages[0]).toMatchObject({ id: 1, error: { code: -32601 } })
  })
})

describe('a task', () => {
  test('is found, listed, cancelled and heard of by its own tenant alone', async () => {
    const server = new ScriptedServer()
    const { a, b } = await two(server)
    const [ofA, ofB] = [listen(a), listen(b)]
    for (const [way, taskId] of [
      [a, 'one'],
      [b, 'two'],
    ] as const) {
      const call = send(way, request(1, 'tools/call', { task: { ttl: 1 } }))
      server.answer(await until(() => server.held('tools/call')[0]), { result: { task: { taskId } } })
      await call.done
    }
    const before = server.got.length
    for (const method of ['tasks/get', 'tasks/result', 'tasks/cancel']) {
      const theft = send(b, request(2, method, { taskId: 'one' }))
      await theft.done
      expect(theft.messages[0]?.error?.code).toBe(-32602)
    }
    expect(server.got.length).toBe(before)
    const list = send(b, request(3, 'tasks/list'))
    const tasks = [{ taskId: 'one' }, { taskId: 'two' }, { taskId: 'three' }]
    server.answer(await until(() => server.held('tasks/list')[0]), { result: { tasks, nextCursor: 'n' } })
    await list.done
    expect(list.messages[0]?.result).toEqual({ tasks: [{ taskId: 'two' }], nextCursor: 'n' })
    for (const taskId of ['one', 'two', 'three']) server.last.say('notifications/tasks/status', { taskId })
    expect([ofA, ofB].map(({ messages }) => messages.map(({ params }) => params?.taskId))).toEqual([
      ['one'],
      ['two'],
    ])
    const own = send(a, request(4, 'tasks/get', { taskId: 'one' }))
    server.answer(await until(() => server.held('tasks/get')[0]), { result: { taskId: 'one' } })
    await own.done
    expect(own.messages[0]).toMatchObject({ id: 4, result: { taskId: 'one' } })
  })
})

describe('a lost session', () => {
  test('fails what was in flight as sent; the next request opens it once, with subscriptions and level', async () => {
    const server = new ScriptedServer()
    const { a, b } = await two(server, { limits: { firstBackoffMs: 1 } })
    const stream = listen(a)
    await send(a, request(1, 'resources/subscribe', { uri: 'u:1' })).done
    await send(b, request(1, 'logging/setLevel', { level: 'info' })).done
    const lost = [send(a, request(2)), send(b, request(2))]
    await settle()
    server.last.die()
    await Promise.all(lost.map(({ done }) => done))
    for (const { failure } of lost)
      expect(failure).toEqual({ stage: 'process', message: 'it died', sent: true })
    const next = [send(a, request(3)), send(b, request(3))]
    const held = await until(() =>
      server.held('tools/call').length === 2 ? server.held('tools/call') : undefined,
    )
    for (const got of held) server.answer(got, { result: {} })
    await Promise.all(next.map(({ done }) => done))
    expect(server.connections).toHaveLength(2)
    const second = server.got
      .filter(({ connection }) => connection.number === 2)
      .map(({ message }) => message.method)
    expect(second.slice(0, 2)).toEqual(['initialize', 'notifications/initialized'])
    expect(new Set(second.slice(2))).toEqual(
      new Set(['logging/setLevel', 'resources/subscribe', 'tools/call']),
    )
    expect(second).toHaveLength(6)
    server.last.say('notifications/resources/updated', { uri: 'u:1' })
    expect(stream.messages).toHaveLength(1)
  })

  test('is opened again unasked where a tenant follows a resource', async () => {
    const server = new ScriptedServer()
    const { a } = await two(server, { limits: { firstBackoffMs: 1 } })
    const stream = listen(a)
    await send(a, request(1, 'resources/subscribe', { uri: 'u:1' })).done
    server.last.die()
    await until(() =>
      server.methods().filter((m) => m === 'resources/subscribe').length === 2 ? true : undefined,
    )
    server.last.say('notifications/resources/updated', { uri: 'u:1' })
    expect(stream.messages).toHaveLength(1)
  })

  test('is tried again only after a pause that doubles; meanwhile requests fail at once as not sent', async () => {
    const server = new ScriptedServer()
    const clock = new ManualClock()
    const limits = { firstBackoffMs: 400, maxBackoffMs: 2000 }
    const { a } = await two(server, { clock, openTimeoutMs: 50, limits })
    const pauses: number[] = []
    for (let round = 0; round < 5; round++) {
      server.last.die()
      const before = server.connections.length
      let waitedMs = 0
      for (;;) {
        const heard = send(a, request(round))
        await until(() => heard.failure ?? server.held('tools/call')[0])
        if (server.connections.length > before) break
        expect(heard.failure).toMatchObject({ sent: false })
        clock.advance(50)
        waitedMs += 50
        expect(waitedMs).toBeLessThan(10_000)
      }
      pauses.push(waitedMs)
    }
    // The last of each pause is waited out, since it is shorter than what a tenant waits.
    expect(pauses).toEqual([350, 750, 1550, 1950, 1950])
  })

  test('over HTTP is opened again for a request that met a 404, which the server had not taken', async () => {
    const server = new ScriptedServer({ multiplexed: false })
    const { a, b } = await two(server, { limits: { firstBackoffMs: 1 } })
    const running = send(b, request(1))
    await settle()
    server.heldHttpStatus = ({ headers, message }) =>
      message.method === 'tools/call' && headers['mcp-session-id'] === 's1' ? 404 : 200
    const heard = [send(a, request(1)), send(a, request(2))]
    const held = await until(() => {
      const calls = server.held('tools/call')
      return calls.filter(({ connection }) => connection.number === 2).length === 2 ? calls : undefined
    })
    expect(held.map(({ headers }) => headers['mcp-session-id'])).toEqual(['s1', 's2', 's2'])
    for (const got of held) server.answer(got, { result: { by: got.headers['mcp-session-id'] } })
    await Promise.all([running, ...heard].map(({ done }) => done))
    expect([running, ...heard].map(({ messages }) => messages[0]?.result?.by)).toEqual(['s1', 's2', 's2'])
    expect(server.methods().filter((method) => method === 'initialize')).toHaveLength(2)
  })

  test('over HTTP that meets 404 again and again fails, and is not tried for ever', async () => {
    const server = new ScriptedServer({ multiplexed: false })
    const { a } = await two(server, { limits: { firstBackoffMs: 1 } })
    server.heldHttpStatus = ({ message }) => (message.method === 'tools/call' ? 404 : 200)
    const heard = send(a, request(1))
    await heard.done
    expect(heard.failure).toMatchObject({ sent: false })
    expect(server.methods().filter((method) => method === 'tools/call')).toHaveLength(2)
  })
})

describe('over HTTP', () => {
  test("the session's own id and version go with every message, the tenant's never, and the id stays here", async () => {
    const server = new ScriptedServer({ multiplexed: false })
    const { a, session } = await two(server)
    const heard = send(a, request(1), undefined, {
      'mcp-session-id': 'mine',
      'mcp-protocol-version': '2024-11-05',
      'last-event-id': '1',
      'mcp-x': 'y',
    })
    const got = await until(() => server.held('tools/call')[0])
    expect(got.headers).toMatchObject({
      'mcp-session-id': 's1',
      'mcp-protocol-version': '2025-11-25',
      'mcp-x': 'y',
    })
    expect(got.headers).not.toHaveProperty('last-event-id')
    got.sink.head({ status: 200, contentType: 'json', sessionId: 'leak' })
    expect(heard.head).toEqual({ status: 200, contentType: 'json' })
    await session.close()
    expect(server.last.ended).toBe(true)
  })

  test('the stream of the server is opened once, when the first tenant listens, and again after its end', async () => {
    const server = new ScriptedServer({ multiplexed: false })
    const { a, b } = await two(server)
    expect(server.last.listeners).toHaveLength(0)
    const heard = [listen(a), listen(b)]
    await settle()
    expect(server.last.listeners).toHaveLength(1)
    server.last.say('notifications/tools/list_changed')
    expect(heard.map(({ messages }) => messages.length)).toEqual([1, 1])
    const [first] = server.last.listeners
    if (first) server.end(first)
    await until(() => server.last.listeners.length === 2)
    server.last.say('notifications/prompts/list_changed')
    expect(heard.map(({ messages }) => messages.length)).toEqual([2, 2])
  })

  test('an answer whose stream the server ends early is fetched from where it ended', async () => {
    const server = new ScriptedServer({ multiplexed: false })
    const { a } = await two(server)
    const heard = send(a, request(1))
    const got = await until(() => server.held('tools/call')[0])
    got.sink.head({ status: 200, contentType: 'event-stream' })
    const frame = Buffer.from('id: e1\nretry: 10\ndata: \n\n')
    got.sink.message({ message: undefined, bytes: Buffer.alloc(0), frame })
    server.end(got)
    const resumed = await until(() => server.last.listeners[0])
    expect(resumed.headers).toMatchObject({ 'last-event-id': 'e1', 'mcp-session-id': 's1' })
    await settle()
    resumed.sink.message(messageOf({ jsonrpc: '2.0', id: got.message.id, result: { late: true } }))
    await heard.done
    expect(heard.messages).toEqual([{ jsonrpc: '2.0', id: 1, result: { late: true } }])
  })

  test('a pause of one answer stops its own response alone', async () => {
    const server = new ScriptedServer({ multiplexed: false })
    const { a, b } = await two(server)
    const [slow] = [send(a, request(1)), send(b, request(1))]
    await settle()
    slow?.exchange.pause()
    expect(server.held('tools/call').map(({ paused }) => paused)).toEqual([true, false])
    slow?.exchange.resume()
    expect(server.held('tools/call').map(({ paused }) => paused)).toEqual([false, false])
  })
})

describe('leaving', () => {
  test('ends what the tenant waits for and tells the server, while the others go on', async () => {
    const server = new ScriptedServer()
    const { a, b, session } = await two(server)
    const heard = [send(a, request(1)), listen(a)]
    const other = send(b, request(1))
    await settle()
    const [ofA, ofB] = server.held('tools/call')
    await a.close()
    expect(heard.map(({ failure }) => failure?.gone)).toEqual([true, true])
    await settle()
    expect(server.got.at(-1)?.message).toMatchObject({
      method: 'notifications/cancelled',
      params: { requestId: ofA?.message.id },
    })
    if (ofB) server.answer(ofB, { result: {} })
    await other.done
    expect(other.ended).toBe(true)
    const late = send(a, request(2))
    await late.done
    expect(late.failure).toMatchObject({ sent: false, gone: true })
    expect(session.counts()).toEqual({ ...nothingHeld, tenants: 1 })
  })

  test('by the last tenant ends the session after an idle time, unless another comes', async () => {
    const server = new ScriptedServer()
    const all = new SharedSessions({ maxSessions: 1 })
    const join = (key: string): Upstream =>
      all.join(key, { id: 'x' }, () => sharedOptions(server, { idleMs: 30 }))
    const first = join('k')
    await send(first, request(0, 'initialize')).done
    await first.close()
    const second = join('k')
    await new Promise((resolve) => setTimeout(resolve, 60))
    expect(server.last.closed).toBe(false)
    expect(all.counts()).toEqual({ sessions: 1, tenants: 1, inFlight: 0 })
    expect(() => join('other')).toThrow('Too many open sessions')
    await second.close()
    await until(() => all.counts().sessions === 0)
    expect(server.last.closed).toBe(true)
    expect(server.connections).toHaveLength(1)
    await all.closeAll()
    expect(() => join('k')).toThrow('shutting down')
  })

  test('is done for all by whoever ends the session: what waits fails, and may be tried over another', async () => {
    const server = new ScriptedServer()
    const all = new SharedSessions({ maxSessions: 9 })
    const join = (key: string): Upstream => all.join(key, { id: 'x' }, () => sharedOptions(server))
    const [kept, ended] = [join('keep'), join('end')]
    await send(kept, request(0, 'initialize')).done
    const waiting = send(ended, request(1))
    await all.closeWhere((key) => key === 'end')
    await waiting.done
    expect(waiting.failure).toMatchObject({ gone: true, sent: false })
    expect(all.counts()).toEqual({ sessions: 1, tenants: 1, inFlight: 0 })
    expect(server.connections.map(({ closed }) => closed)).toEqual([false, true])
    await all.closeAll()
    expect(all.counts()).toEqual({ sessions: 0, tenants: 0, inFlight: 0 })
  })
})
