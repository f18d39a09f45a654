// What the store of idempotency keys promises, run on SQLite and on PostgreSQL.
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ManualClock } from '../../src/base/clock.ts'
import { derivedKeys, Keyring } from '../../src/base/keyring.ts'
import { silentLog } from '../../src/base/log.ts'
import type { Database } from '../../src/db/database.ts'
import { migrate } from '../../src/db/migrate.ts'
import { openPostgres } from '../../src/db/postgres.ts'
import { openSqlite } from '../../src/db/sqlite.ts'
import type { IdempotentRequest } from '../../src/idempotency/reservation.ts'
import { StoredIdempotency } from '../../src/idempotency/store.ts'
import { startPostgres, type TestPostgres } from '../harness/postgres.ts'

const folder = mkdtempSync(join(tmpdir(), 'idempotency-'))
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
    openSqlite({ file: join(folder, name, 'test.db'), durability: 'disk', log: silentLog }),
  postgres: async (name: string) => {
    await cluster.createDatabase(name)
    return openPostgres({ url: cluster.url(name), durability: 'disk', log: silentLog })
  },
}

const requestOf = (key: string, body = 'body', scope = 'usr_1'): IdempotentRequest => ({
  scope,
  key,
  fingerprint: createHash('sha256').update(body).digest(),
})
const answer = { status: 201, headers: { location: '/x' }, body: '{"key":"shown-once-4711"}' }

describe.each(['sqlite', 'postgres'] as const)('on %s', (engine) => {
  let database: Database
  let clock: ManualClock
  let store: StoredIdempotency
  const keyring = new Keyring(derivedKeys(randomBytes(32)))
  const open = (): StoredIdempotency =>
    new StoredIdempotency(database, { seal: keyring, mac: (text) => keyring.apiKeyMac(text), clock })

  beforeEach(async () => {
    clock = new ManualClock()
    database = await engines[engine](`idempotency_${places++}`)
    await migrate(database, { log: silentLog })
    store = open()
  })
  afterEach(() => database.close())

  test('one of 20 that reserve a key at once gets it, also where they are on two nodes', async () => {
    const nodes = [store, open()]
    const reservations = await Promise.all(
      Array.from({ length: 20 }, (_, n) => (nodes[n % 2] ?? store).reserve(requestOf('k'))),
    )
    expect(reservations.filter(({ state }) => state === 'new')).toHaveLength(1)
    expect(reservations.filter(({ state }) => state === 'in-flight')).toHaveLength(19)
  })

  test('a completed key gives its answer to the same request and refuses another', async () => {
    await store.reserve(requestOf('k'))
    await store.complete(requestOf('k'), answer)
    expect(await open().reserve(requestOf('k'))).toEqual({ state: 'stored', answer })
    expect(await store.reserve(requestOf('k', 'other'))).toEqual({ state: 'mismatch' })
  })

  test('a key belongs to its caller', async () => {
    await store.reserve(requestOf('k'))
    await store.complete(requestOf('k'), answer)
    expect(await store.reserve(requestOf('k', 'body', 'usr_2'))).toEqual({ state: 'new' })
  })

  test('a released key is free; one with an answer cannot be released', async () => {
    await store.reserve(requestOf('k'))
    await store.release(requestOf('k'))
    expect(await store.reserve(requestOf('k'))).toEqual({ state: 'new' })
    await store.complete(requestOf('k'), answer)
    await store.release(requestOf('k'))
    expect(await store.reserve(requestOf('k'))).toMatchObject({ state: 'stored' })
  })

  test('a key is free after a day, and the sweep takes it out of the table', async () => {
    await store.reserve(requestOf('old'))
    await store.complete(requestOf('old'), answer)
    await store.reserve(requestOf('older'))
    clock.advance(25 * 3_600_000)
    expect(await store.reserve(requestOf('old', 'other'))).toEqual({ state: 'new' })
    await store.sweep()
    const rows = await database.read(
      database.builder<{ api_idempotency: { key: string } }>().selectFrom('api_idempotency').select('key'),
    )
    expect(rows).toEqual([{ key: 'old' }])
  })

  test('a key that lasts still has its answer after years, and other requests still conflict with it', async () => {
    const lasting = { ...requestOf('grant'), lasting: true }
    await store.reserve(lasting)
    await store.complete(lasting, answer)
    clock.advance(3 * 365 * 86_400_000)
    await store.sweep()
    expect(await open().reserve(lasting)).toEqual({ state: 'stored', answer })
    expect(await store.reserve({ ...requestOf('grant', 'other'), lasting: true })).toEqual({
      state: 'mismatch',
    })
  })
})

test('a stored answer cannot be read in the files of the database', async () => {
  const place = `idempotency_${places++}`
  const database = await engines.sqlite(place)
  const keyring = new Keyring(derivedKeys(randomBytes(32)))
  await migrate(database, { log: silentLog })
  const clock = new ManualClock()
  const store = new StoredIdempotency(database, {
    seal: keyring,
    mac: (text) => keyring.apiKeyMac(text),
    clock,
  })
  await store.reserve(requestOf('a-visible-key'))
  await store.complete(requestOf('a-visible-key'), answer)
  const bytes = (): string =>
    readdirSync(join(folder, place))
      .map((name) => readFileSync(join(folder, place, name), 'latin1'))
      .join('')
  expect(bytes()).toContain('a-visible-key')
  expect(bytes()).not.toContain('shown-once')
  await database.close()
  expect(bytes()).not.toContain('shown-once')
})
