// The audit on PostgreSQL: clean where the store is honest, also while it is written, and tampering is named.
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { silentLog } from '../../src/base/log.ts'
import { verify, type VerifyResult } from '../../src/billing/verify.ts'
import { openPostgres } from '../../src/db/postgres.ts'
import { openMoney, type Money } from '../harness/money.ts'
import { startPostgres, type TestPostgres } from '../harness/postgres.ts'

let cluster: TestPostgres
let client: pg.Client
let money: Money
let prepaid: string
let postpaid: string

beforeAll(async () => {
  cluster = await startPostgres()
  await cluster.createDatabase('verify')
  const url = cluster.url('verify')
  const database = await openPostgres({ url, durability: 'process', log: silentLog })
  money = await openMoney({ database })
  client = new pg.Client({ connectionString: url })
  await client.connect()
  prepaid = await money.addAccount('usr_1', 'prepaid')
  postpaid = await money.addAccount('usr_2')
  await money.rules.create({ name: 'calls', currency: 'USD', price: { perCall: '0.01', perKb: '0.001' } })
  const { clock } = money
  const grant = { amount: 1_000_000_000n, priority: 0, createdBy: 'usr_0' }
  await money.ledger.grant(prepaid, { ...grant, expiresAtMs: clock.now() + 3_600_000 })
  for (let n = 0; n < 60; n++) {
    clock.advance(50_000)
    await money.call({
      accountId: n % 2 === 0 ? prepaid : postpaid,
      responseBytes: n * 100,
      free: n % 7 === 0,
    })
  }
  clock.advance(3_600_000)
  await money.ledger.expireGrants()
})
afterAll(async () => {
  await client.end()
  await money.close()
  await cluster.stop()
})

const audit = (): Promise<VerifyResult> => verify({ ...money.audited, rules: money.rules, pageRows: 7 })

test('the pages of an account hold its grant, its charges and its expiry, each once', async () => {
  const whole = await money.ledger.listTransfers(prepaid, { limit: 100 })
  expect(Map.groupBy(whole, ({ kind }) => kind).get('grant')).toHaveLength(1)
  expect(Map.groupBy(whole, ({ kind }) => kind).get('expiry')).toHaveLength(1)
  expect(whole.filter(({ kind }) => kind === 'charge').length).toBeGreaterThan(20)
  const before = whole[9]?.id ?? 0n
  expect(await money.ledger.listTransfers(prepaid, { limit: 5, before })).toEqual(whole.slice(10, 15))
})

test('an honest store is clean', async () => {
  expect(await audit()).toMatchObject({ ok: true, checked: 60, differences: [], counts: { grants: 1 } })
})

test('an audit that runs while calls are settled finds nothing', async () => {
  const audits = { done: 0 }
  const load = (async () => {
    while (audits.done < 4) {
      money.clock.advance(7000)
      await Promise.all(Array.from({ length: 10 }, () => money.call({ accountId: postpaid })))
    }
  })()
  for (; audits.done < 4; audits.done++)
    expect((await verify({ ...money.audited, rules: money.rules })).differences).toEqual([])
  await load
  expect(await audit()).toMatchObject({ ok: true })
})

const first = 'id = (select min(id) from usage_record where cost > 0)'
test.each([
  { sql: `update usage_record set cost = cost + 1 where ${first}`, kinds: ['charge', 'record', 'rollup'] },
  {
    sql: 'update usage_rollup set calls = calls + 1 where bucket = (select min(bucket) from usage_rollup)',
    kinds: ['rollup'],
  },
  {
    sql: 'delete from usage_rollup where bucket = (select max(bucket) from usage_rollup)',
    kinds: ['rollup'],
  },
  {
    sql: "update transfer set amount = amount + 1 where id = (select min(id) from transfer where kind = 'charge')",
    kinds: ['balance', 'charge'],
  },
  {
    sql: "delete from transfer where id = (select max(id) from transfer where kind = 'charge')",
    kinds: ['balance', 'charge'],
  },
  {
    sql: 'update ledger_balance set credits = credits + 1 where ledger_account = (select ledger_account from credit_grant)',
    kinds: ['balance', 'grant', 'total'],
  },
  { sql: 'update credit_grant set amount = amount + 1', kinds: ['grant', 'transfer'] },
])('$sql is found', async ({ sql, kinds }) => {
  // The tables are put back, so that each tampering stands alone.
  const tables = ['usage_record', 'usage_rollup', 'transfer', 'ledger_balance', 'credit_grant']
  for (const table of tables) await client.query(`create table kept_${table} as table ${table}`)
  expect((await client.query(sql)).rowCount).toBeGreaterThan(0)
  const { ok, differences } = await audit()
  for (const table of tables) {
    await client.query(`delete from ${table}`)
    await client.query(`insert into ${table} table kept_${table}`)
    await client.query(`drop table kept_${table}`)
  }
  expect(ok).toBe(false)
  expect([...new Set(differences.map(({ kind }) => kind))].sort()).toEqual(kinds)
  expect(await audit()).toMatchObject({ ok: true })
})
