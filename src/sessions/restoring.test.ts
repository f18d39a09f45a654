// What a restart promises: a session goes on for its own client, as long as its credential stands and its time lasts.
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { ManualClock } from '../base/clock.ts'
import { silentLog } from '../base/log.ts'
import { rawQuery } from '../db/raw-query.ts'
import type { Principal } from '../identity/principal.ts'
import type { CredentialCheck } from '../identity/credential-check.ts'
import type { Server } from '../registry/server.ts'
import {
  alice,
  closeStore,
  startCalls,
  testServer,
  toolCall,
  type Calls,
  type CallsOptions,
  type FakeExchange,
} from '../../test/harness/calls.ts'
import { until } from '../../test/harness/until.ts'
import { restoreSessions, type Restored } from './restoring.ts'
import { Sessions } from './sessions.ts'
import type { Session } from './session.ts'

let calls: Calls
const start = async (options: CallsOptions = {}): Promise<Calls> => (calls = await startCalls(options))
afterEach(() => calls.stop())
afterAll(closeStore)

const signedIn: Principal = { ...alice, loginId: 'rft_1' }
const child: Server = { ...testServer, transport: { type: 'stdio', command: 'x', args: [], env: {} } }
const limits = { idleMs: 60_000, absoluteMs: 600_000, maxPerPrincipal: 10, maxTotal: 10 }

interface Next {
  readonly clock?: ManualClock
  readonly server?: Server | undefined
  /** Whose credentials still stand. */
  readonly stands?: (loginId: string | undefined) => boolean
  readonly maxTotal?: number
}

/** What the next process finds. The relay is the same: it knows nothing but the session that it is given. */
async function restart({ clock, stands = () => true, maxTotal = 10, ...more }: Next = {}) {
  const server = 'server' in more ? more.server : testServer
  const wake: Parameters<typeof restoreSessions>[0] = {
    store: calls.sessionStore,
    clock: clock ?? new ManualClock(Date.now()),
    ways: calls.ways,
    credentials: {
      findPrincipals: async (references: { loginId: string | undefined }[]) =>
        references.map(({ loginId }) => (stands(loginId) ? signedIn : undefined)),
    } as unknown as CredentialCheck,
    findServer: () => server,
    maxTotal,
  }
  const restored: Restored = await restoreSessions(wake)
  const ended: Session[] = []
  const sessions = new Sessions({
    store: calls.sessionStore,
    clock: wake.clock,
    log: silentLog,
    limits,
    endUpstream: async (session) => void ended.push(session),
  })
  sessions.start(restored)
  return { sessions, restored, ended }
}

/** A session that is open when the process ends; `leave` is how it ends. */
async function opened(leave: 'stop' | 'kill', server = testServer): Promise<Session> {
  const session = await calls.sessions.open(signedIn, {
    server,
    transport: 'streamable-http',
    ephemeral: true,
    client: { ip: '127.0.0.1', userAgent: 'test', info: 'test/1' },
  })
  calls.upstream.script = initialize
  const params = { protocolVersion: '2025-11-25' }
  await calls.ask({ id: 'init', method: 'initialize', params }, { session, server }).done()
  calls.upstream.sent.length = 0
  await expect.poll(async () => (await calls.sessionStore.find(session.id))?.status).toBe('connected')
  if (leave === 'stop') await calls.sessions.stop()
  return session
}

const initialize = (up: FakeExchange, message: { method?: string }): void => {
  const result = message.method === 'initialize' ? { protocolVersion: '2025-11-25' } : { done: true }
  up.succeed(result, { sessionId: 'up-1' })
}

const owner = { userId: signedIn.userId, serverId: testServer.id }

describe.each(['stop', 'kill'] as const)('after a %s a session', (leave) => {
  test('goes on for its own client, at the same server session, without another initialize', async () => {
    await start()
    const before = await opened(leave)
    expect(calls.endedSessions).toEqual([])
    const { sessions } = await restart()
    expect(sessions.findByToken('x'.repeat(32), owner)).toBeUndefined()
    expect(sessions.findByToken(before.token, { ...owner, userId: 'usr_bob' })).toBeUndefined()
    const session = sessions.findByToken(before.token, owner)
    expect(session).toMatchObject({
      id: before.id,
      status: 'connected',
      protocolVersion: '2025-11-25',
      client: { info: 'test/1' },
      principal: signedIn,
      createdAtMs: before.createdAtMs,
    })
    expect(sessions.findByToken(before.token, owner)).toBe(session)
    expect((await calls.ask(toolCall(1), { session }).done()).json.result).toEqual({ done: true })
    expect(
      calls.upstream.sent.map((up) => [up.request?.message.method, up.headers['mcp-session-id']]),
    ).toEqual([['tools/call', 'up-1']])
    expect([sessions.count, sessions.findById(before.id)]).toEqual([1, session])
  })

  test('with a child has it started and initialized again before the first message, once for all', async () => {
    await start()
    const before = await opened(leave, child)
    if (leave === 'stop') expect(calls.children[0]?.closed).toBe(1)
    const { sessions } = await restart({ server: child })
    const session = sessions.findByToken(before.token, owner)
    expect(calls.children.length).toBe(1)
    const replies = [1, 2, 3].map((id) => calls.ask(toolCall(id), { session, server: child }))
    for (const [n, reply] of replies.entries()) expect((await reply.done()).json.id).toBe(n + 1)
    expect(calls.children.length).toBe(2)
    expect(calls.children[1]?.sent.map((up) => up.request?.message.method)).toEqual([
      'initialize',
      'notifications/initialized',
      'tools/call',
      'tools/call',
      'tools/call',
    ])
    expect(session?.upstream).toBe(calls.children[1])
  })
})

describe('a session does not go on', () => {
  const statusOf = async ({ id }: Session): Promise<string | undefined> =>
    (await calls.sessionStore.find(id))?.status

  test('where its credential ended meanwhile; its server is told', async () => {
    await start()
    const before = await opened('kill')
    const { sessions, ended } = await restart({ stands: () => false })
    expect([sessions.findByToken(before.token, owner), sessions.count]).toEqual([undefined, 0])
    expect(await statusOf(before)).toBe('closed')
    await until(() => ended.length === 1, 'the end at the server')
    expect(ended[0]?.upstreamSessionId).toBe('up-1')
  })

  test('past its idle or its absolute limit', async () => {
    await start()
    const before = await opened('kill')
    const { sessions } = await restart({ clock: new ManualClock(Date.now() + limits.idleMs + 20_000) })
    expect(sessions.findByToken(before.token, owner)).toBeUndefined()
    expect(await statusOf(before)).toBe('expired')
  })

  test('without its server', async () => {
    await start()
    const before = await opened('kill')
    const { sessions } = await restart({ server: undefined })
    expect([sessions.count, await statusOf(before)]).toEqual([0, 'closed'])
  })

  test('beyond as many as there may be: the latest used stay', async () => {
    const clock = new ManualClock()
    await start({ clock })
    const first = await opened('kill')
    clock.advance(1000)
    const second = await opened('kill')
    await restart({ maxTotal: 1, clock })
    expect([await statusOf(first), await statusOf(second)]).toEqual(['closed', 'connected'])
  })

  test('that was never initialized, or belonged to a connection', async () => {
    await start()
    const unborn = await calls.open()
    const from = { server: testServer, client: { ip: '', userAgent: '' }, ephemeral: true } as const
    const ofSocket = await calls.sessions.open(signedIn, { ...from, transport: 'websocket' })
    const byApi = await calls.sessions.open(signedIn, {
      ...from,
      transport: 'streamable-http',
      ephemeral: false,
    })
    const { sessions } = await restart()
    expect(await Promise.all([unborn, ofSocket, byApi].map(statusOf))).toEqual([
      'closed',
      'closed',
      'created',
    ])
    expect(sessions.findById(byApi.id)?.status).toBe('created')
  })

  test('when it was closed by its client', async () => {
    await start()
    const before = await opened('kill')
    await calls.sessions.close(before)
    expect((await restart()).sessions.count).toBe(0)
  })
})

test('a child that does not start again is an error for its caller, and is tried again for the next', async () => {
  await start()
  const before = await opened('stop', child)
  const { sessions } = await restart({ server: child })
  const session = sessions.findByToken(before.token, owner)
  calls.upstream.script = (up) => up.fail({ gone: true, sent: false })
  const failed = await calls.ask(toolCall(1), { session, server: child }).done()
  expect(failed.json.result).toMatchObject({ structuredContent: { code: 'upstream_unavailable' } })
  expect(calls.children[1]?.closed).toBe(1)
  calls.upstream.script = initialize
  const reply = await calls.ask(toolCall(2), { session, server: child }).done()
  expect(reply.json.result).toEqual({ done: true })
})

test('the store holds neither the token of a session nor what its server calls it', async () => {
  await start()
  calls.upstream.script = initialize
  const session = await opened('kill')
  const [row] = await calls.db.read(rawQuery<object>('SELECT * FROM session'))
  const text = JSON.stringify(row, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))
  expect(text).toContain(session.id)
  expect(text).not.toContain(session.token)
  expect(text).not.toContain('up-1')
})

test('ten thousand sessions are read in a moment', async () => {
  await start()
  const session = await opened('kill')
  const columns = Object.keys((await calls.db.read(rawQuery<object>('SELECT * FROM session')))[0] ?? {})
  const copied = columns.map((name) =>
    name === 'id' ? `'ses_' || n` : name === 'token_hash' ? `'hash' || n` : name,
  )
  await calls.db.write(
    rawQuery(
      `WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < 10000)
       INSERT INTO session (${columns.join(', ')}) SELECT ${copied.join(', ')} FROM session, many WHERE id = '${session.id}'`,
    ),
  )
  // CPU time, since the machine may be busy with something else.
  const before = process.cpuUsage()
  const { sessions } = await restart({ maxTotal: 20_000 })
  const { user, system } = process.cpuUsage(before)
  const tookMs = (user + system) / 1000
  console.log(`10,000 sessions restored in ${Math.round(tookMs)} ms of CPU`)
  expect(sessions.count).toBe(10_001)
  expect(tookMs).toBeLessThan(2000)
})
