// What keys at rest promise, on each engine: replaced while rows change, never lost wherever a rotation is cut off.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ManualClock } from '../../src/base/clock.ts'
import { GatewayError } from '../../src/base/errors.ts'
import { derivedKeys, Keyring } from '../../src/base/keyring.ts'
import { silentLog as log } from '../../src/base/log.ts'
import type { MasterSecrets } from '../../src/base/master-secret.ts'
import { SecretFile } from '../../src/base/secret-file.ts'
import type { Database } from '../../src/db/database.ts'
import { migrate } from '../../src/db/migrate.ts'
import { PlainSql } from '../../src/db/plain-sql.ts'
import { openPostgres } from '../../src/db/postgres.ts'
import { countSealedOtherwise, resealColumn } from '../../src/db/sealed-column.ts'
import { openSqlite } from '../../src/db/sqlite.ts'
import { keptAnswers } from '../../src/idempotency/store.ts'
import { DataKeyStore } from '../../src/secrets/data-key-store.ts'
import { DataKeys } from '../../src/secrets/data-keys.ts'
import { startPostgres, type TestPostgres } from '../harness/postgres.ts'

const dayMs = 24 * 60 * 60 * 1000
const folder = mkdtempSync(join(tmpdir(), 'secrets-'))
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

/** The writes of a store from the nth on fail; `lost`: the nth reaches the disk all the same. */
function failFrom(
  db: Database,
  nth: number,
  lost: boolean,
): { readonly db: Database; readonly failed: () => boolean } {
  let writes = 0
  const write: Database['write'] = async (...queries) => {
    writes++
    if (writes < nth) return db.write(...queries)
    if (writes === nth && lost) await db.write(...queries)
    throw new GatewayError('store_unavailable')
  }
  const failing = { write, read: db.read.bind(db), builder: db.builder.bind(db), engine: db.engine }
  return { db: failing as unknown as Database, failed: () => writes >= nth }
}

describe.each(['sqlite', 'postgres'] as const)('on %s', (engine) => {
  let db: Database
  let clock: ManualClock
  let place: string
  const first = Buffer.alloc(32, 1)
  const second = Buffer.alloc(32, 2)

  beforeEach(async () => {
    clock = new ManualClock()
    place = `secrets_${engine}_${places++}`
    db = await engines[engine](place)
    await migrate(db, { log })
  })
  afterEach(() => db.close())

  async function open(master: MasterSecrets = { secrets: [first] }, store = db): Promise<DataKeys> {
    const dataKeys = await DataKeys.open({ store: new DataKeyStore(store), master, clock, log })
    const { keyring } = dataKeys
    dataKeys.watch(
      [
        {
          holds: keptAnswers.holds,
          reseal: () => resealColumn(store, keptAnswers, keyring),
          countSealedOtherwise: () => countSealedOtherwise(store, keptAnswers, keyring),
        },
      ],
      () => {},
    )
    return dataKeys
  }

  const idOf = (n: number) => ({ scope: 'usr_1', key: `k${String(n).padStart(4, '0')}` })
  const run = (...texts: readonly ReturnType<typeof sql>[]) => new PlainSql(db).write(...texts)
  /** Rows that hold `answer n`, sealed. */
  async function fill(keyring: Keyring, count: number): Promise<void> {
    const rows = Array.from({ length: count }, (_, n) => {
      const id = idOf(n)
      const answer = n % 50 === 7 ? null : keyring.seal(`answer ${n}`, keptAnswers.contextOf(id))
      return sql`INSERT INTO api_idempotency (scope, key, fingerprint, answer, created_at, lasting)
        VALUES (${id.scope}, ${id.key}, ${Buffer.from('f')}, ${answer}, 0, 0)`
    })
    await run(...rows)
  }
  const readAll = () =>
    new PlainSql(db).read<{ scope: string; key: string; answer: string | null }>(
      sql`SELECT scope, key, answer FROM api_idempotency ORDER BY key`,
    )
  async function expectReadable(keyring: Keyring, count: number): Promise<void> {
    const rows = await readAll()
    expect(rows).toHaveLength(count)
    rows.forEach((row, n) => {
      if (n % 50 === 7) return expect(row.answer).toBeNull()
      expect(keyring.open(row.answer ?? '', keptAnswers.contextOf(row as never))).toBe(`answer ${n}`)
    })
  }

  test('a store from before there were data keys goes on with what its master secret gave', async () => {
    const before = new Keyring(derivedKeys(first))
    await fill(before, 3)
    const { keyring } = await open()
    await expectReadable(keyring, 3)
    expect(keyring.publicJwk).toEqual(before.publicJwk)
    expect(keyring.apiKeyMac('x')).toEqual(before.apiKeyMac('x'))
    expect(keyring.refreshTokenMac('x')).toEqual(before.refreshTokenMac('x'))
    expect(keyring.fingerprintMac('x')).toEqual(before.fingerprintMac('x'))
  })

  test('a rotation seals every text anew, signs with another key, and keeps what hashes', async () => {
    const dataKeys = await open()
    const { keyring } = dataKeys
    await fill(keyring, 260)
    const [jwk, sealKeyId, mac] = [keyring.publicJwk, keyring.sealKeyId, keyring.apiKeyMac('x')]
    clock.advance(1)
    expect(await dataKeys.rotate()).toEqual({
      masterReplaced: false,
      formerForgotten: false,
      resealed: [{ holds: 'answers kept for idempotency keys', texts: 254 }],
    })
    expect(keyring.publicJwk).not.toEqual(jwk)
    expect(keyring.publicJwks).toEqual([keyring.publicJwk, jwk])
    expect(keyring.apiKeyMac('x')).toEqual(mac)
    const text = JSON.stringify(await readAll())
    expect(text).toContain(keyring.sealKeyId)
    expect(text).not.toContain(sealKeyId)
    await expectReadable(keyring, 260)
    const again = await open()
    expect(again.keyring.publicJwks).toEqual(keyring.publicJwks)
    await expectReadable(again.keyring, 260)
  })

  test('a text that changes while it is sealed anew keeps its change', async () => {
    const dataKeys = await open()
    const { keyring } = dataKeys
    await fill(keyring, 220)
    const change = async (n: number) => {
      const id = idOf(n)
      const answer = keyring.seal(`answer ${n}`, keptAnswers.contextOf(id))
      await run(sql`UPDATE api_idempotency SET answer = ${answer} WHERE key = ${id.key}`)
    }
    const state = { rotating: true }
    let changes = 0
    const changing = (async () => {
      for (let n = 0; state.rotating; n = (n + 13) % 220, changes++) if (n % 50 !== 7) await change(n)
    })()
    clock.advance(1)
    await dataKeys.rotate({ compromised: true })
    state.rotating = false
    await changing
    expect(changes).toBeGreaterThan(3)
    await expectReadable(keyring, 220)
    // One that was sealed just before and written just after is left to the next sweep.
    await dataKeys.sweep()
    expect(await dataKeys.countSealedOtherwise()).toBe(0)
  })

  test('a former key opens and verifies for a day, and is then forgotten; at once where it is compromised', async () => {
    const dataKeys = await open()
    const { keyring } = dataKeys
    const [held, kid] = [keyring.seal('state', 'client'), keyring.publicJwk.kid]
    clock.advance(1)
    await dataKeys.rotate()
    clock.advance(dayMs - 1)
    await dataKeys.sweep()
    expect(keyring.open(held, 'client')).toBe('state')
    expect(keyring.findVerifyingKey(kid)).toBeDefined()
    clock.advance(1)
    await dataKeys.sweep()
    expect(() => keyring.open(held, 'client')).toThrow(GatewayError)
    expect(keyring.findVerifyingKey(kid)).toBeUndefined()
    expect(dataKeys.list.filter(({ retiredAtMs }) => retiredAtMs !== undefined)).toEqual([])

    const kidNow = keyring.publicJwk.kid
    clock.advance(1)
    expect(await dataKeys.rotate({ compromised: true })).toMatchObject({ formerForgotten: true })
    expect(keyring.findVerifyingKey(kidNow)).toBeUndefined()
  })

  test('a new master secret takes over beside the former one, which then opens nothing', async () => {
    const { keyring } = await open()
    await fill(keyring, 3)
    const over = await open({ secrets: [second, first] })
    await expectReadable(over.keyring, 3)
    const after = await open({ secrets: [second] })
    await expectReadable(after.keyring, 3)
    expect(after.keyring.publicJwk).toEqual(keyring.publicJwk)
    await expect(open({ secrets: [first] })).rejects.toThrow('TOLLBRIDGE_PREVIOUS_SECRET_KEY')
  })

  test('only one rotation runs at a time', async () => {
    const dataKeys = await open()
    clock.advance(1)
    const both = await Promise.allSettled([dataKeys.rotate(), dataKeys.rotate()])
    expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
  })

  test.each([true, false])(
    'wherever a rotation is cut off, the next start reads everything, and the next rotation ends (on disk: %s)',
    async (lost) => {
      const home = join(folder, place)
      const openFile = (): SecretFile => {
        const file = SecretFile.open(home)
        assert.ok(file instanceof SecretFile)
        return file
      }
      await fill((await open(openFile())).keyring, 120)
      let cut = 0
      for (let nth = 1; ; nth++) {
        const before = await open(openFile())
        const failing = failFrom(db, nth, lost)
        clock.advance(1)
        const attempt = await open(openFile(), failing.db)
          .then((dataKeys) => dataKeys.rotate({ compromised: true }))
          .catch((error: unknown) => error)
        const after = await open(openFile())
        await expectReadable(after.keyring, 120)
        expect(after.keyring.apiKeyMac('x')).toEqual(before.keyring.apiKeyMac('x'))
        if (!failing.failed()) {
          expect(attempt).toMatchObject({ masterReplaced: true, formerForgotten: true })
          break
        }
        expect(attempt).toMatchObject({ code: 'store_unavailable' })
        cut++
        clock.advance(1)
        expect(await after.rotate({ compromised: true })).toMatchObject({ formerForgotten: true })
        await expectReadable((await open(openFile())).keyring, 120)
      }
      expect(cut).toBeGreaterThanOrEqual(4)
      expect(openFile().secrets).toHaveLength(1)
    },
  )
})
