// What usage queries promise, run on SQLite and on PostgreSQL against a naive model over random records.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ManualClock } from '../../src/base/clock.ts'
import { CallIds } from '../../src/base/id.ts'
import { silentLog } from '../../src/base/log.ts'
import { formatAmount } from '../../src/base/money.ts'
import { localDate, localHour } from '../../src/base/zone.ts'
import type { Database } from '../../src/db/database.ts'
import { migrate } from '../../src/db/migrate.ts'
import { openPostgres } from '../../src/db/postgres.ts'
import { rawQuery } from '../../src/db/raw-query.ts'
import { openSqlite } from '../../src/db/sqlite.ts'
import { CubeWriter } from '../../src/usage/cube-writer.ts'
import { Dimensions } from '../../src/usage/dimensions.ts'
import { filterNames, type UsageFilter } from '../../src/usage/filter.ts'
import { groupNames, type GroupName } from '../../src/usage/groups.ts'
import { UsageQueries } from '../../src/usage/queries.ts'
import { usageStores } from '../../src/usage/reading-store.ts'
import { latencyBoundsUs, latencyBucket, type UsageRecord } from '../../src/usage/record.ts'
import { UsageStore } from '../../src/usage/store.ts'
import { startPostgres, type TestPostgres } from '../harness/postgres.ts'
import { commitRecords, Random, randomRecords } from '../harness/usage.ts'

const root = mkdtempSync(join(tmpdir(), 'usage-'))
let cluster: TestPostgres
let places = 0
beforeAll(async () => {
  cluster = await startPostgres()
})
afterAll(async () => {
  await cluster.stop()
  rmSync(root, { recursive: true, force: true })
})

const engines: [string, () => Promise<Database>][] = [
  [
    'sqlite',
    () => openSqlite({ file: join(root, `${places++}`, 'test.db'), durability: 'process', log: silentLog }),
  ],
  [
    'postgres',
    async () => {
      const name = `usage_${places++}`
      await cluster.createDatabase(name)
      return openPostgres({ url: cluster.url(name), durability: 'process', log: silentLog })
    },
  ],
]

// Clocks in Berlin go back in this period.
const startMs = Date.UTC(2026, 9, 23, 17, 7, 3)
const endMs = Date.UTC(2026, 9, 26, 3, 50, 11)
const zones = ['UTC', 'Europe/Berlin', 'Asia/Kathmandu', 'America/St_Johns', 'Australia/Lord_Howe']
const currencyOf = (accountId: string): string => (accountId === 'acc_2' ? 'EUR' : 'USD')

const fieldOf = {
  user: (record) => record.userId,
  account: (record) => record.accountId,
  key: (record) => record.keyId,
  server: (record) => record.server,
  tool: (record) => record.tool,
  method: (record) => record.method,
  session: (record) => record.sessionId,
  outcome: (record) => record.outcome,
  currency: (record) => record.currency,
  rule: (record) => record.ruleId,
} satisfies Record<string, (record: UsageRecord) => string | undefined>

function fits(record: UsageRecord, filter: UsageFilter): boolean {
  const timeMs = CallIds.timeMs(record.id)
  return (
    filterNames.every(
      (name) =>
        filter[name] === undefined ||
        filter[name] === fieldOf[name](record) ||
        (name === 'server' && filter.server === record.serverId),
    ) &&
    timeMs >= (filter.fromMs ?? 0) &&
    timeMs < (filter.toMs ?? Infinity)
  )
}

function keyOf(record: UsageRecord, name: GroupName, zone: string): string | null {
  const timeMs = CallIds.timeMs(record.id)
  if (name === 'day') return localDate(timeMs, zone)
  if (name === 'hour') return localHour(timeMs, zone)
  if (name === 'month') return localDate(timeMs, zone).slice(0, 7)
  if (name === 'week') return mondayOf(localDate(timeMs, zone))
  return fieldOf[name](record) ?? null
}

function mondayOf(date: string): string {
  const noon = new Date(`${date}T12:00:00Z`)
  noon.setUTCDate(noon.getUTCDate() - ((noon.getUTCDay() + 6) % 7))
  return noon.toISOString().slice(0, 10)
}

function randomFilter(random: Random, records: readonly UsageRecord[]): UsageFilter {
  const sample = random.pick(records)
  const filter: Record<string, string | number> = {}
  for (const name of filterNames) {
    const value = fieldOf[name](sample)
    if (value !== undefined && random.below(5) === 0) filter[name] = value
  }
  if (filter['server'] !== undefined && random.below(2) === 0) filter['server'] = sample.serverId
  const [a, b] = [random.below(endMs - startMs), random.below(endMs - startMs)]
  if (random.below(2) === 0) filter['fromMs'] = startMs + Math.min(a, b)
  if (random.below(2) === 0) filter['toMs'] = startMs + Math.max(a, b)
  // Sometimes on the edge of a quarter of an hour, sometimes a whole zone's day.
  if (random.below(4) === 0) filter['fromMs'] = Date.UTC(2026, 9, 24, 22)
  if (random.below(4) === 0) filter['toMs'] = Date.UTC(2026, 9, 25, 23)
  return filter
}

describe.each(engines)('usage on %s', (_, openStore) => {
  let db: Database
  let queries: UsageQueries
  let records: UsageRecord[]
  let cubes: CubeWriter
  const random = new Random()
  const clock = new ManualClock(endMs)

  beforeAll(async () => {
    console.log(`usage seed ${random.seed}`)
    db = await openStore()
    await migrate(db, { log: silentLog })
    const store = new UsageStore(db)
    records = randomRecords(random, { count: 1500, startMs, endMs, currencyOf })
    // So small that texts are forgotten and get several integers, as on a node that runs for long.
    const dimensions = new Dimensions({ known: [], next: 1, capacity: 24 })
    // Most of it is summed up into cubes; what comes late puts parts of them out of date again.
    await commitRecords(store, records.slice(0, 1200), { dimensions, random })
    cubes = new CubeWriter(usageStores(db).cubes, clock)
    expect(await cubes.run()).toBeGreaterThan(50)
    await commitRecords(store, records.slice(1200), { dimensions, random })
    records.sort((a, b) => (a.id > b.id ? -1 : 1))
    queries = new UsageQueries(usageStores(db), { clock })
  })
  afterAll(() => db.close())

  test('a record is read back as it was written', async () => {
    for (let n = 0; n < 50; n++) {
      const record = random.pick(records)
      expect(await queries.findRecord(record.id)).toEqual(record)
    }
    expect(await queries.findRecord(5n)).toBeUndefined()
  })

  test('a list has exactly the records that fit, newest first, and its pages neither repeat nor leave out', async () => {
    for (let n = 0; n < 60; n++) {
      const filter = randomFilter(random, records)
      const limit = 1 + random.below(80)
      const wanted = records.filter((record) => fits(record, filter)).map(({ id }) => id)
      const listed: bigint[] = []
      for (;;) {
        const last = listed.at(-1)
        const page = await queries.listRecords(filter, { limit, ...(last !== undefined && { before: last }) })
        listed.push(...page.map(({ id }) => id))
        if (page.length < limit) break
      }
      expect(listed, JSON.stringify(filter)).toEqual(wanted)
    }
  })

  test.each([
    { server: 'WEATHER' },
    { server: 'srv_' },
    { server: '%' },
    { tool: '100_' },
    { tool: "' OR 1=1 --" },
    { outcome: 'nonsense' },
    { fromMs: Date.UTC(2300, 0, 1) },
    { toMs: Date.UTC(1980, 0, 1) },
    { fromMs: endMs, toMs: startMs },
    { user: 'usr_1', fromMs: Date.UTC(2300, 0, 1), toMs: Date.UTC(9999, 0, 1) },
  ])('%j finds nothing', async (filter) => {
    expect(await queries.listRecords(filter, { limit: 10 })).toEqual([])
    const summary = await queries.summarise(filter, {
      groupBy: ['server', 'day'],
      timeZone: 'UTC',
      currency: 'USD',
    })
    expect(summary).toMatchObject({
      totalCalls: 0,
      totalCost: '0',
      averageCostPerCall: '0',
      currency: 'USD',
      groups: [],
    })
  })

  const states = ['before late records are summed up', 'when everything is summed up']
  test.each(states)('a summary equals the sum of the records, %s', async (state) => {
    if (state === states[1]) {
      const later = new CubeWriter(usageStores(db).cubes, new ManualClock(endMs + 100 * 86_400_000))
      expect(await later.run()).toBeGreaterThan(3)
      expect(await later.run()).toBe(0)
    }
    for (let n = 0; n < 60; n++) {
      const filter = randomFilter(random, records)
      const zone = random.pick(zones)
      const groupBy = groupNames.filter(() => random.below(6) === 0)
      const summary = await queries.summarise(filter, { groupBy, timeZone: zone })
      const wanted = records.filter((record) => fits(record, filter))
      const currencies = [...new Set(wanted.map(({ currency }) => currency))].sort()
      const cost = wanted.reduce((sum, record) => sum + record.cost, 0n)
      const what = JSON.stringify({ filter, zone, groupBy })
      expect(summary, what).toMatchObject({
        totalCalls: wanted.length,
        successfulCalls: wanted.filter(({ outcome }) => outcome === 'success').length,
        failedCalls: wanted.filter(({ outcome }) => outcome !== 'success').length,
        unpricedCalls: wanted.filter(({ priced }) => !priced).length,
        totalCost: currencies.length > 1 ? null : formatAmount(cost),
        requestBytes: wanted.reduce((sum, record) => sum + record.requestBytes, 0),
        responseBytes: wanted.reduce((sum, record) => sum + record.responseBytes, 0),
      })
      expect(summary.totals.map(({ currency }) => currency)).toEqual(currencies)
      const groups = Map.groupBy(wanted, (record) =>
        JSON.stringify([...groupBy.map((name) => keyOf(record, name, zone)), record.currency]),
      )
      const found = summary.groups.map(({ keys, sum }) => [
        JSON.stringify([...groupBy.map((name) => keys[name]), sum.currency]),
        sum.calls,
        sum.failed,
        formatAmount(sum.cost),
      ])
      const expected = [...groups].map(([name, own]) => [
        name,
        own.length,
        own.filter(({ outcome }) => outcome !== 'success').length,
        formatAmount(own.reduce((sum, record) => sum + record.cost, 0n)),
      ])
      const byName = (a: unknown[], b: unknown[]): number => (String(a[0]) < String(b[0]) ? -1 : 1)
      expect(found.sort(byName), what).toEqual(groupBy.length === 0 ? [] : expected.sort(byName))
    }
  })

  test('calls that name no tool are summed up by whole quarter-hours and by records alike', async () => {
    const wanted = records.filter(({ tool }) => tool === undefined)
    expect(wanted.length).toBeGreaterThan(100)
    const whole = await queries.summarise({ toolless: true }, { groupBy: ['tool'], timeZone: 'UTC' })
    expect(whole.totalCalls).toBe(wanted.length)
    expect(whole.groups.every(({ keys }) => keys.tool === null)).toBe(true)
    const cutMs = startMs + 86_400_123
    const early = wanted.filter(({ id }) => CallIds.timeMs(id) < cutMs)
    const part = await queries.summarise({ toolless: true, toMs: cutMs }, { groupBy: [], timeZone: 'UTC' })
    expect(part.totalCalls).toBe(early.length)
  })

  test.each([{}, { account: 'acc_1' }, { method: 'tools/list' }, { key: 'key_1' }])(
    'calls that name no tool are listed, also in pages and beside %j',
    async (beside) => {
      const filter = { toolless: true, ...beside } as const
      const wanted = records.filter((record) => record.tool === undefined && fits(record, filter))
      const listed: bigint[] = []
      for (;;) {
        const last = listed.at(-1)
        const page = await queries.listRecords(filter, {
          limit: 7,
          ...(last !== undefined && { before: last }),
        })
        listed.push(...page.map(({ id }) => id))
        if (page.length < 7) break
      }
      expect(wanted.length).toBeGreaterThan(7)
      expect(listed).toEqual(wanted.map(({ id }) => id))
    },
  )

  test('a percentile lies in the latency bucket of the true one', async () => {
    const { p50Ms, p95Ms } = await queries.summarise({ outcome: 'success' }, { groupBy: [], timeZone: 'UTC' })
    const durations = records
      .filter(({ outcome }) => outcome === 'success')
      .map(({ durationUs }) => durationUs)
    durations.sort((a, b) => a - b)
    for (const [share, found] of [[0.5, p50Ms] as const, [0.95, p95Ms] as const]) {
      const bucket = latencyBucket(durations[Math.ceil(share * durations.length) - 1] ?? 0)
      expect(found).toBeGreaterThanOrEqual((latencyBoundsUs[bucket - 1] ?? 0) / 1000)
      expect(found).toBeLessThanOrEqual((latencyBoundsUs[bucket] ?? Infinity) / 1000)
    }
  })

  test("the current cost is that of the month in the account's zone", async () => {
    const account = { id: 'acc_0', currency: 'USD', timeZone: 'Europe/Berlin' }
    const own = records.filter(({ accountId }) => accountId === 'acc_0')
    const cost = own.reduce((sum, record) => sum + record.cost, 0n)
    expect(await queries.currentCost(account)).toEqual({
      cost,
      startMs: Date.UTC(2026, 8, 30, 22),
      endMs: Date.UTC(2026, 9, 31, 23),
    })
    clock.set(Date.UTC(2026, 9, 31, 23, 30))
    expect((await queries.currentCost(account)).cost).toBe(0n)
    expect((await queries.currentCost({ ...account, timeZone: 'UTC' })).cost).toBe(cost)
  })

  test('a summary with too many groups is refused instead of filling the memory', async () => {
    const few = new UsageQueries(usageStores(db), { clock, limits: { maxGroups: 3 } })
    await expect(few.summarise({}, { groupBy: ['hour'], timeZone: 'UTC' })).rejects.toMatchObject({
      code: 'unprocessable',
    })
  })

  test('counts are loaded of accounts, keys and open sessions, and of the periods that are asked for', async () => {
    const run = (text: string) => db.write(rawQuery(text))
    const session = (id: string, status: string) =>
      run(`insert into session (id, user_id, account_id, server_id, transport, status, created_at, last_active_at, expires_at)
        values ('${id}', 'usr_1', 'acc_1', 'srv_1', 'sse', '${status}', 1, 1, 9)`)
    await session('ses_open', 'connected')
    await session('ses_closed', 'closed')
    await session('ses_expired', 'expired')
    for (const subject of ['acc_1', 'key_1', 'ses_open', 'ses_closed', 'ses_expired', 'ses_gone'])
      await run(`insert into usage_meter (rule_id, unit, subject, period, quantity)
        values ('rul_1', 'call', '${subject}', 5, 7), ('rul_1', 'call', '${subject}', 4, 7)`)
    const loaded = await new UsageStore(db).loadMeters(5)
    expect(loaded.map(({ subject }) => subject).toSorted()).toEqual(['acc_1', 'key_1', 'ses_open'])
    expect(loaded[0]).toMatchObject({ ruleId: 'rul_1', unit: 'call', periodMs: 5, quantity: 7n })
  })
})
