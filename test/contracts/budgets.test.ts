// Budgets against a naive model, over a real store: every decision, every figure and every event, through any steps.
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ModelBudget, type ModelCall, type Part } from '../harness/budget-model.ts'
import { silentLog } from '../../src/base/log.ts'
import { openPostgres } from '../../src/db/postgres.ts'
import { openMoney, type Money } from '../harness/money.ts'
import { startPostgres, type TestPostgres } from '../harness/postgres.ts'
import { CallIds } from '../../src/base/id.ts'
import type { CallHold } from '../../src/ledger/funds.ts'
import type { BudgetWindow, ScopeKind, Spender } from '../../src/ledger/budgets/budget.ts'
import { readThreshold } from '../../src/ledger/budgets/threshold.ts'

let money: Money
let ids: CallIds
const thresholds = ['0.25', '0.5', '1'].flatMap((text) => readThreshold(text) ?? [])
const day = 86_400_000

const windows: readonly BudgetWindow[] = [
  'day',
  'week',
  'month',
  'lifetime',
  { rollingSeconds: 60 },
  { rollingSeconds: 7200 },
  { rollingSeconds: 90_000 },
]
const scopes: readonly (readonly [ScopeKind, string])[] = [
  ['account', 'org'],
  ['account', 'team'],
  ['account', 'ann'],
  ['user', 'usr_ann'],
  ['user', '*'],
  ['key', 'key_1'],
  ['key', '*'],
  ['session', '*'],
  ['session', 'ses_1'],
  ['server', 'srv_1'],
  ['server', '*'],
]

const nat = fc.nat()
const amount = fc.bigInt({ min: 1n, max: 60n })
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('hold' as const), who: nat, amount }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('extend' as const), which: nat, amount }) },
  {
    weight: 7,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      which: nat,
      quarters: fc.integer({ min: -1, max: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('release' as const), which: nat }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.constantFrom(1, 900, 20_000, 61_000, 600_000, 7_300_000, 12 * 3_600_000),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('create' as const),
      scope: fc.constantFrom(...scopes),
      window: fc.constantFrom(...windows),
      mode: fc.constantFrom('hard' as const, 'hard' as const, 'hard' as const, 'soft' as const),
      amount: fc.bigInt({ min: 20n, max: 200n }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('change' as const), which: nat, amount }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('increase' as const), which: nat, amount, ms: fc.nat(day) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete' as const), which: nat }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('move' as const), to: fc.constantFrom('org', 'team', null) }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'reload' as const }) },
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

/** One tree of accounts with its model; every run has its own, with ids of its own. */
class Run {
  readonly #names = new Map<string, string>()
  readonly calls: ModelCall[] = []
  readonly live: { call: ModelCall; hold: CallHold; id: bigint }[] = []
  readonly budgets: ModelBudget[] = []
  readonly events = new Set<string>()
  readonly #credit = 150n
  readonly #suffix = ids.next().toString()

  async open(): Promise<this> {
    const { accounts, ledger } = money
    const org = await accounts.create({ kind: 'organisation', name: 'org' })
    const team = await accounts.create({ kind: 'team', name: 'team', parentId: org.id })
    this.#names.set('org', org.id).set('team', team.id)
    for (const name of ['ann', 'bob', 'eve']) {
      const id = await money.addAccount(name, name === 'eve' ? 'prepaid' : 'postpaid')
      this.#names.set(name, id)
      if (name !== 'eve') await accounts.change(id, { parentId: team.id })
    }
    await ledger.grant(this.#id('eve'), { amount: this.#credit, priority: 0, createdBy: 'test' })
    return this
  }

  #id(name: string): string {
    return this.#names.get(name) ?? (name === '*' ? name : `${name}_${this.#suffix}`)
  }

  #spender(who: number): Spender {
    const name = ['ann', 'bob', 'eve'][who % 3] ?? ''
    const bits = Math.floor(who / 3)
    return {
      accountId: this.#id(name),
      userId: this.#id(`usr_${name}`),
      serverId: this.#id(bits % 2 === 0 ? 'srv_1' : 'srv_2'),
      ...(bits % 3 > 0 && { keyId: this.#id(`key_${bits % 3}`) }),
      ...(bits % 5 > 0 && { sessionId: this.#id(`ses_${bits % 5}`) }),
    }
  }

  get #nowMs(): number {
    return money.clock.now()
  }

  readonly #parentOf = (id: string): string | undefined => money.ledger.findAccount(id)?.parentId

  async take(step: Step): Promise<void> {
    if (step.do === 'hold') return this.#hold(this.#spender(step.who), step.amount)
    if (step.do === 'wait') return money.clock.advance(step.ms)
    if (step.do === 'create') return this.#create(step)
    if (step.do === 'reload') {
      await money.writer.flush()
      await money.ledger.reload()
      return money.budgets.reload()
    }
    if (step.do === 'move') {
      const parentId = step.to === null ? null : this.#id(step.to)
      await money.accounts.change(this.#id('bob'), { parentId })
      return
    }
    if (step.do === 'change' || step.do === 'increase' || step.do === 'delete') return this.#alter(step)
    const at = step.which % Math.max(1, this.live.length)
    const open = this.live[at]
    if (!open) return
    if (step.do === 'extend') return this.#extend(open, open.call.held + step.amount)
    this.live.splice(at, 1)
    if (step.do === 'settle') return this.#settle(open, (open.call.held * BigInt(step.quarters)) / 4n)
    money.funds.release(open.hold)
    open.call.held = 0n
    open.call.live = false
  }

  /** Whether a call may take `more`: the whole rule. */
  #affords(call: ModelCall, budgets: readonly ModelBudget[], more: bigint): boolean {
    if (call.spender.accountId === this.#id('eve')) {
      const own = this.calls.filter(({ spender }) => spender.accountId === call.spender.accountId)
      const used = own.reduce((sum, { spent, held }) => sum + spent + held, 0n)
      if (used + more > this.#credit) return false
    }
    return budgets.every((model) => {
      const subject =
        this.#partOf(model, call)?.subject ?? model.subjectOf(call.spender, this.#parentOf) ?? ''
      return model.budget.mode !== 'hard' || model.used(subject, call.atMs) + more <= model.limit(this.#nowMs)
    })
  }

  #partOf(model: ModelBudget, call: ModelCall): Part | undefined {
    return model.parts.find((part) => part.call === call)
  }

  #hold(spender: Spender, wanted: bigint): void {
    const id = ids.next()
    const call: ModelCall = { spender, atMs: CallIds.timeMs(id), held: 0n, spent: 0n, live: true }
    const chain = this.budgets.filter((model) => model.subjectOf(spender, this.#parentOf) !== undefined)
    const expected = this.#affords(call, chain, wanted)
    const hold = money.funds.hold(spender, id, wanted)
    expect(hold !== undefined, 'admission').toBe(expected)
    if (!hold) {
      const { code, data } = money.funds.refusal(spender, id, { amount: wanted })
      if (code === 'budget_exhausted') expect(chain.map(({ budget }) => budget.id)).toContain(data['budget'])
      else expect(code).toBe('balance_exhausted')
      return
    }
    call.held = wanted
    this.calls.push(call)
    this.live.push({ call, hold, id })
    for (const model of chain)
      model.parts.push({ call, subject: model.subjectOf(spender, this.#parentOf) ?? '' })
  }

  #extend({ call, hold }: Run['live'][number], wanted: bigint): void {
    const chain = this.budgets.filter((model) => this.#partOf(model, call))
    const expected = this.#affords(call, chain, wanted - call.held)
    expect(money.funds.extend(hold, wanted), 'extension').toBe(expected)
    if (expected) call.held = wanted
  }

  #settle({ call, hold, id }: Run['live'][number], cost: bigint): void {
    const entries = money.funds.settle(hold, cost, { record: id, ran: true })
    this.#submit(call, { id, cost }, entries)
    call.held = 0n
    call.spent = cost
    call.live = false
    if (cost === 0n) return
    for (const model of this.budgets) {
      const part = this.#partOf(model, call)
      if (part) this.#noteEvents(model, part.subject, call.atMs)
    }
  }

  #submit(
    { spender }: ModelCall,
    { id, cost }: { id: bigint; cost: bigint },
    entries: readonly never[] | object[],
  ) {
    const ordinary = {
      server: 'weather',
      method: 'tools/call',
      transport: 'stdio',
      upstreamTransport: 'stdio',
    } as const
    const rest = {
      era: 'modern',
      upstreamEra: 'modern',
      outcome: 'success',
      currency: 'USD',
      priced: true,
    } as const
    const sizes = { statusCode: 200, requestBytes: 1, responseBytes: 1, durationUs: 1 }
    const client = { ip: '::1', userAgent: 'test' }
    const record = { id, ...spender, ...ordinary, ...rest, ...sizes, cost, client }
    money.writer.submit({ record, done: (error) => expect(error).toBeUndefined() }, entries as never)
  }

  #noteEvents(model: ModelBudget, subject: string, atMs: number): void {
    const { window, id, amount: whole } = model.budget
    const { spent } = model.sums(subject, atMs)
    const sliceMs = typeof window === 'object' ? Math.ceil((window.rollingSeconds * 1000) / 60) : 0
    const label =
      typeof window === 'object'
        ? Math.floor((model.slice(atMs) * sliceMs) / (window.rollingSeconds * 1000))
        : model.windowOf(atMs)
    for (const { text, share } of model.budget.thresholds)
      if (spent * 10n ** 9n >= whole * share) this.events.add([id, subject, label, text].join(' '))
  }

  async #create({
    scope: [kind, name],
    window,
    mode,
    amount: whole,
  }: Extract<Step, { do: 'create' }>): Promise<void> {
    const budget = await money.budgets.create({
      scope: { kind, subject: this.#id(name) },
      amount: whole,
      currency: 'USD',
      window,
      timeZone: 'Europe/Berlin',
      mode,
      thresholds,
      createdBy: 'test',
    })
    const model = new ModelBudget(budget)
    const now = this.#nowMs
    for (const call of this.calls) {
      const subject = model.subjectOf(call.spender, this.#parentOf)
      const recent =
        typeof window === 'object'
          ? model.slice(call.atMs) >= model.slice(now) - 60
          : model.windowOf(call.atMs) === model.windowOf(now)
      if (subject !== undefined && (call.live || recent)) model.parts.push({ call, subject })
    }
    this.budgets.push(model)
    for (const subject of model.subjects) this.#noteEvents(model, subject, now)
  }

  async #alter(step: Extract<Step, { do: 'change' | 'increase' | 'delete' }>): Promise<void> {
    const at = step.which % Math.max(1, this.budgets.length)
    const model = this.budgets[at]
    if (!model) return
    const { id } = model.budget
    if (step.do === 'delete') {
      await money.budgets.delete(id)
      this.budgets.splice(at, 1)
    } else if (step.do === 'increase') {
      const untilMs = this.#nowMs + 1 + step.ms
      model.budget = await money.budgets.increase(id, { amount: step.amount, untilMs, createdBy: 'test' })
    } else {
      model.budget = await money.budgets.change(id, { amount: step.amount })
      for (const subject of model.subjects) this.#noteEvents(model, subject, this.#nowMs)
    }
  }

  check(): void {
    for (const model of this.budgets)
      for (const subject of model.subjects) {
        const state = money.budgets.state(model.budget.id, subject)
        const { spent, held } = model.sums(subject, this.#nowMs)
        expect({ spent: state.spent, held: state.held, limit: state.limit }).toEqual({
          spent,
          held,
          limit: model.limit(this.#nowMs),
        })
      }
  }

  async finish(): Promise<void> {
    for (const open of this.live.splice(0)) this.#settle(open, open.call.held)
    await money.writer.flush()
    this.check()
    await money.budgets.reload()
    this.check()
    const made = await money.events.list({ limit: 10_000 })
    const own = new Set([...this.events].map((text) => text.split(' ')[0]))
    const raised = made.filter(
      ({ kind, body: { budget, subject } }) =>
        kind === 'budget.threshold' &&
        own.has(String(budget)) &&
        (typeof subject !== 'string' || subject.endsWith(this.#suffix)),
    )
    expect(raised.length).toBe(this.events.size)
  }

  /** Budgets for each would bind the callers of the next run too. */
  async close(): Promise<void> {
    for (const { hold } of this.live) money.funds.release(hold)
    for (const { budget } of this.budgets) await money.budgets.delete(budget.id)
  }
}

/** Clocks in Berlin go back on 25 October. */
const startMs = Date.UTC(2026, 9, 20, 21, 50)
let cluster: TestPostgres
beforeAll(async () => {
  cluster = await startPostgres()
  await cluster.createDatabase('budgets')
})
afterAll(() => cluster.stop())

const open = {
  sqlite: () => openMoney({ startMs }),
  postgres: async () => {
    const options = { url: cluster.url('budgets'), durability: 'process', log: silentLog } as const
    return openMoney({ startMs, database: await openPostgres(options) })
  },
}

describe.each([
  ['sqlite', 150],
  ['postgres', 40],
] as const)('budgets on %s', (engine, runs) => {
  beforeAll(async () => {
    money = await open[engine]()
    ids = new CallIds(money.clock)
  })
  afterAll(() => money.close())

  test('admit what the model admits and nothing else, and count as it does, through any steps', async () => {
    const seed = Number(process.env['TOLLBRIDGE_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
    console.log(`TOLLBRIDGE_TEST_SEED=${seed}`)
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), async (steps) => {
        const run = await new Run().open()
        try {
          for (const each of steps) {
            await run.take(each)
            run.check()
          }
          await run.finish()
        } finally {
          await run.close()
        }
      }),
      { seed, numRuns: Number(process.env['TOLLBRIDGE_TEST_RUNS'] ?? runs) },
    )
  }, 60_000)

  test.each(['day', { rollingSeconds: 7200 }] as const)(
    'made while calls settle count each of them once (%j)',
    async (window) => {
      const { clock, rules, budgets, writer } = money
      clock.advance(1000)
      const made = await rules.create({ name: 'all', currency: 'USD', price: { perCall: '0.25' } })
      const accountId = await money.addAccount('usr_busy')
      const call = () => money.call({ accountId, userId: accountId, keyId: 'key_busy' })
      const load = { on: true, calls: 0 }
      const callers = Array.from({ length: 8 }, async () => {
        for (; load.on; load.calls++) await call()
      })
      const ids: string[] = []
      for (const subject of [accountId, '*', accountId, '*', accountId]) {
        const enough = load.calls + 20
        const rest = {
          amount: 10n ** 15n,
          currency: 'USD',
          timeZone: 'UTC',
          mode: 'hard',
          createdBy: 'test',
        } as const
        const scope = { kind: 'user', subject } as const
        ids.push((await budgets.create({ ...rest, scope, window, thresholds: [] })).id)
        while (load.calls < enough) await new Promise((resolve) => setImmediate(resolve))
      }
      load.on = false
      await Promise.all(callers)
      await writer.flush()
      const spent = () => ids.map((id) => budgets.state(id, accountId).spent)
      const whole = 250_000_000n * BigInt(load.calls)
      expect(spent()).toEqual(ids.map(() => whole))
      await budgets.reload()
      expect(spent()).toEqual(ids.map(() => whole))
      for (const id of ids) await budgets.delete(id)
      await rules.change(made.ruleId, { active: false })
      clock.advance(3 * 86_400_000)
    },
  )
})
