// What upkeep promises on SQLite and on PostgreSQL: dropped records leave true sums, and what was damaged is found and rebuilt.
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silentLog } from '../../src/base/log.ts'
import { rebuild } from '../../src/billing/rebuild.ts'
import { rebuildStores } from '../../src/billing/rebuild-store.ts'
import { verify } from '../../src/billing/verify.ts'
import type { Database } from '../../src/db/database.ts'
import { openPostgres } from '../../src/db/postgres.ts'
import { Ledger } from '../../src/ledger/ledger.ts'
import { LedgerStore } from '../../src/ledger/store.ts'
import { KeptAnswerStore, keptRow } from '../../src/sessions/kept-store.ts'
import { HotBatch } from '../../src/db/batch.ts'
import { CubeWriter } from '../../src/usage/cube-writer.ts'
import { usageStores } from '../../src/usage/reading-store.ts'
import { Retention } from '../../src/usage/retention.ts'
import { RetentionStore } from '../../src/usage/retention-store.ts'
import { openMoney, type Money } from '../harness/money.ts'
import { startPostgres, type TestPostgres } from '../harness/postgres.ts'

let cluster: TestPostgres
beforeAll(async () => {
  cluster = await startPostgres()
})
afterAll(() => cluster.stop())

const startMs = Date.UTC(2026, 2, 27, 21)
const hourMs = 3_600_000
const dayMs = 24 * hourMs
const open = {
  sqlite: () => openMoney({ startMs }),
  postgres: async () => {
    await cluster.createDatabase('upkeep')
    const url = cluster.url('upkeep')
    const database = await openPostgres({ url, durability: 'process', log: silentLog })
    return openMoney({ startMs, database })
  },
}

async function run(db: Database, text: string): Promise<void> {
  await db.write({ compile: () => sql.raw(text).compile(db.builder()) })
}

describe.each(['sqlite', 'postgres'] as const)('on %s', (engine) => {
  let money: Money
  let prepaid: string
  let postpaid: string
  /** Ends a call that arrived on the first day. */
  let endStream: () => Promise<unknown>
  const audit = () => verify({ ...money.audited, rules: money.rules, pageRows: 50 })
  const retention = (recordDays: number | undefined) =>
    new Retention({
      store: new RetentionStore(money.db),
      clock: money.clock,
      recordDays,
      dropWith: (before) => new KeptAnswerStore(money.db).dropBefore(before),
    })
  const summary = (groupBy: ('server' | 'day')[] = ['day']) =>
    money.queries.summarise({}, { groupBy, timeZone: 'Europe/Berlin' })

  beforeAll(async () => {
    money = await open[engine]()
    prepaid = await money.addAccount('usr_1', 'prepaid')
    postpaid = await money.addAccount('usr_2')
    await money.rules.create({ name: 'calls', currency: 'USD', price: { perCall: '0.01', perKb: '0.001' } })
    await money.ledger.grant(prepaid, { amount: 10n ** 9n, priority: 0, createdBy: 'usr_0' })
    endStream = money.begin({ accountId: postpaid })
    for (let n = 0; n < 120; n++) {
      money.clock.advance(hourMs)
      const outcome = n % 9 === 0 ? 'tool_error' : 'success'
      const accountId = n % 2 === 0 ? prepaid : postpaid
      const { record } = await money.call({ accountId, outcome, responseBytes: n * 50, tool: `t${n % 4}` })
      const kept = { accountId, key: `k${n}`, fingerprint: 'f', record: record.id, status: 200, bytes: null }
      await money.db.commit(new HotBatch([keptRow(kept)]))
    }
    await new CubeWriter(usageStores(money.db).cubes, money.clock).run()
  })
  afterAll(() => money.close())

  test('an honest store with cubes is clean', async () => {
    expect(await audit()).toMatchObject({ ok: true, differences: [] })
  })

  test.each([
    'update usage_cube set calls = calls + 1 where cube = 4 and span = 4 and bucket = (select min(bucket) from usage_cube where cube = 4 and span = 4)',
    'update usage_cube set failed = failed + 1 where cube = 1 and span = 1 and bucket = (select max(bucket) from usage_cube where cube = 1 and span = 1)',
    'delete from usage_cube where cube = 6 and span = 96',
    'update usage_cube set l3 = l3 + 1 where cube = 5 and span = 96',
    'update usage_rollup set cost = cost + 1 where bucket = (select min(bucket) from usage_rollup)',
    'delete from usage_rollup where bucket = (select max(bucket) from usage_rollup)',
    'update ledger_balance set debits = debits + 1 where ledger_account = (select max(ledger_account) from ledger_balance)',
    'delete from ledger_balance',
  ])('%s: it is found, and a rebuild heals it', async (damage) => {
    const before = await summary()
    await run(money.db, damage)
    expect((await audit()).ok).toBe(false)
    const done = await rebuild(rebuildStores(money.db), money.clock)
    expect(done.rollups + done.balances + (damage.includes('usage_cube') ? 1 : 0)).toBeGreaterThan(0)
    expect(await audit()).toMatchObject({ ok: true, differences: [] })
    expect(await summary()).toEqual(before)
    const again = await rebuild(rebuildStores(money.db), money.clock)
    expect(again).toMatchObject({ rollups: 0, balances: 0 })
  })

  test('balances that were rebuilt are what the wallets are folded from', async () => {
    const totals = money.ledger.totals(prepaid)
    await run(money.db, 'update ledger_balance set debits = 0, credits = 0')
    await rebuild(rebuildStores(money.db), money.clock)
    const defaults = { mode: 'postpaid', currency: 'USD', timeZone: 'UTC' } as const
    const fresh = await Ledger.open(new LedgerStore(money.db), { clock: money.clock, defaults })
    expect(fresh.totals(prepaid)).toEqual(totals)
  })

  test('records are kept for ever where nothing is said', async () => {
    expect(await retention(undefined).run()).toBe(0)
    expect(await audit()).toMatchObject({ ok: true, checked: 120 })
  })

  test('whole days of old records go, with their kept answers; sums, ledger and audit stay true', async () => {
    const [days, servers] = [await summary(), await summary(['server'])]
    const totals = [money.ledger.totals(prepaid), money.ledger.totals(postpaid)]
    const old = retention(2)
    const dropped = await old.run()
    expect(dropped).toBeGreaterThan(40)
    expect(await audit()).toMatchObject({ ok: true, checked: 120 - dropped, differences: [] })
    expect(await summary()).toEqual(days)
    expect(await summary(['server'])).toEqual(servers)
    await money.ledger.reload()
    expect([money.ledger.totals(prepaid), money.ledger.totals(postpaid)]).toEqual(totals)
    const kept = new KeptAnswerStore(money.db)
    expect(await kept.findKept(prepaid, 'k0')).toBeUndefined()
    expect(await kept.findKept(postpaid, 'k119')).toBeDefined()
    expect(old.isDropped(startMs)).toBe(true)
    expect(old.isDropped(money.clock.now() - 2 * dayMs)).toBe(false)
    expect(await old.run()).toBe(0)
  })

  test('periods of dropped days go by whole quarter-hours, and neighbours share no call', async () => {
    const whole = await money.queries.summarise(
      { toMs: startMs + 2 * dayMs },
      { groupBy: [], timeZone: 'UTC' },
    )
    const cutMs = startMs + dayMs + 7 * 60_000
    const parts = await Promise.all([
      money.queries.summarise({ toMs: cutMs }, { groupBy: [], timeZone: 'UTC' }),
      money.queries.summarise({ fromMs: cutMs, toMs: startMs + 2 * dayMs }, { groupBy: [], timeZone: 'UTC' }),
    ])
    expect(parts.reduce((sum, { totalCalls }) => sum + totalCalls, 0)).toBe(whole.totalCalls)
    expect(whole.totalCalls).toBeGreaterThan(40)
  })

  test('a record that comes after its day was dropped joins the others', async () => {
    await endStream()
    expect(await audit()).toMatchObject({ ok: true })
    expect(await retention(2).run()).toBe(1)
    expect(await audit()).toMatchObject({ ok: true })
  })

  test.each([
    'update usage_dropped set cost = cost + 1',
    "update transfer set amount = amount + 1 where id = (select min(id) from transfer where kind = 'charge')",
    "delete from transfer where id = (select min(id) from transfer where kind = 'charge')",
    'update usage_rollup set calls = calls + 1 where bucket = (select min(bucket) from usage_rollup)',
  ])('of dropped days, %s is found', async (damage) => {
    const tables = ['usage_dropped', 'transfer', 'usage_rollup']
    for (const table of tables) await run(money.db, `create table kept_${table} as select * from ${table}`)
    await run(money.db, damage)
    expect((await audit()).ok).toBe(false)
    for (const table of tables) {
      await run(money.db, `delete from ${table}`)
      await run(money.db, `insert into ${table} select * from kept_${table}`)
      await run(money.db, `drop table kept_${table}`)
    }
    expect(await audit()).toMatchObject({ ok: true })
  })

  test('a rebuild leaves the rollups of dropped days alone', async () => {
    const before = await summary()
    expect(await rebuild(rebuildStores(money.db), money.clock)).toMatchObject({ rollups: 0, balances: 0 })
    expect(await summary()).toEqual(before)
  })
})
