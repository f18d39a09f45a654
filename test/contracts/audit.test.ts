// What the audit knows beyond records and ledger, on each engine: budgets, counts of prices, invoices and credit notes.
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silentLog as log } from '../../src/base/log.ts'
import { monthOf } from '../../src/base/zone.ts'
import { verify } from '../../src/billing/verify.ts'
import type { Database } from '../../src/db/database.ts'
import { openPostgres } from '../../src/db/postgres.ts'
import type { BudgetInput } from '../../src/ledger/budgets/budget.ts'
import { openInvoices } from '../harness/invoices.ts'
import { openMoney, type Money } from '../harness/money.ts'
import { startPostgres, type TestPostgres } from '../harness/postgres.ts'

const startMs = Date.UTC(2026, 9, 2)
const act = { actor: 'usr_admin' }
let cluster: TestPostgres
beforeAll(async () => {
  cluster = await startPostgres()
})
afterAll(() => cluster.stop())

const open = {
  sqlite: () => openMoney({ startMs }),
  postgres: async () => {
    await cluster.createDatabase('audit')
    const database = await openPostgres({ url: cluster.url('audit'), durability: 'process', log })
    return openMoney({ startMs, database })
  },
}

async function run(db: Database, text: string): Promise<void> {
  await db.write({ compile: () => sql.raw(text).compile(db.builder()) })
}

describe.each(['sqlite', 'postgres'] as const)('on %s', (engine) => {
  let money: Money
  const audit = () => verify({ ...money.audited, rules: money.rules, pageRows: 5 })
  const budget = (input: Pick<BudgetInput, 'scope' | 'window' | 'accountId'>) =>
    money.budgets.create({
      amount: 10n ** 12n,
      currency: 'USD',
      timeZone: 'Europe/Berlin',
      mode: 'hard',
      thresholds: [],
      createdBy: 'usr_admin',
      ...input,
    })

  beforeAll(async () => {
    money = await open[engine]()
    const steps = [
      { upTo: '3', unitPrice: '0.02' },
      { upTo: null, unitPrice: '0.01' },
    ]
    for (const per of ['account', 'key', 'session'] as const)
      await money.rules.create({
        name: per,
        currency: 'USD',
        match: { tool: per },
        price: { tiers: { mode: 'graduated', unit: 'call', period: 'month', per, steps } },
      })
    const team = await money.accounts.create({ kind: 'team', name: 'team' })
    const ann = await money.addAccount('usr_ann')
    await money.accounts.change(ann, { parentId: team.id })
    money.clock.advance(1000)
    const calls = async (times: number): Promise<void> => {
      for (let at = 0; at < times; at++) {
        money.clock.advance(600_000)
        for (const tool of ['account', 'key', 'session'])
          await money.call({
            accountId: ann,
            userId: 'usr_ann',
            keyId: `key_${at % 2}`,
            sessionId: 'ses_1',
            tool,
          })
      }
    }
    await calls(4)
    await budget({ scope: { kind: 'account', subject: team.id }, accountId: team.id, window: 'day' })
    await budget({ scope: { kind: 'user', subject: '*' }, window: 'lifetime' })
    await budget({ scope: { kind: 'key', subject: 'key_1' }, window: { rollingSeconds: 3600 } })
    await budget({ scope: { kind: 'session', subject: 'ses_1' }, window: 'month' })
    await budget({ scope: { kind: 'server', subject: 'srv_1' }, window: 'week' })
    await calls(9)
    const { invoices, creditNotes } = openInvoices(money)
    money.clock.set(Date.UTC(2026, 10, 2))
    const account = money.ledger.findAccount(ann)
    if (!account) throw new Error('the account is there')
    const invoice = await invoices.create(account, { period: monthOf(startMs, 'UTC'), ...act })
    await invoices.finalize(invoice.id, act)
    for (const reason of ['sorry', 'and again'])
      await creditNotes.create(invoice.id, { amount: 10_000_000n }, { ...act, reason })
  })
  afterAll(() => money.close())

  test('an honest store is clean, and all of it was compared', async () => {
    expect(await audit()).toMatchObject({
      ok: true,
      differences: [],
      counts: { budgets: 5, meters: 3, documents: 3 },
    })
  })

  test.each([
    ['budget', 'budget_spend', 'amount = amount + 1', 'amount = amount - 1'],
    ['meter', 'usage_meter', 'quantity = quantity + 1', 'quantity = quantity - 1'],
    ['meter', 'usage_meter', 'quantity = quantity - 1', 'quantity = quantity + 1'],
    [
      'invoice',
      'invoice',
      "content = replace(content, 'USD', 'EUR')",
      "content = replace(content, 'EUR', 'USD')",
    ],
    ['invoice', 'invoice_period', 'amount = amount - 1', 'amount = amount + 1'],
    ['invoice', 'credit_note', "number = number || '~'", "number = replace(number, '~', '')"],
    ['invoice', 'document_number', "number = number || '~'", "number = replace(number, '~', '')"],
    ['invoice', 'document_number', 'seq = 2 * seq - 1', 'seq = (seq + 1) / 2'],
  ])('of kind %s: a changed %s (%s) is found', async (kind, table, damage, undo) => {
    await run(money.db, `update ${table} set ${damage}`)
    const { differences } = await audit()
    await run(money.db, `update ${table} set ${undo}`)
    expect(new Set(differences.map((each) => each.kind))).toEqual(new Set([kind]))
    expect((await audit()).differences).toEqual([])
  })

  test('every budget is compared: of each what was counted is missed once it is gone', async () => {
    for (const { id } of money.budgets.list()) {
      await run(money.db, `update budget_spend set amount = amount + 7 where budget = '${id}'`)
      const { differences } = await audit()
      await run(money.db, `update budget_spend set amount = amount - 7 where budget = '${id}'`)
      expect(differences[0]).toMatchObject({ kind: 'budget', id: expect.stringContaining(id) })
    }
  })

  test('a budget on accounts is left out while an account has changed within its window', async () => {
    const [account] = money.ledger.listAccounts()
    await money.ledger.changeAccount(account?.id ?? '', { name: 'renamed' })
    money.clock.advance(1000)
    await money.call({ accountId: account?.id ?? '', userId: 'usr_ann' })
    expect(await audit()).toMatchObject({ ok: true, counts: { budgets: 4 } })
  })
})
