// What a mark promises on SQLite and on PostgreSQL: every record counted, every transfer added up, to the last nano.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silentLog } from '../../src/base/log.ts'
import { MarkStore } from '../../src/billing/mark-store.ts'
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
    await cluster.createDatabase('mark')
    const url = cluster.url('mark')
    return openMoney({ database: await openPostgres({ url, durability: 'process', log: silentLog }) })
  },
}

describe.each(['sqlite', 'postgres'] as const)('on %s', (engine) => {
  let money: Money
  beforeAll(async () => {
    money = await open[engine]()
  })
  afterAll(() => money.close())

  test('a mark counts records and adds up transfers, also beyond what a column can hold', async () => {
    const marks = new MarkStore(money.db)
    expect(await marks.read()).toEqual({ records: 0, transfers: 0, totals: [] })
    await money.rules.create({ name: 'calls', currency: 'USD', price: { perCall: '0.000000001' } })
    const id = await money.addAccount('usr_1', 'prepaid')
    const most = 9_000_000_000_000_000_000n
    for (const amount of [most, 1_999_999_999n]) {
      await money.ledger.grant(id, { amount, priority: 0, createdBy: 'usr_0' })
      await money.ledger.adjust(id, { amount: -amount, createdBy: 'usr_0', reason: 'taken back' })
    }
    await money.ledger.grant(id, { amount: 5n, priority: 0, createdBy: 'usr_0' })
    for (let n = 0; n < 3; n++) await money.call({ accountId: id })
    expect(await marks.read()).toEqual({
      records: 3,
      transfers: 8,
      totals: [{ currency: 'USD', amount: '18000000004.000000006' }],
    })
  })
})
