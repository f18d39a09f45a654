// What corrections promise on SQLite and on PostgreSQL: new transfers with a reason, balances that stay right, nothing half done.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silentLog } from '../../src/base/log.ts'
import { verify } from '../../src/billing/verify.ts'
import { openPostgres } from '../../src/db/postgres.ts'
import { openMoney, type Money } from '../harness/money.ts'
import { startPostgres, type TestPostgres } from '../harness/postgres.ts'

let cluster: TestPostgres
beforeAll(async () => {
  cluster = await startPostgres()
})
afterAll(() => cluster.stop())

const open = {
  sqlite: () => openMoney(),
  postgres: async () => {
    await cluster.createDatabase('adjustments')
    const url = cluster.url('adjustments')
    return openMoney({ database: await openPostgres({ url, durability: 'process', log: silentLog }) })
  },
}
const by = { createdBy: 'usr_0', reason: 'the server was slow' }
const nano = 1_000_000_000n

describe.each(['sqlite', 'postgres'] as const)('on %s', (engine) => {
  let money: Money
  beforeAll(async () => {
    money = await open[engine]()
    await money.rules.create({ name: 'calls', currency: 'USD', price: { perCall: '0.5' } })
  })
  afterAll(() => money.close())

  const balance = (id: string): bigint => money.ledger.totals(id).balance
  const audit = () => verify({ ...money.audited, rules: money.rules })

  test('what is given back is owed less, with its reason in the ledger, and stays so after a fold', async () => {
    const id = await money.addAccount('usr_1')
    const { record } = await money.call({ accountId: id })
    const made = await money.ledger.adjust(id, { ...by, amount: nano / 5n, record: record.id })
    expect(balance(id)).toBe((-nano * 3n) / 10n)
    const transfers = await money.ledger.listTransfers(id, { limit: 10 })
    expect(transfers.map(({ kind, amount }) => [kind, amount])).toEqual([
      ['adjustment', nano / 5n],
      ['charge', nano / 2n],
    ])
    expect((await money.ledger.notesOf(transfers)).get(made.transfers[0]?.id ?? 0n)).toEqual({
      id: made.id,
      ...by,
    })
    await money.ledger.reload()
    expect(balance(id)).toBe((-nano * 3n) / 10n)
    expect(await audit()).toMatchObject({ ok: true, differences: [] })
  })

  test('what is taken burns grants in their order; a prepaid account is never taken below zero', async () => {
    const id = await money.addAccount('usr_2', 'prepaid')
    await money.ledger.grant(id, { amount: nano, priority: 1, createdBy: 'usr_0' })
    await money.ledger.grant(id, { amount: nano, priority: 0, createdBy: 'usr_0' })
    const made = await money.ledger.adjust(id, { ...by, amount: (-nano * 3n) / 2n })
    expect(made.transfers.map(({ amount }) => amount)).toEqual([nano, nano / 2n])
    expect(balance(id)).toBe(nano / 2n)
    await expect(money.ledger.adjust(id, { ...by, amount: -nano })).rejects.toMatchObject({
      code: 'unprocessable',
    })
    expect(balance(id)).toBe(nano / 2n)
    expect(await audit()).toMatchObject({ ok: true })
  })

  test('a correction that cannot be written leaves the balance and the burn order as they were', async () => {
    const id = await money.addAccount('usr_3', 'prepaid')
    await money.ledger.grant(id, { amount: nano, priority: 0, createdBy: 'usr_0' })
    const before = money.ledger.totals(id)
    // A number where the column takes a text.
    const broken = { createdBy: 7 as unknown as string, reason: 'x' }
    for (const amount of [nano, -nano, -nano / 2n])
      await expect(money.ledger.adjust(id, { ...broken, amount })).rejects.toThrow()
    expect(money.ledger.totals(id)).toEqual(before)
    await money.call({ accountId: id })
    await money.ledger.reload()
    expect(balance(id)).toBe(nano / 2n)
    expect(await audit()).toMatchObject({ ok: true })
  })

  test('the audit misses the reason of an adjustment that has none', async () => {
    const { sql } = await import('kysely')
    const gone = sql`delete from adjustment where transfer = (select min(transfer) from adjustment)`
    await money.db.write({ compile: () => gone.compile(money.db.builder()) })
    expect(await audit()).toMatchObject({
      ok: false,
      differences: [{ kind: 'transfer', expected: 'a reason', actual: 'none' }],
    })
  })
})
