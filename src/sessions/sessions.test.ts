// What sessions promise: bounded, bound to their caller, and nothing left open when they end.
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { ManualClock } from '../base/clock.ts'
import type { Principal } from '../identity/principal.ts'
import {
  closeStore,
  startCalls,
  testServer,
  toolCall,
  alice,
  type Calls,
  type CallsOptions,
} from '../../test/harness/calls.ts'
import { until } from '../../test/harness/until.ts'

let calls: Calls
const start = async (options: CallsOptions = {}): Promise<Calls> => (calls = await startCalls(options))
afterEach(() => calls.stop())
afterAll(closeStore)

const bob: Principal = { ...alice, userId: 'usr_bob', username: 'bob' }
const stdio = { ...testServer, transport: { type: 'stdio', command: 'x', args: [], env: {} } } as const
const initialized = { protocolVersion: '2025-11-25' }

describe('the life of a session', () => {
  test('it moves from created over connected to active, and gets its token with the first answer', async () => {
    await start()
    const session = await calls.open()
    expect(session.status).toBe('created')
    calls.upstream.script = (up) => up.succeed(initialized, { sessionId: 'up-1' })
    const reply = await calls.ask({ id: 1, method: 'initialize' }, { session }).done()
    expect(reply.answer?.sessionToken).toBe(session.token)
    expect(session).toMatchObject({
      status: 'connected',
      protocolVersion: '2025-11-25',
      upstreamSessionId: 'up-1',
    })
    calls.upstream.script = (up) => up.succeed()
    await calls.ask(toolCall(2), { session }).done()
    expect(session.status).toBe('active')
    expect(calls.upstream.of('tools/call')[0]?.headers['mcp-session-id']).toBe('up-1')
  })

  test('an initialize that the server refuses ends its session', async () => {
    await start()
    const session = await calls.open()
    calls.upstream.script = (up) =>
      up.json({ jsonrpc: '2.0', id: 1, error: { code: -32602, message: 'version' } }, { status: 400 })
    await calls.ask({ id: 1, method: 'initialize' }, { session }).done()
    await until(() => session.status === 'closed', 'the end of the session')
    expect(calls.sessions.count).toBe(0)
  })

  test.each([
    ['an inactive server', { server: { ...testServer, status: 'inactive' as const } }, {}],
    ['an exhausted balance', {}, { mode: 'prepaid' as const }],
  ])('an initialize that is refused for %s leaves no session behind', async (_, extra, options) => {
    await start(options)
    await calls.rules.create({
      name: 'i',
      currency: 'USD',
      match: { method: 'initialize' },
      price: { perCall: '1' },
    })
    const session = await calls.open()
    await calls.ask({ id: 1, method: 'initialize' }, { session, ...extra }).done()
    await until(() => session.status === 'closed', 'the end of the session')
    expect(calls.sessions.count).toBe(0)
    expect(calls.upstream.sent).toEqual([])
  })

  test('a child that was started for a refused initialize is stopped', async () => {
    await start({ mode: 'prepaid' })
    await calls.rules.create({
      name: 'i',
      currency: 'USD',
      match: { method: 'initialize' },
      price: { perCall: '1' },
    })
    const session = await calls.open(stdio)
    await calls.ask({ id: 1, method: 'initialize' }, { session, server: stdio }).done()
    await until(() => calls.children[0]?.closed === 1, 'the end of the child')
  })

  test('only one initialize at a time; over HTTP an id may be used again', async () => {
    await start()
    const session = await calls.open()
    calls.ask({ id: 1, method: 'initialize' }, { session })
    expect((await calls.ask({ id: 2, method: 'initialize' }, { session }).done()).answer?.status).toBe(400)
    calls.upstream.sent[0]?.succeed(initialized)
    const first = calls.ask(toolCall(3), { session })
    // Over HTTP each request has an answer of its own, so the same id twice harms nobody.
    const twin = calls.ask(toolCall(3), { session })
    for (const up of calls.upstream.of('tools/call')) up.succeed()
    expect([(await first.done()).json.id, (await twin.done()).json.id]).toEqual([3, 3])
  })

  test('over one connection a second call with an id in flight is refused; the text of a number is another id', async () => {
    await start()
    const session = await calls.connect()
    session.upstream = Object.assign(calls.upstream, { transport: 'stdio' as const, multiplexed: true })
    const first = calls.ask(toolCall(3), { session })
    const second = await calls.ask(toolCall(3), { session }).done()
    expect(second.json.error?.code).toBe(-32600)
    const text = calls.ask(toolCall('3'), { session })
    for (const up of calls.upstream.of('tools/call')) up.succeed()
    expect([(await first.done()).json.id, (await text.done()).json.id]).toEqual([3, '3'])
  })

  test('closing it answers its calls, ends its streams and the server side, and writes it down', async () => {
    await start()
    const session = await calls.connect()
    const [one, two] = [calls.ask(toolCall(1), { session }), calls.ask(toolCall(2), { session })]
    const watching = calls.stream(session)
    await calls.sessions.close(session)
    await Promise.all([one.done(), two.done(), watching.done()])
    expect([one.answer?.status, two.json.id]).toEqual([404, 2])
    expect([...calls.upstream.of('tools/call'), ...calls.upstream.streams].every((up) => up.aborted)).toBe(
      true,
    )
    expect(calls.endedSessions).toEqual([session])
    expect(await calls.sessionStore.find(session.id)).toMatchObject({ status: 'closed' })
    expect((await calls.ask(toolCall(3), { session }).done()).answer?.status).toBe(404)
    await calls.sessions.close(session)
    expect(calls.endedSessions.length).toBe(1)
    expect((await calls.books()).records).toBe(4)
    expect(calls.held()).toBe(0n)
  })

  test('a revocation closes the sessions of that caller alone', async () => {
    await start()
    const own = await calls.connect()
    const other = await calls.open(testServer, bob)
    await calls.sessions.closeWhere((session) => session.userId === alice.userId)
    expect([own.status, other.status]).toEqual(['closed', 'created'])
  })

  test('a session that is closed while its row is written does not open', async () => {
    await start()
    const refused = expect(calls.open()).rejects.toMatchObject({ code: 'session_not_found' })
    await calls.sessions.closeWhere(() => true)
    await refused
    expect(calls.sessions.count).toBe(0)
  })

  test('a session that cannot be written down is not there', async () => {
    await start()
    calls.fault.write = true
    await expect(calls.open()).rejects.toMatchObject({ code: 'store_unavailable' })
    expect(calls.sessions.count).toBe(0)
  })
})

describe('whose a session is', () => {
  test('its token finds it for its user and its server only', async () => {
    await start()
    const session = await calls.open()
    const find = (userId: string, serverId: string) =>
      calls.sessions.findByToken(session.token, { userId, serverId })
    expect(find(alice.userId, testServer.id)).toBe(session)
    expect(find(bob.userId, testServer.id)).toBeUndefined()
    expect(find(alice.userId, 'srv_two')).toBeUndefined()
    await calls.sessions.close(session)
    expect(find(alice.userId, testServer.id)).toBeUndefined()
  })

  test('tokens are unguessable and alike in nothing', async () => {
    await start({ limits: { maxPerPrincipal: 300, maxTotal: 300 } })
    const tokens = (await Promise.all(Array.from({ length: 200 }, () => calls.open()))).map(
      ({ token }) => token,
    )
    expect(new Set(tokens).size).toBe(200)
    expect(tokens.every((token) => /^[\x21-\x7e]{32}$/.test(token))).toBe(true)
    expect(new Set(tokens.map((token) => token.slice(0, 4))).size).toBeGreaterThan(190)
  })

  test('the same id in two sessions is two calls', async () => {
    await start()
    const [own, other] = [await calls.connect(), await calls.connect('up-2')]
    const replies = [calls.ask(toolCall(1), { session: own }), calls.ask(toolCall(1), { session: other })]
    calls.upstream.sent.forEach((up) => up.succeed({ session: up.headers['mcp-session-id'] }))
    await Promise.all(replies.map((reply) => reply.done()))
    expect(replies.map((reply) => reply.json.result)).toEqual([{ session: 'up-1' }, { session: 'up-2' }])
  })
})

describe('limits', () => {
  const refused = { code: 'too_many_sessions', retryAfterS: 10 }

  test('a caller has at most its share, and gets it back', async () => {
    await start({ limits: { maxPerPrincipal: 2 } })
    const [first] = [await calls.open(), await calls.open()]
    await expect(calls.open()).rejects.toMatchObject(refused)
    await calls.open(testServer, bob)
    await calls.sessions.close(first)
    await calls.open()
  })

  test('all callers together have at most the total', async () => {
    await start({ limits: { maxTotal: 2 } })
    await calls.open()
    await calls.open(testServer, bob)
    await expect(calls.open(testServer, { ...bob, userId: 'usr_carol' })).rejects.toMatchObject(refused)
  })

  test('a stdio server starts at most as many children as it may', async () => {
    await start({ limits: { maxPerPrincipal: 100, maxTotal: 100 } })
    for (let i = 0; i < stdio.limits.maxSessions; i++) await calls.open(stdio)
    await expect(calls.open(stdio)).rejects.toMatchObject(refused)
  })

  test('caps hold against sessions opened at once', async () => {
    await start({ limits: { maxPerPrincipal: 3 } })
    const opened = await Promise.allSettled(Array.from({ length: 20 }, () => calls.open()))
    expect(opened.filter(({ status }) => status === 'fulfilled').length).toBe(3)
  })

  test('an idle session expires, one with a call in flight does not, and none outlives its absolute limit', async () => {
    const clock = new ManualClock()
    await start({ clock, limits: { idleMs: 1000, absoluteMs: 5000 } })
    calls.sessions.start()
    const [idle, busy] = [await calls.connect(), await calls.connect('up-2')]
    const reply = calls.ask(toolCall(1), { session: busy })
    clock.advance(1500)
    await until(() => idle.status === 'expired', 'the idle session to expire')
    expect(busy.open).toBe(true)
    await expect.poll(async () => (await calls.sessionStore.find(idle.id))?.status).toBe('expired')
    clock.advance(4000)
    await until(() => busy.status === 'expired', 'the busy session to expire')
    expect((await reply.done()).answer?.status).toBe(404)
  })
})
