// What the audit log promises, on each engine: durable when it says so, one chain for all who write, and no change unseen.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { hashOf, makeMark, type AuditRow, type ChainPlace } from '../../src/audit/chain.ts'
import type { AuditFacts } from '../../src/audit/event.ts'
import { AuditLog } from '../../src/audit/log.ts'
import { Refusals } from '../../src/audit/refusals.ts'
import { dropOldEvents } from '../../src/audit/retention.ts'
import { AuditStore } from '../../src/audit/store.ts'
import { verifyAudit, type AuditVerification } from '../../src/audit/verify.ts'
import { ManualClock } from '../../src/base/clock.ts'
import { GatewayError } from '../../src/base/errors.ts'
import { derivedKeys, Keyring } from '../../src/base/keyring.ts'
import { silentLog as log } from '../../src/base/log.ts'
import type { Database } from '../../src/db/database.ts'
import { migrate } from '../../src/db/migrate.ts'
import { PlainSql } from '../../src/db/plain-sql.ts'
import { openPostgres } from '../../src/db/postgres.ts'
import { openSqlite } from '../../src/db/sqlite.ts'
import { startPostgres, type TestPostgres } from '../harness/postgres.ts'

const folder = mkdtempSync(join(tmpdir(), 'audit-log-'))
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
  sqlite: (name: string) => openSqlite({ file: join(folder, name, 'test.db'), durability: 'disk', log }),
  postgres: async (name: string) => {
    await cluster.createDatabase(name)
    return openPostgres({ url: cluster.url(name), durability: 'disk', log })
  },
}

const keyring = new Keyring(derivedKeys(Buffer.alloc(32, 1)))
const mac = (text: string) => keyring.auditMac(text)
const others = new Keyring(derivedKeys(Buffer.alloc(32, 2)))
const facts = (n: number, more: Partial<AuditFacts> = {}): AuditFacts => ({
  action: 'keys.create',
  actor: { userId: `usr_${n % 3}`, username: 'ada', roles: ['member'], via: 'token' },
  resource: { type: 'keys', id: `key_${n}` },
  outcome: 'success',
  status: 201,
  ip: '127.0.0.1',
  fields: ['name'],
  ...more,
})

describe.each(['sqlite', 'postgres'] as const)('on %s', (engine) => {
  let db: Database
  let store: AuditStore
  let clock: ManualClock
  let audit: AuditLog

  beforeEach(async () => {
    clock = new ManualClock()
    db = await engines[engine](`audit_${engine}_${places++}`)
    await migrate(db, { log })
    store = new AuditStore(db)
    audit = open()
  })
  afterEach(() => db.close())

  const open = (more: object = {}): AuditLog =>
    new AuditLog({ store, mac, clock, log, checkpointEvery: 10, ...more })
  async function fill(count: number, into = audit): Promise<void> {
    for (let n = 1; n <= count; n++) await into.append(facts(n))
  }
  const verify = (expected: readonly ChainPlace[] = []): Promise<AuditVerification> =>
    verifyAudit({ store, mac, expected })
  const run = (...texts: readonly ReturnType<typeof sql>[]) => new PlainSql(db).write(...texts)
  const rows = () => store.listAfter(0n, 10_000n, 10_000)
  /** Writes the row's hash and those of all behind it anew, as somebody would who knows how hashes are made. */
  async function rehash(from: bigint): Promise<ChainPlace> {
    let before: ChainPlace = (await store.find(from - 1n)) ?? { seq: 0n, hash: '' }
    for (const row of await store.listAfter(from - 1n, 10_000n, 10_000)) {
      const hash = hashOf(row, before.hash)
      await run(sql`UPDATE audit_event SET hash = ${hash} WHERE seq = ${row.seq}`)
      before = { seq: row.seq, hash }
    }
    return before
  }

  test('what was appended is in the log in its order, and the chain is whole', async () => {
    await Promise.all([fill(25), audit.append(facts(99, { action: 'servers.update' }))])
    const found = await rows()
    expect(found.map(({ seq }) => Number(seq))).toEqual(Array.from({ length: 26 }, (_, n) => n + 1))
    expect(await verify([audit.seen])).toMatchObject({ ok: true, events: 26, first: 1n, last: 26n })
    const page = await store.list({ actor: 'usr_1', action: 'keys.*' }, { before: undefined, limit: 3 })
    expect(page.map(({ resource_id }) => resource_id)).toEqual(['key_25', 'key_22', 'key_19'])
  })

  test('several who write at once make one chain without a gap, and lose nothing', async () => {
    const writers = Array.from({ length: 4 }, () => open({ maxBatch: 7 }))
    await Promise.all(
      writers.flatMap((writer, w) =>
        Array.from({ length: 40 }, (_, n) => writer.append(facts(n, { requestId: `req_${w}_${n}` }))),
      ),
    )
    const found = await rows()
    expect(new Set(found.map(({ detail }) => JSON.parse(detail).requestId)).size).toBe(160)
    expect(await verify(writers.map(({ seen }) => seen))).toMatchObject({ ok: true, events: 160, last: 160n })
  })

  const column = sql`UPDATE audit_event SET`
  const tampering: Record<string, (seq: bigint) => Promise<unknown>> = {
    'a changed action': (seq) => run(sql`${column} action = 'keys.delete' WHERE seq = ${seq}`),
    'a changed actor': (seq) => run(sql`${column} actor_id = 'usr_x' WHERE seq = ${seq}`),
    'an actor who is gone': (seq) => run(sql`${column} actor_id = NULL WHERE seq = ${seq}`),
    'a changed time': (seq) => run(sql`${column} at = at + 1 WHERE seq = ${seq}`),
    'a changed resource': (seq) => run(sql`${column} resource_id = 'key_x' WHERE seq = ${seq}`),
    'a changed kind of resource': (seq) => run(sql`${column} resource_type = 'users' WHERE seq = ${seq}`),
    'a changed id': (seq) => run(sql`${column} id = 'aud_x' WHERE seq = ${seq}`),
    'a changed detail': (seq) =>
      run(sql`${column} detail = replace(detail, '127.0.0.1', '127.0.0.2') WHERE seq = ${seq}`),
    'a detail that is no JSON': (seq) => run(sql`${column} detail = 'x' WHERE seq = ${seq}`),
    'a changed hash': (seq) => run(sql`${column} hash = 'x' WHERE seq = ${seq}`),
    'a removed row': (seq) => run(sql`DELETE FROM audit_event WHERE seq = ${seq}`),
    'a changed row with its own hash made anew': async (seq) => {
      await run(sql`${column} action = 'keys.delete' WHERE seq = ${seq}`)
      const row = (await store.find(seq)) as AuditRow
      const hash = hashOf(row, (await store.find(seq - 1n))?.hash ?? '')
      await run(sql`${column} hash = ${hash} WHERE seq = ${seq}`)
    },
    'two rows that changed places': (seq) =>
      run(
        sql`${column} seq = -1 WHERE seq = ${seq}`,
        sql`${column} seq = ${seq} WHERE seq = ${seq - 1n}`,
        sql`${column} seq = ${seq - 1n} WHERE seq = -1`,
      ),
    'a row put in where one was': async (seq) => {
      const row = (await store.find(seq)) as AuditRow
      await run(sql`DELETE FROM audit_event WHERE seq = ${seq}`)
      await store.append([{ ...row, id: 'aud_x', action: 'users.create' }], [])
    },
  }

  test.each(Object.entries(tampering))('%s is found, wherever it is, and named', async (_what, tamper) => {
    for (const seq of [2n, 10n, 23n]) {
      await run(sql`DELETE FROM audit_event`, sql`DELETE FROM audit_mark`)
      await fill(23, open())
      expect((await verify()).ok).toBe(true)
      await tamper(seq)
      const found = await verify()
      expect(found.ok).toBe(false)
      const named = found.differences.map(({ seq: at }) => at)
      expect(named.some((at) => at >= seq - 1n && at <= seq + 1n)).toBe(true)
    }
  })

  test('a chain that was made anew to its end does not agree with what was signed', async () => {
    await fill(23)
    await run(sql`${column} action = 'keys.delete' WHERE seq = 5`)
    const end = await rehash(5n)
    expect((await verify()).differences.map(({ kind }) => kind)).toEqual(['end', 'changed', 'changed'])
    // Nor does it help to sign with a key of one's own, or to leave the marks out.
    const forged = makeMark('head', end, { atMs: 0, mac: (text) => others.auditMac(text) })
    await store.append([], [forged])
    expect((await verify()).differences[0]?.what).toContain('not signed')
    await run(sql`DELETE FROM audit_mark`)
    expect((await verify()).differences.map(({ kind }) => kind)).toEqual(['end'])
  })

  test('a mark cannot stand for another, nor be moved', async () => {
    await fill(23)
    await run(sql`DELETE FROM audit_event WHERE seq > 20`, sql`DELETE FROM audit_mark WHERE name = 'head'`)
    await run(sql`UPDATE audit_mark SET name = 'head' WHERE name LIKE 'checkpoint-%20'`)
    expect((await verify()).differences.map(({ kind }) => kind)).toContain('end')
    await run(sql`UPDATE audit_mark SET name = 'anchor' WHERE name LIKE 'checkpoint-%10'`)
    await run(sql`DELETE FROM audit_event WHERE seq <= 10`)
    expect((await verify()).differences.map(({ kind }) => kind)).toContain('mark')
  })

  test('a tail that was cut off is found, and stays found when the log goes on', async () => {
    await fill(23)
    const { head } = await store.readEnd()
    await run(sql`DELETE FROM audit_event WHERE seq > 20`)
    expect((await verify()).differences[0]).toMatchObject({
      kind: 'end',
      what: expect.stringContaining('cut'),
    })
    // A start reads the end; what it finds stands in the log from then on.
    await fill(3, open())
    const found = await verify()
    expect(found.differences.map(({ kind, seq }) => [kind, seq])).toEqual([
      ['missing', 21n],
      ['break', 24n],
    ])
    expect(found.last).toBe(27n)
    expect(head?.seq).toBe(23n)
  })

  test('a log that was set back while the gateway runs is found by it', async () => {
    await fill(12)
    const { head } = await store.readEnd()
    await fill(5)
    await run(sql`DELETE FROM audit_event WHERE seq > 12`)
    await store.append([], [head as NonNullable<typeof head>])
    // The store alone agrees with itself: only who saw more can tell.
    expect((await verify()).ok).toBe(true)
    expect((await verify([audit.seen])).differences.map(({ kind }) => kind)).toEqual(['expected'])
    await run(sql`DELETE FROM audit_event`, sql`DELETE FROM audit_mark`)
    expect((await verify([audit.seen])).ok).toBe(false)
    await fill(1)
    expect((await verify()).ok).toBe(false)
  })

  test('rows outside the chain are found', async () => {
    await fill(12)
    const row = (await store.find(3n)) as AuditRow
    await store.append([{ ...row, seq: -5n, id: 'aud_y' }], [])
    expect((await verify()).differences.map(({ kind }) => kind)).toEqual(['inserted'])
    await run(sql`DELETE FROM audit_event WHERE seq < 0`)
    await store.append([{ ...row, seq: 13n, id: 'aud_z' }], [])
    expect((await verify()).differences.map(({ kind }) => kind)).toContain('end')
  })

  test('what is old enough is dropped, and what is left can be verified; nobody else can drop', async () => {
    await fill(14)
    clock.advance(3 * 86_400_000)
    await fill(9)
    const drop = (days: number | undefined) => dropOldEvents({ store, mac, clock, days })
    await drop(undefined)
    expect(await verify()).toMatchObject({ ok: true, first: 1n })
    await drop(2)
    expect(await verify([audit.seen])).toMatchObject({ ok: true, events: 9, first: 15n, last: 23n })
    await drop(2)
    await fill(2)
    expect(await verify()).toMatchObject({ ok: true, events: 11 })
    await run(sql`DELETE FROM audit_event WHERE seq = 15`)
    expect((await verify()).differences.map(({ kind }) => kind)).toEqual(['missing'])
    clock.advance(30 * 86_400_000)
    await drop(2)
    expect(await verify()).toMatchObject({ ok: true, events: 0 })
    await fill(1)
    expect(await verify()).toMatchObject({ ok: true, events: 1, first: 26n })
  })

  test.each([true, false])(
    'what could not be written is told, kept, and written once, before anything else (on disk: %s)',
    async (onDisk) => {
      const failing = { now: false }
      const flaky = Object.create(store) as AuditStore
      flaky.append = async (...given) => {
        if (!failing.now) return AuditStore.prototype.append.apply(store, given)
        if (onDisk) await AuditStore.prototype.append.apply(store, given)
        throw new GatewayError('store_unavailable')
      }
      for (const name of ['readEnd', 'findIds'] as const)
        flaky[name] = AuditStore.prototype[name].bind(store) as never
      const writer = open({ store: flaky })
      await fill(3, writer)
      failing.now = true
      const both = await Promise.allSettled([writer.append(facts(4)), writer.append(facts(5))])
      for (const each of both)
        expect(each).toMatchObject({ status: 'rejected', reason: { code: 'audit_unavailable' } })
      expect(writer.isBehind).toBe(true)
      if (!onDisk) await expect(writer.ensureWritable()).rejects.toMatchObject({ code: 'store_unavailable' })
      failing.now = false
      await writer.ensureWritable()
      await writer.append(facts(6))
      expect(writer.isBehind).toBe(false)
      expect((await rows()).map(({ resource_id }) => resource_id)).toEqual(
        [1, 2, 3, 4, 5, 6].map((n) => `key_${n}`),
      )
      expect(await verify([writer.seen])).toMatchObject({ ok: true, events: 6 })
    },
  )

  test('more than may wait is counted, and the count is written', async () => {
    const writer = open({ maxWaiting: 5 })
    for (let n = 1; n <= 9; n++) writer.note(facts(n))
    await writer.flush()
    const found = await rows()
    expect(found).toHaveLength(6)
    expect(JSON.parse(found.at(-1)?.detail ?? '')).toMatchObject({ count: 4 })
    expect(await verify()).toMatchObject({ ok: true })
  })

  test('a flood of refusals is summed up: by caller, and beyond a number of callers by code', async () => {
    const refusals = new Refusals({ log: audit, clock, maxSums: 20 })
    const refuse = (ip: string, code = 'unauthorized') =>
      refusals.add({
        action: 'auth.authenticate',
        actor: {},
        outcome: 'refused',
        code,
        status: 401,
        ip,
        requestId: `req_${ip}`,
      })
    for (let n = 0; n < 5000; n++) refuse('10.0.0.1')
    for (let n = 0; n < 5000; n++) refuse(`10.1.${n >> 8}.${n & 255}`)
    await audit.flush()
    expect((await rows()).length).toBe(21)
    clock.advance(1000)
    refusals.flush()
    await audit.flush()
    const counts = (await rows()).map(({ detail }) => (JSON.parse(detail) as { count?: number }).count ?? 1)
    expect(counts.length).toBe(23)
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(10_000)
    const [last, one] = (await rows()).toReversed()
    expect(JSON.parse(last?.detail ?? '')).toMatchObject({ actor: {}, code: 'unauthorized', status: 401 })
    expect(JSON.parse(last?.detail ?? '')).not.toHaveProperty('ip')
    expect(JSON.parse(one?.detail ?? '')).toMatchObject({ ip: '10.0.0.1', count: 4999 })
    expect(one?.detail).not.toContain('req_')
  })
})

test('no two rows have one encoding: whatever moves from one column to the next changes the hash', () => {
  const text = fc.string({ unit: 'binary' })
  const row = fc.record({
    seq: fc.bigInt({ min: 1n, max: 2n ** 62n }),
    id: text,
    at: fc.bigInt({ min: 0n, max: 2n ** 53n }),
    action: text,
    actor_id: fc.option(text),
    resource_type: fc.option(text),
    resource_id: fc.option(text),
    detail: text,
  })
  const columns = ({ seq, at, ...rest }: Omit<AuditRow, 'hash'>) => ({ ...rest, seq: `${seq}`, at: `${at}` })
  fc.assert(
    fc.property(row, row, text, text, (a, b, before, other) => {
      const isSame = before === other && JSON.stringify(columns(a)) === JSON.stringify(columns(b))
      expect(hashOf(a, before) === hashOf(b, other)).toBe(isSame)
      expect(hashOf(a, before)).toBe(hashOf({ ...a }, before))
    }),
  )
  const base = {
    seq: 1n,
    id: 'x',
    at: 1n,
    action: 'ab',
    actor_id: 'c',
    resource_type: null,
    resource_id: null,
  }
  const rows = [
    { ...base, detail: '{}' },
    { ...base, action: 'a', actor_id: 'bc', detail: '{}' },
    { ...base, actor_id: null, resource_type: 'c', detail: '{}' },
    { ...base, resource_type: '', detail: '{}' },
  ]
  expect(new Set(rows.map((each) => hashOf(each, ''))).size).toBe(4)
})
