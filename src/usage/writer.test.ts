// Guarantees of the writer: calls that wait share a commit, and a store that fails loses, doubles and hides nothing.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { ManualClock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { CallIds } from '../base/id.ts'
import { silentLog as log } from '../base/log.ts'
import type { Database } from '../db/database.ts'
import { migrate } from '../db/migrate.ts'
import { openSqlite } from '../db/sqlite.ts'
import { Dimensions } from './dimensions.ts'
import { UsageQueries } from './queries.ts'
import { usageStores } from './reading-store.ts'
import type { UsageRecord } from './record.ts'
import { UsageStore, type HotRow } from './store.ts'
import { UsageWriter } from './writer.ts'

let folder: string
let db: Database
let store: FlakyStore
let writer: UsageWriter<never>
let queries: UsageQueries
let heals = 0
const clock = new ManualClock()
const ids = new CallIds(clock)

/** The real store, which fails when it is told to, before or after the rows are durable. */
class FlakyStore extends UsageStore {
  failing: 'no' | 'before' | 'after' = 'no'
  readonly batches: number[] = []

  override async commit(rows: HotRow[]): Promise<void> {
    this.batches.push(rows.filter(({ table }) => table.name === 'usage_record').length)
    if (this.failing === 'before') throw new GatewayError('store_unavailable')
    await super.commit(rows)
    if (this.failing === 'after') throw new GatewayError('store_unavailable')
  }

  override async probe(): Promise<void> {
    if (this.failing !== 'no') throw new GatewayError('store_unavailable')
    await super.probe()
  }
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tollbridge-writer-'))
  db = await openSqlite({ file: join(folder, 'test.db'), durability: 'process', log })
  await migrate(db, { log })
  store = new FlakyStore(db)
  heals = 0
  writer = new UsageWriter<never>({
    store,
    dimensions: new Dimensions({ known: [], next: 1, capacity: 100 }),
    log,
    extraRows: () => [],
    onHeal: async () => void heals++,
    maxBatch: 50,
    maxQueue: 200,
    probeEveryMs: 2,
  })
  queries = new UsageQueries(usageStores(db), { clock })
})
afterEach(async () => {
  await writer.close()
  await db.close()
  rmSync(folder, { recursive: true, force: true })
})

const record = (user = 'usr_1'): UsageRecord => ({
  id: ids.next(),
  userId: user,
  accountId: 'acc_1',
  serverId: 'srv_1',
  server: 'weather',
  method: 'tools/call',
  transport: 'streamable-http',
  upstreamTransport: 'streamable-http',
  era: 'modern',
  upstreamEra: 'modern',
  outcome: 'success',
  statusCode: 200,
  requestBytes: 1,
  responseBytes: 2,
  durationUs: 3,
  cost: 5n,
  currency: 'USD',
  priced: false,
  client: { ip: '', userAgent: '' },
})

/** Submits one call; resolves with its error, or undefined once it is durable. */
const submit = (call = record()): Promise<GatewayError | undefined> =>
  new Promise((resolve) => writer.submit({ record: call, done: resolve }, []))
const many = (count: number): Promise<(GatewayError | undefined)[]> =>
  Promise.all(Array.from({ length: count }, () => submit()))
const stored = async (): Promise<number> => (await queries.listRecords({}, { limit: 1000 })).length
const summed = async (): Promise<number> =>
  (await queries.summarise({}, { groupBy: [], timeZone: 'UTC' })).totalCalls
const healed = (): Promise<void> =>
  vi.waitFor(() => expect(writer.accepting).toBe(true), { timeout: 5000, interval: 2 })

test('a call is durable when it is told so', async () => {
  const call = record()
  expect(await submit(call)).toBeUndefined()
  expect((await queries.findRecord(call.id))?.cost).toBe(5n)
})

test('a call alone is committed alone, and calls that wait share a commit of at most the largest batch', async () => {
  expect(await submit()).toBeUndefined()
  expect(store.batches).toEqual([1])
  const errors = await many(120)
  expect(errors.filter((error) => error)).toEqual([])
  expect(store.batches.length).toBeLessThanOrEqual(5)
  expect(Math.max(...store.batches)).toBe(50)
  expect(store.batches.reduce((sum, size) => sum + size)).toBe(121)
  expect([await stored(), await summed()]).toEqual([121, 121])
})

test('a failing store tells every caller, also those that wait, and takes nothing more until it heals', async () => {
  expect(await submit()).toBeUndefined()
  store.failing = 'before'
  const errors = await many(120)
  expect(errors.map((error) => error?.code)).toEqual(Array.from({ length: 120 }, () => 'store_unavailable'))
  expect(writer.accepting).toBe(false)
  await new Promise((resolve) => {
    setTimeout(resolve, 10)
  })
  expect([writer.accepting, heals]).toEqual([false, 0])
  store.failing = 'no'
  await healed()
  expect(heals).toBe(1)
  expect((await many(70)).filter((error) => error)).toEqual([])
  expect([await stored(), await summed()]).toEqual([71, 71])
})

test('texts are stored again after a failed commit, so that no record is left without its names', async () => {
  store.failing = 'before'
  expect(await submit(record('usr_new'))).toBeDefined()
  store.failing = 'no'
  await healed()
  const call = record('usr_new')
  expect(await submit(call)).toBeUndefined()
  expect((await queries.findRecord(call.id))?.userId).toBe('usr_new')
})

test('a commit that failed after it was durable is told as failed, and what follows is not doubled', async () => {
  store.failing = 'after'
  expect((await submit())?.code).toBe('store_unavailable')
  store.failing = 'no'
  await healed()
  expect(await submit()).toBeUndefined()
  expect([await stored(), await summed()]).toEqual([2, 2])
})

test('a caller that throws on its answer keeps no other from theirs, and the next batch is committed', async () => {
  const throws = (): never => {
    throw new Error('this caller has gone wrong')
  }
  const answered: (GatewayError | undefined)[] = []
  const submitThree = (): void => {
    writer.submit({ record: record(), done: (error) => answered.push(error) }, [])
    writer.submit({ record: record(), done: throws }, [])
    writer.submit({ record: record(), done: (error) => answered.push(error) }, [])
  }
  submitThree()
  await writer.flush()
  expect(answered).toEqual([undefined, undefined])
  expect(await submit()).toBeUndefined()
  store.failing = 'before'
  submitThree()
  await writer.flush()
  expect(answered.slice(2).map((error) => error?.code)).toEqual(['store_unavailable', 'store_unavailable'])
  store.failing = 'no'
  await healed()
  expect(await submit()).toBeUndefined()
  expect(await stored()).toBe(5)
})

test('a full queue accepts nothing more, and closing waits for what was accepted', async () => {
  const waiting = many(200)
  expect(writer.accepting).toBe(false)
  await writer.close()
  expect((await waiting).filter((error) => error)).toEqual([])
  expect(writer.accepting).toBe(false)
  expect(await stored()).toBe(200)
})
