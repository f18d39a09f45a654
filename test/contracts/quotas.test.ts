// Quotas of calls over real stores: they count what the records say, whenever they were made, and no call too many.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silentLog } from '../../src/base/log.ts'
import { verify } from '../../src/billing/verify.ts'
import { openPostgres } from '../../src/db/postgres.ts'
import { callUnit, oneCall, type BudgetScope, type BudgetWindow } from '../../src/ledger/budgets/budget.ts'
import { openMoney, type CallOptions, type Money } from '../harness/money.ts'
import { startPostgres, type TestPostgres } from '../harness/postgres.ts'
import { Random } from '../harness/usage.ts'

const startMs = Date.UTC(2026, 9, 20, 8)
let cluster: TestPostgres
beforeAll(async () => {
  cluster = await startPostgres()
  await cluster.createDatabase('quotas')
})
afterAll(() => cluster.stop())

const open = {
  sqlite: () => openMoney({ startMs }),
  postgres: async () => {
    const options = { url: cluster.url('quotas'), durability: 'process', log: silentLog } as const
    return openMoney({ startMs, database: await openPostgres(options) })
  },
}

describe.each(['sqlite', 'postgres'] as const)('quotas on %s', (engine) => {
  let money: Money
  let callers = 0
  beforeAll(async () => {
    money = await open[engine]()
    const { rules } = money
    await rules.create({ name: 'some', currency: 'USD', match: { tool: 'dear' }, price: { perCall: '1' } })
  })
  afterAll(() => money.close())

  async function newCaller(mode: 'prepaid' | 'postpaid' = 'postpaid') {
    const userId = `usr_${++callers}`
    const accountId = await money.addAccount(userId, mode)
    return { userId, accountId, keyId: `key_${callers}` }
  }

  const quota = async (
    scope: BudgetScope,
    calls: number,
    window: BudgetWindow = 'day',
    mode: 'hard' | 'soft' = 'hard',
  ): Promise<string> => {
    const made = await money.budgets.create({
      scope,
      window,
      mode,
      amount: BigInt(calls) * oneCall,
      currency: callUnit,
      timeZone: 'Europe/Berlin',
      thresholds: [],
      createdBy: 'test',
    })
    return made.id
  }

  /** What became of it: `success`, or the code of its refusal. */
  async function outcomeOf(options: CallOptions): Promise<string> {
    const { record } = await money.call(options)
    return record.error ?? record.outcome
  }

  const usedOf = (id: string, subject?: string): number => {
    const { spent, held } = money.budgets.state(id, subject)
    return Number((spent + held) / oneCall)
  }

  const expectClean = async (): Promise<void> => {
    await money.writer.flush()
    const { differences } = await verify({ ...money.audited, rules: money.rules })
    expect(differences).toEqual([])
  }

  test('let just so many calls run, dear or free, and none that is no call of a tool', async () => {
    const caller = await newCaller()
    const id = await quota({ kind: 'user', subject: caller.userId }, 3)
    const answers = [
      await outcomeOf({ ...caller, tool: 'dear' }),
      await outcomeOf({ ...caller, method: 'tools/list' }),
      await outcomeOf({ ...caller, tool: 'cheap' }),
      await outcomeOf({ ...caller, tool: 'cheap', outcome: 'tool_error' }),
      await outcomeOf({ ...caller, tool: 'cheap' }),
      await outcomeOf({ ...caller, tool: 'dear' }),
      await outcomeOf({ ...caller, method: 'prompts/get' }),
    ]
    expect(answers).toEqual([
      'success',
      'success',
      'success',
      'tool_error',
      'quota_exhausted',
      'quota_exhausted',
      'success',
    ])
    expect(usedOf(id)).toBe(3)
    // A day later it begins anew.
    money.clock.advance(24 * 3_600_000)
    expect(await outcomeOf({ ...caller, tool: 'dear' })).toBe('success')
    expect(usedOf(id)).toBe(1)
    await expectClean()
  })

  test('bound accounts of any currency, and stand beside budgets in money', async () => {
    const [dollars, euros] = [await newCaller(), await newCaller()]
    const org = await money.accounts.create({ kind: 'organisation', name: `org-${callers}`, currency: 'EUR' })
    for (const { accountId } of [dollars, euros]) await money.accounts.change(accountId, { parentId: org.id })
    const id = await quota({ kind: 'account', subject: org.id }, 2)
    expect(await outcomeOf({ ...dollars, tool: 'dear' })).toBe('success')
    expect(await outcomeOf({ ...euros, tool: 'cheap' })).toBe('success')
    expect(await outcomeOf({ ...euros, tool: 'dear' })).toBe('quota_exhausted')
    expect(usedOf(id)).toBe(2)
    await expectClean()
  })

  test('count nothing for a call that money or another quota refused', async () => {
    const caller = await newCaller('prepaid')
    const own = await quota({ kind: 'user', subject: caller.userId }, 5)
    const each = await quota({ kind: 'key', subject: '*' }, 2)
    expect(await outcomeOf({ ...caller, tool: 'dear' })).toBe('balance_exhausted')
    expect([usedOf(own), usedOf(each, caller.keyId)]).toEqual([0, 0])
    expect(await outcomeOf({ ...caller, tool: 'cheap' })).toBe('success')
    expect(await outcomeOf({ ...caller, tool: 'cheap' })).toBe('success')
    expect(await outcomeOf({ ...caller, tool: 'cheap' })).toBe('quota_exhausted')
    expect([usedOf(own), usedOf(each, caller.keyId)]).toEqual([2, 2])
    await money.budgets.delete(each)
    await expectClean()
  })

  test('that are soft refuse nothing, and say once that they are used up', async () => {
    const caller = await newCaller()
    const id = await quota({ kind: 'user', subject: caller.userId }, 1, 'month', 'soft')
    for (let n = 0; n < 3; n++) expect(await outcomeOf({ ...caller })).toBe('success')
    await money.writer.flush()
    const events = (await money.events.list({ limit: 10_000 })).filter(({ body }) => body.budget === id)
    expect(events.map(({ kind, body }) => [kind, body.unit, body.amount, body.currency])).toEqual([
      ['budget.exhausted', 'calls', '1', undefined],
    ])
  })

  test.each(['day', { rollingSeconds: 7200 }] as const)(
    'made while calls run count those before, those that run and those after, once each (%j)',
    async (window) => {
      const random = new Random()
      console.log(`quota seed ${random.seed}`)
      const caller = await newCaller()
      const running: (() => Promise<unknown>)[] = []
      const ids: string[] = []
      let calls = 0
      for (let n = 0; n < 200; n++) {
        money.clock.advance(random.below(1000))
        if (n % 60 === 30)
          ids.push(await quota({ kind: 'user', subject: random.pick([caller.userId, '*']) }, 1000, window))
        const tool = random.pick(['dear', 'cheap'])
        const isCall = random.below(4) > 0
        if (isCall) calls++
        running.push(money.begin({ ...caller, tool, ...(!isCall && { method: 'tools/list' }) }))
        if (random.below(3) > 0) await running.splice(random.below(running.length), 1)[0]?.()
      }
      const used = () =>
        ids.map((id) => usedOf(id, money.budgets.get(id).scope.subject === '*' ? caller.userId : undefined))
      const all = ids.map(() => calls)
      expect(used()).toEqual(all)
      for (const end of running) await end()
      expect(used()).toEqual(all)
      await money.writer.flush()
      await money.budgets.reload()
      expect(used()).toEqual(all)
      await expectClean()
      for (const id of ids) await money.budgets.delete(id)
    },
  )

  test('that were tampered with are found by the audit', async () => {
    const caller = await newCaller()
    const id = await quota({ kind: 'user', subject: caller.userId }, 5)
    await money.call({ ...caller, tool: 'cheap' })
    await money.writer.flush()
    const sql = money.db.builder<{ budget_spend: { budget: string; amount: bigint } }>()
    await money.db.write(sql.updateTable('budget_spend').set({ amount: 0n }).where('budget', '=', id))
    const { differences } = await verify({ ...money.audited, rules: money.rules })
    expect(differences).toMatchObject([{ kind: 'budget', id, actual: '1 less' }])
  })
})
