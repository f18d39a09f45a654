// What every store promises, run on SQLite and on PostgreSQL.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { CompiledQuery } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silentLog } from '../../src/base/log.ts'
import { HotBatch, type HotTable, type HotValue } from '../../src/db/batch.ts'
import type { Compilable, Database } from '../../src/db/database.ts'
import { migrate, readSchemaState } from '../../src/db/migrate.ts'
import type { Migration } from '../../src/db/migration.ts'
import { openDatabase, sqliteFile } from '../../src/db/open.ts'
import { openPostgres } from '../../src/db/postgres.ts'
import { openSqlite } from '../../src/db/sqlite.ts'
import { startPostgres, type TestPostgres } from '../harness/postgres.ts'

interface Tables {
  item: { id: bigint | number; name: string; amount: bigint | number | null; bytes: Uint8Array | null }
  part: { id: bigint | number; item: bigint | number }
  total: { day: bigint | number; kind: string; calls: bigint | number; cost: bigint | number }
}

const schema: Migration = {
  name: '0001-test',
  statements: ({ integer, blob, strict }) => [
    `CREATE TABLE item (id ${integer} PRIMARY KEY, name TEXT NOT NULL UNIQUE, amount ${integer}, bytes ${blob})${strict}`,
    `CREATE TABLE part (id ${integer} PRIMARY KEY, item ${integer} NOT NULL REFERENCES item(id))${strict}`,
    `CREATE TABLE total (day ${integer} NOT NULL, kind TEXT NOT NULL, calls ${integer} NOT NULL,
      cost ${integer} NOT NULL, PRIMARY KEY (day, kind))${strict}`,
  ],
}

const itemTable: HotTable = {
  name: 'item',
  mode: 'insert',
  keys: ['id'],
  columns: { id: 'integer', name: 'text', amount: 'integer', bytes: 'blob' },
}
const totalTable: HotTable = {
  name: 'total',
  mode: 'add',
  keys: ['day', 'kind'],
  columns: { day: 'integer', kind: 'text', calls: 'integer', cost: 'integer' },
}

/** A place for one store, which can be opened again and again. */
interface Place {
  readonly open: () => Promise<Database>
  /** Arguments for `commit-forever.ts`. */
  readonly address: { file?: string; url?: string }
}

const root = mkdtempSync(join(tmpdir(), 'tollbridge-db-'))
let cluster: TestPostgres
let places = 0

beforeAll(async () => {
  cluster = await startPostgres()
})
afterAll(async () => {
  await cluster.stop()
  rmSync(root, { recursive: true, force: true })
})

function sqlitePlace(): Promise<Place> {
  const file = join(root, `store-${++places}`, 'test.db')
  const open = () => openSqlite({ file, durability: 'disk', log: silentLog })
  return Promise.resolve({ open, address: { file } })
}

async function postgresPlace(): Promise<Place> {
  const name = `store_${++places}`
  await cluster.createDatabase(name)
  const url = cluster.url(name)
  return { open: () => openPostgres({ url, log: silentLog, connectTimeoutMs: 2_000 }), address: { url } }
}

const raw = (sql: string, parameters: unknown[] = []): Compilable => ({
  compile: () => CompiledQuery.raw(sql, parameters),
})

function batchOf(...rows: [HotTable, HotValue[]][]): HotBatch {
  const batch = new HotBatch()
  for (const [table, values] of rows) batch.add(table, values)
  return batch
}

const items = (db: Database) => db.read(db.builder<Tables>().selectFrom('item').selectAll().orderBy('id'))
const totals = (db: Database) =>
  db.read(db.builder<Tables>().selectFrom('total').selectAll().orderBy('day').orderBy('kind'))
const insertItem = (db: Database, id: number | bigint, name = `item ${id}`) =>
  db.builder<Tables>().insertInto('item').values({ id, name, amount: null, bytes: null })
const failsWith = (code: string) => expect.objectContaining({ name: 'GatewayError', code })

/** Polls until `check` does not throw, up to a deadline. */
async function eventually(check: () => Promise<unknown>, deadlineMs = 10_000): Promise<void> {
  const end = Date.now() + deadlineMs
  for (;;) {
    try {
      await check()
      return
    } catch (error) {
      if (Date.now() > end) throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

/** The server may still be finishing what a killed process sent it. */
async function othersAreGone(db: Database): Promise<void> {
  const query = `SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle'`
  expect(await db.read(raw(query))).toEqual([{ n: 1n }])
}

describe.each([
  ['sqlite', sqlitePlace],
  ['postgres', postgresPlace],
] as const)('a store on %s', (engine, makePlace) => {
  /** A fresh migrated store for one test. */
  async function withStore(body: (db: Database, place: Place) => Promise<void>): Promise<void> {
    const place = await makePlace()
    const db = await place.open()
    try {
      await migrate(db, { log: silentLog, migrations: [schema] })
      await body(db, place)
    } finally {
      await db.close()
    }
  }

  test('names its engine and gives a builder that runs nothing by itself', () =>
    withStore(async (db) => {
      expect(db.engine).toBe(engine)
      await expect(insertItem(db, 1).execute()).rejects.toEqual(failsWith('internal'))
      expect(await items(db)).toEqual([])
    }))

  test('gives back every value as it was: 64-bit integers, null, bytes, any text', () =>
    withStore(async (db) => {
      const rows = [
        { id: -(2n ** 63n), name: '', amount: 2n ** 63n - 1n, bytes: new Uint8Array([0, 255, 92, 34, 120]) },
        { id: -1n, name: `'";\\{}NULL,\n\t\u0001`, amount: null, bytes: new Uint8Array(0) },
        { id: 9_007_199_254_740_993n, name: '漢字 😀 e\u0301 \uFFFF', amount: 0n, bytes: null },
      ]
      await db.write(db.builder<Tables>().insertInto('item').values(rows))
      expect(await items(db)).toEqual(rows)
      await db.write(db.builder<Tables>().deleteFrom('item'))
      await db.commit(batchOf(...rows.map((row): [HotTable, HotValue[]] => [itemTable, Object.values(row)])))
      expect(await items(db)).toEqual(rows)
      const [, , odd] = rows
      await db.commit(batchOf([itemTable, [5, 'a\0b\ud800', 6, null]]))
      expect((await items(db)).at(-2)).toEqual({ id: 5n, name: 'a\uFFFDb\uFFFD', amount: 6n, bytes: null })
      expect(odd?.bytes).toBeNull()
    }))

  test('gives counts, sums and truths as bigint', () =>
    withStore(async (db) => {
      await db.commit(batchOf([itemTable, [1, 'a', 3, null]], [itemTable, [2, 'b', 4, null]]))
      const query = raw('SELECT count(*) AS n, sum(amount) AS s, avg(amount) AS m, 1 < 2 AS t FROM item')
      expect(await db.read(query)).toEqual([{ n: 2n, s: 7n, m: 3.5, t: 1n }])
    }))

  test('says how many rows each write changed', () =>
    withStore(async (db) => {
      const sql = db.builder<Tables>()
      const changed = await db.write(
        sql.insertInto('item').values([1, 2, 3].map((id) => ({ id, name: `${id}`, amount: 1, bytes: null }))),
        sql.updateTable('item').set({ amount: 2 }).where('id', '>=', 2),
        raw('CREATE TABLE extra (id INTEGER)'),
        sql.deleteFrom('item').where('id', '=', 99),
      )
      expect(changed).toEqual([3, 2, 0, 0])
      expect(await db.write()).toEqual([])
    }))

  test('a read sees what was committed before it, and cannot write', () =>
    withStore(async (db) => {
      for (let id = 0; id < 20; id++) {
        await db.write(insertItem(db, id))
        expect(await items(db)).toHaveLength(id + 1)
      }
      await expect(db.read(insertItem(db, 100))).rejects.toThrow()
      expect(await items(db)).toHaveLength(20)
    }))

  test('a write is all or nothing', () =>
    withStore(async (db) => {
      await db.write(insertItem(db, 1))
      const failing = db.write(insertItem(db, 2), insertItem(db, 3), insertItem(db, 1))
      await expect(failing).rejects.toEqual(failsWith('conflict'))
      expect((await items(db)).map(({ id }) => id)).toEqual([1n])
      await db.write(insertItem(db, 2))
      expect(await items(db)).toHaveLength(2)
    }))

  test('a hot batch is all or nothing, whichever row fails', () =>
    withStore(async (db) => {
      await db.commit(batchOf([itemTable, [1, 'one', 1, null]], [totalTable, [1, 'a', 1, 5n]]))
      const good: [HotTable, HotValue[]][] = [
        [itemTable, [2, 'two', 1, null]],
        [totalTable, [1, 'a', 1, 5n]],
        [totalTable, [2, 'b', 1, 5n]],
      ]
      const bad: [HotTable, HotValue[]] = [itemTable, [1, 'again', 1, null]]
      for (let at = 0; at <= good.length; at++) {
        const batch = batchOf(...good.slice(0, at), bad, ...good.slice(at))
        await expect(db.commit(batch)).rejects.toEqual(failsWith('conflict'))
      }
      expect(await items(db)).toHaveLength(1)
      expect(await totals(db)).toEqual([{ day: 1n, kind: 'a', calls: 1n, cost: 5n }])
      await db.commit(batchOf(...good))
      expect(await totals(db)).toEqual([
        { day: 1n, kind: 'a', calls: 2n, cost: 10n },
        { day: 2n, kind: 'b', calls: 1n, cost: 5n },
      ])
    }))

  test('adds rows with the same key, within a batch and across batches', () =>
    withStore(async (db) => {
      const wanted = new Map<string, { calls: bigint; cost: bigint }>()
      for (let round = 0; round < 5; round++) {
        const batch = new HotBatch()
        for (let i = 0; i < 200; i++) {
          const [day, kind, cost] = [i % 3, i % 2 === 0 ? 'x y' : 'x', BigInt(i) * 10n ** 12n - 7n]
          const known = wanted.get(`${day} ${kind}`) ?? { calls: 0n, cost: 0n }
          wanted.set(`${day} ${kind}`, { calls: known.calls + 1n, cost: known.cost + cost })
          batch.add(totalTable, [i % 5 === 0 ? BigInt(day) : day, kind, 1, cost])
        }
        await db.commit(batch)
      }
      const found = (await totals(db)).map(({ day, kind, calls, cost }) => [
        `${day} ${kind}`,
        { calls, cost },
      ])
      expect(Object.fromEntries(found)).toEqual(Object.fromEntries(wanted))
    }))

  test('refuses a sum that does not fit in 64 bits, and keeps the old one', () =>
    withStore(async (db) => {
      await db.commit(batchOf([totalTable, [1, 'a', 1, 2n ** 63n - 1n]]))
      await expect(db.commit(batchOf([totalTable, [1, 'a', 1, 1n]]))).rejects.toEqual(failsWith('conflict'))
      const twice = batchOf([totalTable, [2, 'a', 1, 2n ** 62n]], [totalTable, [2, 'a', 1, 2n ** 62n]])
      await expect(db.commit(twice)).rejects.toEqual(failsWith('conflict'))
      expect(await totals(db)).toEqual([{ day: 1n, kind: 'a', calls: 1n, cost: 2n ** 63n - 1n }])
    }))

  test('a violated constraint is a conflict, a wrong query is internal, and neither harms what follows', () =>
    withStore(async (db) => {
      await db.write(insertItem(db, 1))
      const orphan = db.builder<Tables>().insertInto('part').values({ id: 1, item: 77 })
      await expect(db.write(orphan)).rejects.toEqual(failsWith('conflict'))
      await expect(db.write(raw('INSERT INTO item (id) VALUES (2)'))).rejects.toEqual(failsWith('conflict'))
      await expect(db.write(raw('INSRT INTO item'))).rejects.toEqual(failsWith('internal'))
      await expect(db.read(raw('SELECT nothing FROM nowhere'))).rejects.toEqual(failsWith('internal'))
      for (const value of [undefined, true, new Date(0), Number.NaN, 2n ** 63n, {}]) {
        const query = raw(`SELECT ${engine === 'sqlite' ? '?' : '$1::text'} AS value`, [value])
        await expect((async () => db.read(query))()).rejects.toEqual(failsWith('internal'))
        await expect((async () => db.write(query))()).rejects.toEqual(failsWith('internal'))
      }
      await expect(db.commit(batchOf([itemTable, [4, null, 1.5, null]]))).rejects.toEqual(
        failsWith('internal'),
      )
      await db.write(insertItem(db, 2))
      expect((await items(db)).map(({ id }) => id)).toEqual([1n, 2n])
    }))

  test('keeps everything across close and open; a closed store refuses', () =>
    withStore(async (db, place) => {
      await db.commit(batchOf([itemTable, [1, 'kept', 2n ** 60n, null]]))
      await db.write(insertItem(db, 2))
      const before = await items(db)
      await db.close()
      await expect(db.read(raw('SELECT 1'))).rejects.toEqual(failsWith('store_unavailable'))
      await expect(db.commit(batchOf([itemTable, [3, 'late', 1, null]]))).rejects.toEqual(
        failsWith('store_unavailable'),
      )
      await db.close()
      const again = await place.open()
      expect(await items(again)).toEqual(before)
      await again.close()
    }))

  test('parallel writers on two nodes lose nothing and do not stop each other', () =>
    withStore(async (db, place) => {
      const other = await place.open()
      try {
        const keys = Array.from({ length: 20 }, (_, i) => i)
        const commits = Array.from({ length: 60 }, (_, i) => {
          const order = i % 2 === 0 ? keys : keys.toReversed()
          const rows = order.map((day): [HotTable, HotValue[]] => [totalTable, [day, 'k', 1, BigInt(i)]])
          return (i % 3 === 0 ? other : db).commit(batchOf(...rows))
        })
        const writes = Array.from({ length: 60 }, (_, i) =>
          (i % 2 === 0 ? other : db).write(insertItem(db, i)),
        )
        await Promise.all([...commits, ...writes])
        expect(await items(other)).toHaveLength(60)
        const cost = BigInt((59 * 60) / 2)
        expect(await totals(db)).toEqual(
          keys.map((day) => ({ day: BigInt(day), kind: 'k', calls: 60n, cost })),
        )
      } finally {
        await other.close()
      }
    }))

  test('transactions that lock the same rows in opposite order all succeed', () =>
    withStore(async (db, place) => {
      const other = await place.open()
      try {
        await db.write(insertItem(db, 1), insertItem(db, 2))
        const add = (id: number) => raw(`UPDATE item SET amount = coalesce(amount, 0) + 1 WHERE id = ${id}`)
        const slow = engine === 'postgres' ? raw('SELECT pg_sleep(0.05)') : raw('SELECT 1')
        for (let i = 0; i < 2; i++)
          await Promise.all([db.write(add(1), slow, add(2)), other.write(add(2), slow, add(1))])
        expect((await items(db)).map(({ amount }) => amount)).toEqual([4n, 4n])
      } finally {
        await other.close()
      }
    }))

  test('a probe writes and reads back, and fails where the store lost its tables', () =>
    withStore(async (db) => {
      await db.probe()
      await Promise.all([db.probe(), db.probe()])
      await db.write(raw('DROP TABLE store_probe'))
      await expect(db.probe()).rejects.toEqual(failsWith('store_unavailable'))
    }))

  test('after kill -9 every acknowledged commit is there, and no half of one', async () => {
    const place = await makePlace()
    const setUp = await place.open()
    await migrate(setUp, { log: silentLog, migrations: [schema] })
    await setUp.close()
    const script = fileURLToPath(new URL('./commit-forever.ts', import.meta.url))
    const settings = JSON.stringify({ ...place.address, item: itemTable, total: totalTable })
    let first = 0
    for (let round = 0; round < 3; round++) {
      const child = spawn(process.execPath, [script, settings, String(first)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const wanted = 20 + round * 17
      let output = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        output += text
        if (output.split('\n').length > wanted) child.kill('SIGKILL')
      })
      const [, signal] = (await once(child, 'close')) as [number, string]
      expect(signal).toBe('SIGKILL')
      // What follows the last line end was cut off; the lines before it were acknowledged.
      const acknowledged = Number(output.split('\n').at(-2))
      expect(acknowledged).toBeGreaterThan(first + 100)

      const db = await place.open()
      if (engine === 'postgres') await eventually(() => othersAreGone(db))
      const ids = (await items(db)).map(({ id }) => Number(id))
      expect(ids.length).toBeGreaterThan(acknowledged)
      expect(ids.length % 7).toBe(0)
      expect(ids).toEqual(ids.map((_, i) => i))
      const calls = (await totals(db)).reduce((sum, row) => sum + BigInt(row.calls), 0n)
      expect(calls).toBe(BigInt(ids.length))
      first = ids.length
      await db.close()
    }
  })

  test('migrations run once and in order, also when nodes start together', async () => {
    const place = await makePlace()
    const second: Migration = {
      name: '0002-more',
      statements: () => ['ALTER TABLE item ADD COLUMN note TEXT'],
    }
    const nodes = await Promise.all([place.open(), place.open(), place.open()])
    try {
      const migrations = [schema, second]
      const done = await Promise.all(nodes.map((db) => migrate(db, { log: silentLog, migrations })))
      expect(done.flat().toSorted()).toEqual(['0001-test', '0002-more'])
      const [db] = nodes
      expect(await migrate(db, { log: silentLog, migrations })).toEqual([])
      const state = await readSchemaState(db, [...migrations, { name: '0003-next', statements: () => [] }])
      expect(state.applied.map(({ name }) => name)).toEqual(['0001-test', '0002-more'])
      expect(state).toMatchObject({ missing: ['0003-next'], unknown: [], foreign: [] })
    } finally {
      await Promise.all(nodes.map((db) => db.close()))
    }
  })

  test('a migration that fails halfway leaves nothing and can be run again', () =>
    withStore(async (db) => {
      const create = 'CREATE TABLE later (id INTEGER)'
      const broken: Migration = { name: '0002-later', statements: () => [create, 'CREATE TABLE'] }
      await expect(migrate(db, { log: silentLog, migrations: [schema, broken] })).rejects.toEqual(
        failsWith('internal'),
      )
      expect((await readSchemaState(db, [schema, broken])).missing).toEqual(['0002-later'])
      const mended = { ...broken, statements: () => [create] }
      expect(await migrate(db, { log: silentLog, migrations: [schema, mended] })).toEqual(['0002-later'])
    }))

  test('a store made by a newer version is refused and stays as it is', () =>
    withStore(async (db) => {
      await db.write(raw(`INSERT INTO schema_migration (name, applied_at) VALUES ('9999-future', 1)`))
      const before = await readSchemaState(db, [schema])
      const next: Migration = { name: '0002-next', statements: () => ['CREATE TABLE never (id INTEGER)'] }
      const refused = migrate(db, { log: silentLog, migrations: [schema, next] })
      await expect(refused).rejects.toEqual(failsWith('store_refused'))
      await expect(refused).rejects.toThrow(/newer version \(it has 9999-future\).*restore a backup/)
      expect(await readSchemaState(db, [schema])).toEqual(before)
    }))

  test("another program's database is refused and stays as it is", async () => {
    const place = await makePlace()
    const db = await place.open()
    await db.write(raw('CREATE TABLE their_table (id INTEGER)'))
    const refused = migrate(db, { log: silentLog, migrations: [schema] })
    await expect(refused).rejects.toEqual(failsWith('store_refused'))
    await expect(refused).rejects.toThrow(/another program \(it has their_table\)/)
    expect((await readSchemaState(db, [schema])).foreign).toEqual(['their_table'])
    await db.close()
  })
})

describe('a SQLite store', () => {
  /** A closed store with rows, and where it lies. */
  async function filledFile(): Promise<string> {
    const { open, address } = await sqlitePlace()
    const db = await open()
    await migrate(db, { log: silentLog, migrations: [schema] })
    const rows = Array.from({ length: 500 }, (_, id): [HotTable, HotValue[]] => [
      itemTable,
      [id, `item ${id}`, id, new Uint8Array(100)],
    ])
    await db.commit(batchOf(...rows))
    await db.close()
    return address.file ?? ''
  }

  const openFile = (file: string) => openSqlite({ file, durability: 'disk', log: silentLog })

  test('makes its folder and files readable by its owner alone', async () => {
    const dataDir = join(root, 'new', 'data')
    const db = await openDatabase({ dataDir, durability: 'process', log: silentLog })
    await db.probe()
    expect(statSync(dataDir).mode & 0o777).toBe(0o700)
    const file = sqliteFile(dataDir)
    for (const path of [file, `${file}-wal`, `${file}-shm`]) expect(statSync(path).mode & 0o777).toBe(0o600)
    await db.close()
    expect(existsSync(`${file}-wal`)).toBe(false)
  })

  test.each<[string, (file: string) => void]>([
    ['a flipped bit in the magic string', (file) => flip(file, 3)],
    ['a flipped bit in the page size', (file) => flip(file, 16)],
    ['a flipped bit in the file format', (file) => flip(file, 18)],
    ['a flipped bit in a page of a table', (file) => flip(file, 4096 * 3)],
    ['half of the file missing', (file) => cut(file, 0.5)],
    ['all but a few bytes missing', (file) => cut(file, 0.0005)],
    ['everything missing', (file) => cut(file, 0)],
    ['something else in its place', (file) => writeFileSync(file, 'usage: none\n'.repeat(1000))],
  ])('with %s is refused with advice, and stays as it is', async (_what, damage) => {
    const file = await filledFile()
    damage(file)
    const before = readFileSync(file)
    const refused = openFile(file)
    await expect(refused).rejects.toEqual(failsWith('store_refused'))
    await expect(refused).rejects.toThrow(/^The database test\.db is damaged .* restore a backup\.$/)
    expect(readFileSync(file).equals(before)).toBe(true)
  })

  test('whose file is gone while its log is there is refused', async () => {
    const { open, address } = await sqlitePlace()
    const db = await open()
    await migrate(db, { log: silentLog, migrations: [schema] })
    const lost = join(root, 'lost.db')
    copyFileSync(`${address.file}-wal`, `${lost}-wal`)
    await db.close()
    await expect(openFile(lost)).rejects.toEqual(failsWith('store_refused'))
    expect(existsSync(lost)).toBe(false)
  })

  test("never changes another program's file", async () => {
    const dataDir = mkdtempSync(join(root, 'foreign-'))
    const file = sqliteFile(dataDir)
    const theirs = new DatabaseSync(file)
    theirs.exec('CREATE TABLE theirs (id INTEGER)')
    theirs.close()
    const before = readFileSync(file)
    const opening = openDatabase({ dataDir, durability: 'disk', log: silentLog })
    await expect(opening).rejects.toEqual(failsWith('store_refused'))
    expect(readFileSync(file).equals(before)).toBe(true)
  })

  test('that is full refuses as unavailable, keeps reading, and heals when there is room', async () => {
    const db = await openFile(await filledFile())
    await db.write(raw('PRAGMA max_page_count = 1'))
    const big = (id: number) => batchOf([itemTable, [id, `big ${id}`, 1, new Uint8Array(1_000_000)]])
    await expect(db.commit(big(1000))).rejects.toEqual(failsWith('store_unavailable'))
    await expect(db.commit(big(1000))).rejects.toEqual(failsWith('store_unavailable'))
    expect(await items(db)).toHaveLength(500)
    await db.write(raw('PRAGMA max_page_count = 4294967294'))
    await db.commit(big(1000))
    expect(await items(db)).toHaveLength(501)
    await db.close()
  })

  test('locked by another process refuses as unavailable and goes on afterwards', async () => {
    const file = await filledFile()
    const db = await openSqlite({ file, durability: 'disk', log: silentLog, busyTimeoutMs: 50 })
    const other = new DatabaseSync(file)
    other.exec('BEGIN IMMEDIATE')
    await expect(db.write(insertItem(db, 1000))).rejects.toEqual(failsWith('store_unavailable'))
    expect(await items(db)).toHaveLength(500)
    other.exec('ROLLBACK')
    other.close()
    await db.write(insertItem(db, 1000))
    expect(await items(db)).toHaveLength(501)
    await db.close()
  })

  test('refuses more requests than may wait', async () => {
    const file = await filledFile()
    const db = await openSqlite({ file, durability: 'disk', log: silentLog, maxWaiting: 4 })
    const writes = Array.from({ length: 8 }, (_, i) => db.write(insertItem(db, 1000 + i)))
    const results = await Promise.allSettled(writes)
    const refused = results
      .filter((result) => result.status === 'rejected')
      .map(({ reason }) => reason as unknown)
    expect(refused).toEqual(Array.from({ length: 4 }, () => failsWith('overloaded')))
    expect(await items(db)).toHaveLength(504)
    await db.close()
  })
})

function flip(file: string, at: number): void {
  const bytes = readFileSync(file)
  bytes.writeUInt8(bytes.readUInt8(at) ^ 0x10, at)
  writeFileSync(file, bytes)
}

function cut(file: string, share: number): void {
  const bytes = readFileSync(file)
  writeFileSync(file, bytes.subarray(0, Math.floor(bytes.length * share)))
}

describe('a PostgreSQL store', () => {
  test("takes the product's own schema, once", async () => {
    const { address } = await postgresPlace()
    const options = { dataDir: root, databaseUrl: address.url, durability: 'disk', log: silentLog } as const
    const db = await openDatabase(options)
    await db.probe()
    await db.close()
    const again = await openDatabase(options)
    expect(await readSchemaState(again)).toMatchObject({ missing: [], unknown: [], foreign: [] })
    await again.close()
  })

  test('that goes away refuses as unavailable, and is used again when it is back', async () => {
    const { open } = await postgresPlace()
    const db = await open()
    await migrate(db, { log: silentLog, migrations: [schema] })
    await db.commit(batchOf([itemTable, [1, 'before', 1, null]]))
    await cluster.halt()
    try {
      await expect(db.commit(batchOf([itemTable, [2, 'during', 1, null]]))).rejects.toEqual(
        failsWith('store_unavailable'),
      )
      await expect(db.write(insertItem(db, 3))).rejects.toEqual(failsWith('store_unavailable'))
      await expect(db.read(raw('SELECT 1'))).rejects.toEqual(failsWith('store_unavailable'))
      await expect(db.probe()).rejects.toEqual(failsWith('store_unavailable'))
      await expect(open()).rejects.toEqual(failsWith('store_unavailable'))
    } finally {
      await cluster.resume()
    }
    await eventually(() => db.probe())
    await db.commit(batchOf([itemTable, [4, 'after', 1, null]]))
    expect((await items(db)).map(({ id }) => id)).toEqual([1n, 4n])
    await db.close()
  })

  test('a connection cut in the middle of a transaction leaves nothing and refuses as unavailable', async () => {
    const { open } = await postgresPlace()
    const db = await open()
    await migrate(db, { log: silentLog, migrations: [schema] })
    const cut = db.write(
      insertItem(db, 1),
      raw('SELECT pg_terminate_backend(pg_backend_pid())'),
      insertItem(db, 2),
    )
    await expect(cut).rejects.toEqual(failsWith('store_unavailable'))
    expect(await items(db)).toEqual([])
    await db.write(insertItem(db, 3))
    expect(await items(db)).toHaveLength(1)
    await db.close()
  })

  test('its password reaches neither a log nor an error', async () => {
    const lines: string[] = []
    const keep = (fields: object, message: string) => void lines.push(message, inspect(fields, { depth: 10 }))
    const log = { error: keep, warn: keep, info: keep, debug: keep }
    const good = new URL(cluster.url())
    const secret = 'hunter2%2Fhunter2'
    const urls = [
      `postgres://tollbridge:${secret}@127.0.0.1:${good.port}/postgres`,
      `postgres://tollbridge:${secret}@127.0.0.1:1/postgres`,
      `postgres://tollbridge:${secret}@127.0.0.1:${good.port}/nowhere?sslmode=verify-full`,
      `postgres://tollbridge:${secret}@[nonsense/postgres`,
      `mysql://tollbridge:${secret}@127.0.0.1/postgres`,
      `tollbridge:${secret}@127.0.0.1`,
    ]
    for (const databaseUrl of urls) {
      const error = await openDatabase({ dataDir: root, databaseUrl, durability: 'disk', log }).then(
        () => expect.fail('it opened'),
        (thrown: unknown) => thrown,
      )
      expect(['store_refused', 'store_unavailable']).toContain((error as { code: string }).code)
      const text = [...lines, inspect(error, { depth: 10, showHidden: true })].join('\n')
      expect(text).not.toContain('hunter2')
    }
  })
})
