// Guarantees of the audit: an honest store is clean, also while it is written, and every kind of tampering is named.
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { verify, type VerifyResult } from '../../src/billing/verify.ts'
import { openMoney, type Money } from '../harness/money.ts'
import { Random } from '../harness/usage.ts'

let money: Money
let prepaid: string
let postpaid: string

beforeEach(async () => {
  money = await openMoney({ startMs: Date.UTC(2026, 4, 4, 11, 50) })
  prepaid = await money.addAccount('usr_1', 'prepaid')
  postpaid = await money.addAccount('usr_2')
  const { ledger, rules, clock } = money
  await rules.create({
    name: 'calls',
    currency: 'USD',
    match: { tool: 'forecast' },
    price: { perCall: '0.01', perKb: '0.001', perSecond: '0.1', minimum: '0.02' },
    billOn: ['success', 'error'],
  })
  await rules.create({ name: 'rest', currency: 'USD', priority: -1, price: { perCall: '0.000000000001' } })
  await ledger.grant(prepaid, {
    amount: 5_000_000_000n,
    priority: 0,
    expiresAtMs: clock.now() + 3_600_000,
    createdBy: 'usr_0',
  })
  await ledger.grant(prepaid, { amount: 900_000_000n, priority: 1, createdBy: 'usr_0' })
})
afterEach(() => money.close())

/** Calls of all kinds over a few quarter-hours, an expiry, and a call that no grant covers in full. */
async function spend(random = new Random(1), count = 60): Promise<void> {
  const { call, clock, rules, ledger } = money
  for (let n = 0; n < count; n++) {
    clock.advance(random.below(120_000))
    const account = { accountId: random.pick([prepaid, postpaid]), userId: random.pick(['usr_1', 'usr_2']) }
    const outcome = random.pick(['success', 'success', 'error', 'tool_error', 'timeout'] as const)
    await call({
      ...account,
      outcome,
      responseBytes: random.below(20_000),
      durationMs: random.below(900),
      free: random.below(6) === 0,
      ...(random.below(4) === 0 && { method: 'tools/list', tool: undefined }),
    })
    if (n === 30)
      await rules.change(rules.listRules({ limit: 5 }).items[0]?.ruleId ?? '', { price: { perCall: '0.5' } })
  }
  clock.advance(2 * 3_600_000)
  await ledger.expireGrants()
}

const audit = (): Promise<VerifyResult> => verify({ ...money.audited, rules: money.rules, pageRows: 7 })

test('an empty store is clean', async () => {
  expect(await audit()).toMatchObject({ ok: true, checked: 0, differences: [] })
})

test('an honest store is clean, whatever was spent, refused, free or expired', async () => {
  const random = new Random()
  console.log(`verify seed ${random.seed}`)
  await spend(random, 200)
  const result = await audit()
  expect(result.differences).toEqual([])
  expect(result).toMatchObject({ ok: true, checked: 200, counts: { records: 200, grants: 2 } })
  expect(result.counts.transfers).toBeGreaterThan(20)
  expect(result.counts.rollups).toBeGreaterThan(3)
})

test('an audit that runs while calls are settled finds nothing', async () => {
  await spend()
  const audits = { done: 0 }
  let calls = 0
  const load = (async () => {
    // A record may be older than those that are committed before it.
    while (audits.done < 6) {
      money.clock.advance(calls < 6000 ? 7000 : 1)
      await Promise.all(
        Array.from({ length: 20 }, () => money.call({ accountId: postpaid, durationMs: calls % 3 })),
      )
      calls += 20
    }
  })()
  for (; audits.done < 6; audits.done++) {
    const { differences, checked } = await verify({ ...money.audited, rules: money.rules, pageRows: 100 })
    expect(differences).toEqual([])
    expect(checked).toBeGreaterThanOrEqual(60)
  }
  await load
  expect(calls).toBeGreaterThan(100)
  expect(await verify({ ...money.audited, rules: money.rules })).toMatchObject({
    ok: true,
    checked: 60 + calls,
  })
})

test('the list of differences is bounded and their number is not', async () => {
  await spend()
  tamper('update usage_record set cost = cost + 1')
  const result = await verify({ ...money.audited, rules: money.rules, maxDifferences: 5 })
  expect(result.differences).toHaveLength(5)
  expect(result.differenceCount).toBeGreaterThan(60)
  expect(result.ok).toBe(false)
})

test('an audit that is no longer wanted stops', async () => {
  await spend()
  const gone = new Error('gone')
  await expect(
    verify({ ...money.audited, rules: money.rules, signal: AbortSignal.abort(gone) }),
  ).rejects.toBe(gone)
})

/** Changes the file behind the gateway's back; fails where nothing was changed. */
function tamper(...statements: string[]): void {
  const db = new DatabaseSync(money.file, { enableForeignKeyConstraints: false, timeout: 5000 })
  try {
    for (const statement of statements) expect(Number(db.prepare(statement).run().changes)).toBeGreaterThan(0)
  } finally {
    db.close()
  }
}

const someCharge = "(select min(id) from transfer where kind = 'charge')"
const lastCharge = "(select max(id) from transfer where kind = 'charge')"
const paid = 'cost > 100000000'
const some = `id = (select min(id) from usage_record where ${paid})`

describe('tampering is found', () => {
  beforeEach(async () => {
    await spend()
    expect(await audit()).toMatchObject({ ok: true })
  })

  test.each([
    {
      what: 'a cost that is too low',
      sql: `update usage_record set cost = cost - 1 where ${some}`,
      kinds: ['charge', 'record', 'rollup'],
    },
    {
      what: 'a cost made free',
      sql: `update usage_record set cost = 0 where ${some}`,
      kinds: ['charge', 'rollup'],
    },
    {
      what: 'quantities that were changed',
      sql: `update usage_record set response_bytes = response_bytes + 1024 where ${some}`,
      kinds: ['record', 'rollup'],
    },
    {
      what: 'another rule version',
      sql: `update usage_record set rule_version = 99 where ${some}`,
      kinds: ['record'],
    },
    {
      what: 'a rule taken off a record',
      sql: `update usage_record set rule = null where ${some}`,
      kinds: ['record', 'rollup'],
    },
    {
      what: 'a record moved to another quarter-hour',
      sql: `update usage_record set id = id + (900000 << 22) where ${some}`,
      kinds: ['charge', 'rollup', 'transfer'],
    },
    {
      what: 'a record moved to another account',
      sql: `update usage_record set account = (select max(account) from usage_record) where id = (select min(id) from usage_record where ${paid} and account < (select max(account) from usage_record))`,
      kinds: ['rollup', 'transfer'],
    },
    {
      what: 'a deleted record',
      sql: `delete from usage_record where ${some}`,
      kinds: ['rollup', 'transfer'],
    },
    {
      what: 'a missing dimension',
      sql: `delete from dimension where kind = 'currency'`,
      kinds: ['record', 'transfer'],
    },
    {
      what: 'a rollup that says less',
      sql: 'update usage_rollup set cost = cost - 1 where cost > 0 and bucket = (select min(bucket) from usage_rollup where cost > 0)',
      kinds: ['rollup'],
    },
    {
      what: 'a rollup with another count',
      sql: 'update usage_rollup set calls = calls + 1 where bucket = (select max(bucket) from usage_rollup)',
      kinds: ['rollup'],
    },
    {
      what: 'a rollup with other durations',
      sql: 'update usage_rollup set l3 = l3 + 1 where bucket = (select max(bucket) from usage_rollup)',
      kinds: ['rollup'],
    },
    {
      what: 'a deleted rollup',
      sql: 'delete from usage_rollup where bucket = (select min(bucket) from usage_rollup)',
      kinds: ['rollup'],
    },
    {
      what: 'a rollup out of nowhere',
      sql: 'update usage_rollup set bucket = bucket + 5000 where bucket = (select max(bucket) from usage_rollup)',
      kinds: ['rollup'],
    },
    {
      what: 'a transfer with another amount',
      sql: `update transfer set amount = amount + 1 where id = ${someCharge}`,
      kinds: ['balance', 'charge'],
    },
    {
      what: 'a deleted transfer',
      sql: `delete from transfer where id = ${someCharge}`,
      kinds: ['balance', 'charge'],
    },
    {
      what: 'a charge of another record',
      sql: `update transfer set record = (select record from transfer where id = ${lastCharge}) where id = ${someCharge}`,
      kinds: ['charge'],
      also: ['transfer'],
    },
    {
      what: 'a charge of no record',
      sql: `update transfer set record = 7 where id = ${someCharge}`,
      kinds: ['charge', 'transfer'],
    },
    {
      what: 'a charge paid by somebody else',
      sql: `update transfer set debit = (select debit from transfer where id = ${lastCharge}) where id = ${someCharge}`,
      kinds: ['balance'],
      also: ['transfer'],
    },
    {
      what: 'a charge that goes elsewhere',
      sql: `update transfer set credit = debit where id = ${someCharge}`,
      kinds: ['balance', 'transfer'],
    },
    {
      what: 'a charge called expiry',
      sql: `update transfer set kind = 'expiry' where id = ${someCharge}`,
      kinds: ['charge', 'transfer'],
    },
    {
      what: 'a balance that says more credit',
      sql: `update ledger_balance set credits = credits + 1 where ledger_account = (select max(ledger_account) from credit_grant)`,
      kinds: ['balance', 'grant', 'total'],
    },
    {
      what: 'two balances changed alike',
      sql: `update ledger_balance set debits = debits - 1, credits = credits - 1 where debits > 0 and credits > 0`,
      kinds: ['balance', 'grant'],
    },
    {
      what: 'a deleted balance',
      sql: `delete from ledger_balance where ledger_account = (select max(ledger_account) from credit_grant)`,
      kinds: ['balance', 'grant', 'total'],
    },
    {
      what: 'a larger grant',
      sql: `update credit_grant set amount = amount + 1 where priority = 1`,
      kinds: ['grant', 'transfer'],
    },
    { what: 'a deleted grant', sql: `delete from credit_grant where priority = 1`, kinds: ['transfer'] },
    {
      what: 'a deleted ledger account',
      sql: `delete from ledger_account where id = (select max(ledger_account) from credit_grant)`,
      kinds: ['balance', 'total', 'transfer'],
    },
  ])('$what', async ({ sql, kinds, also = [] }: { sql: string; kinds: string[]; also?: string[] }) => {
    tamper(sql)
    const { ok, differences } = await audit()
    expect(ok).toBe(false)
    const found = [...new Set(differences.map(({ kind }) => kind))].filter((kind) => !also.includes(kind))
    expect(found.sort()).toEqual(kinds)
  })

  test('a charge doubled while another is missing, so that all sums agree', async () => {
    // Two records of one account with one cost: one charged twice, the other never.
    const { call, clock } = money
    clock.advance(1000)
    const same = { accountId: postpaid, method: 'tools/call', outcome: 'success' } as const
    const one = await call({ ...same, responseBytes: 824, durationMs: 500 })
    clock.advance(40_000)
    const other = await call({ ...same, responseBytes: 824, durationMs: 500 })
    expect(one.record.cost).toBe(other.record.cost)
    tamper(`update transfer set record = ${one.record.id} where record = ${other.record.id}`)
    const { differences } = await audit()
    expect(differences.map(({ kind }) => kind)).toEqual(['charge', 'charge'])
  })
})
