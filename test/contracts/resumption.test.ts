// What the stores of sessions and of kept events promise, run on SQLite and on PostgreSQL.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { derivedKeys, Keyring } from '../../src/base/keyring.ts'
import { silentLog } from '../../src/base/log.ts'
import type { Database } from '../../src/db/database.ts'
import { migrate } from '../../src/db/migrate.ts'
import { openPostgres } from '../../src/db/postgres.ts'
import { rawQuery } from '../../src/db/raw-query.ts'
import { openSqlite } from '../../src/db/sqlite.ts'
import { KeptEventStore, ownStream, type KeptEventRow } from '../../src/sessions/kept-event-store.ts'
import { hashToken } from '../../src/sessions/session-token.ts'
import { Session, type SessionOrigin } from '../../src/sessions/session.ts'
import { SessionStore } from '../../src/sessions/store.ts'
import { alice, testServer } from '../harness/calls.ts'
import { startPostgres, type TestPostgres } from '../harness/postgres.ts'

const folder = mkdtempSync(join(tmpdir(), 'resumption-'))
let cluster: TestPostgres
let places = 0
beforeAll(async () => {
  cluster = await startPostgres()
})
afterAll(async () => {
  await cluster.stop()
  rmSync(folder, { recursive: true, force: true })
})

const engines = {
  sqlite: (name: string) =>
    openSqlite({ file: join(folder, name, 'test.db'), durability: 'process', log: silentLog }),
  postgres: async (name: string) => {
    await cluster.createDatabase(name)
    return openPostgres({ url: cluster.url(name), durability: 'process', log: silentLog })
  },
}

const origin: SessionOrigin = {
  id: 'ses_1',
  token: 'token-1',
  principal: { ...alice, loginId: 'rft_1' },
  server: testServer,
  transport: 'streamable-http',
  client: { ip: '127.0.0.1', userAgent: 'ünïcode' },
  ephemeral: true,
  nowMs: 1000,
  idleMs: 60_000,
  expiresAtMs: 9_000_000_000_000,
}

/** A session that has been initialized. */
function opened(more: Partial<SessionOrigin>): Session {
  const session = new Session({ ...origin, ...more })
  session.protocolVersion = '2025-11-25'
  session.initializeBody = Buffer.from('{"é":1}')
  session.upstreamSessionId = 'up-1'
  session.advance('connected')
  return session
}

describe.each(['sqlite', 'postgres'] as const)('on %s', (engine) => {
  let db: Database
  let sessions: SessionStore
  let events: KeptEventStore
  const keyring = new Keyring(derivedKeys(Buffer.alloc(32, 5)))

  beforeEach(async () => {
    db = await engines[engine](`resumption_${places++}`)
    await migrate(db, { log: silentLog })
    sessions = new SessionStore(db, keyring)
    events = new KeptEventStore(db)
  })
  afterEach(() => db.close())

  test('a session is read back as it was, once it was saved; everything else that was open is closed', async () => {
    const one = new Session(origin)
    await sessions.insert(one)
    await sessions.insert(new Session({ ...origin, id: 'ses_2', token: 'token-2' }))
    await sessions.insert(opened({ id: 'ses_3', token: 'token-3', transport: 'sse' }))
    await sessions.save([Object.assign(opened({}), { lastActiveAtMs: 5000 })])
    expect(await sessions.takeLeft(10)).toEqual([
      {
        id: 'ses_1',
        userId: alice.userId,
        accountId: alice.accountId,
        serverId: testServer.id,
        keyId: undefined,
        loginId: 'rft_1',
        transport: 'streamable-http',
        status: 'connected',
        createdAtMs: 1000,
        lastActiveAtMs: 5000,
        expiresAtMs: origin.expiresAtMs,
        idleMs: 60_000,
        ephemeral: true,
        client: origin.client,
        tokenHash: hashToken('token-1'),
        way: 'straight',
        protocolVersion: '2025-11-25',
        initializeBody: expect.anything(),
        upstreamSessionId: 'up-1',
      },
    ])
    const statuses = (await sessions.list({ limit: 10 })).map(({ id, status }) => [id, status])
    expect(statuses).toEqual([
      ['ses_3', 'closed'],
      ['ses_2', 'closed'],
      ['ses_1', 'connected'],
    ])
  })

  test('of a session that has ended nothing is kept to go on with', async () => {
    const [closed, late] = [opened({}), opened({ id: 'ses_2', token: 'token-2' })]
    await sessions.insert(closed)
    await sessions.insert(late)
    closed.advance('closed')
    await sessions.update([closed])
    await sessions.save([closed])
    await sessions.end(['ses_2'], 'expired')
    const rows = await db.read(
      rawQuery<object>(
        'SELECT id, status, token_hash, initialize_body, upstream_session FROM session ORDER BY id',
      ),
    )
    const nothing = { token_hash: null, initialize_body: null, upstream_session: null }
    expect(rows).toEqual([
      { id: 'ses_1', status: 'closed', ...nothing },
      { id: 'ses_2', status: 'expired', ...nothing },
    ])
    expect(await sessions.takeLeft(10)).toEqual([])
  })

  test('what was sealed under another master secret is not known any more, and harms nothing', async () => {
    await sessions.insert(opened({}))
    const other = new SessionStore(db, new Keyring(derivedKeys(Buffer.alloc(32, 6))))
    expect((await other.takeLeft(10))[0]?.upstreamSessionId).toBeUndefined()
  })

  const row = (sessionId: string, stream: string, seq: number, atMs = 0): KeptEventRow => ({
    sessionId,
    stream,
    requestId: stream === ownStream ? undefined : '"é"',
    event: { seq, previous: seq - 1, frame: Buffer.from(`data: ${seq}\n\n`), atMs, last: seq === 3 },
  })
  const left = async (sessionId: string): Promise<string[]> =>
    (await events.load(sessionId)).map(({ stream, event }) => `${stream} ${event.seq}`)

  test('events are read back in order, each stream for itself', async () => {
    await events.insert([
      row('ses_1', 'b', 2),
      row('ses_1', 'a', 10),
      row('ses_1', 'a', 9),
      row('ses_2', 'a', 1),
    ])
    await events.insert([row('ses_1', 'b', 3), row('ses_1', ownStream, 1)])
    expect(await left('ses_1')).toEqual(['a 9', 'a 10', 'b 2', 'b 3', `${ownStream} 1`])
    const [, , , last, own] = await events.load('ses_1')
    expect(last).toMatchObject({ requestId: '"é"', event: { previous: 2, last: true } })
    expect(Buffer.from(last?.event.frame ?? []).toString()).toBe('data: 3\n\n')
    expect(own?.requestId).toBeUndefined()
    expect((await events.listSessions()).toSorted()).toEqual(['ses_1', 'ses_2'])
  })

  test('events go by stream up to a number, or with their session', async () => {
    await events.insert([1, 2, 3].flatMap((seq) => [row('ses_1', 'a', seq), row('ses_1', 'b', seq)]))
    await events.insert([row('ses_2', 'a', 1)])
    await events.delete([{ sessionId: 'ses_1', stream: 'a', through: 2 }])
    expect(await left('ses_1')).toEqual(['a 3', 'b 1', 'b 2', 'b 3'])
    await events.delete([{ sessionId: 'ses_1' }, { sessionId: 'ses_3' }])
    expect([await left('ses_1'), await left('ses_2')]).toEqual([[], ['a 1']])
  })

  test('what is too old goes, and what has no open session; of a session’s own stream the newest stays', async () => {
    await sessions.insert(opened({}))
    await events.insert([
      ...[1, 2, 3].map((seq) => row('ses_1', ownStream, seq, 100)),
      ...[1, 2].map((seq) => row('ses_1', 'a', seq, 100)),
      row('ses_1', 'a', 3, 200),
      row('ses_gone', 'a', 1, 200),
    ])
    await events.purge(150)
    expect([await left('ses_1'), await left('ses_gone')]).toEqual([['a 3', `${ownStream} 3`], []])
  })
})
