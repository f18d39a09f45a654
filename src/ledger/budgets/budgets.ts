// All budgets of this node: what calls hold and spend of them in memory, and how they are made, changed and folded.
import { GatewayError } from '../../base/errors.ts'
import { CallIds, newId } from '../../base/id.ts'
import type { BillingEvent } from '../event.ts'
import {
  callUnit,
  type Budget,
  type BudgetChange,
  type BudgetInput,
  type BudgetSpend,
  type BudgetState,
  type Increase,
  type Spender,
} from './budget.ts'
import { BudgetIndex } from './budget-index.ts'
import type { Stake, Refusal, Share } from './stake.ts'
import { LiveBudget } from './live-budget.ts'
import type { BudgetsOptions } from './options.ts'

/** No window is longer than a month, and a rolling one lasts a slice more. */
const horizonMs = 33 * 86_400_000
const none: readonly Share[] = []
const nothing: readonly BudgetSpend[] = []
const maxForgotten = 10_000
const maxIncreases = 100

/**
 * Invariant: in every window of every hard budget, what is spent and held is within the limit that was in force when
 * it was taken. A call takes of all its budgets in one step or of none. What is spent is the fold of `budget_spend`.
 */
export class Budgets {
  readonly #options: BudgetsOptions
  readonly #index: BudgetIndex
  /** Everything that is held, so that a new budget counts the calls that run already. */
  readonly #stakes = new Set<Stake>()
  #events: BillingEvent[] = []
  /** Ended sessions whose rows can go. */
  readonly #forgotten: string[] = []
  #isSweeping = false
  #turn: Promise<unknown> = Promise.resolve()

  private constructor(options: BudgetsOptions) {
    this.#options = options
    this.#index = new BudgetIndex(options.parentOf)
  }

  static async open(options: BudgetsOptions): Promise<Budgets> {
    const budgets = new Budgets(options)
    await budgets.reload()
    return budgets
  }

  /** Folds what was spent from the store again; holds stay. No settled call may be waiting for its commit meanwhile. */
  reload(): Promise<void> {
    return this.inTurn(() => this.#fold())
  }

  /** Changes of budgets and of the tree of accounts run one after another. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => {})
    return turn
  }

  async #fold(): Promise<void> {
    const { store, clock } = this.#options
    const budgets = await store.listBudgets()
    const spends = await store.listSpends(clock.now() - horizonMs)
    const stored = new Set(budgets.map(({ id }) => id))
    for (const live of this.#index.all()) {
      if (!stored.has(live.budget.id)) this.#drop(live)
      for (const count of live.counts.values()) count.clearSpent()
    }
    for (const budget of budgets) {
      const live = this.#index.find(budget.id)
      if (live) live.budget = budget
      else this.#install(new LiveBudget(budget)).inForce = true
    }
    for (const spend of spends) this.#addSpent(spend)
    for (const live of this.#index.all()) live.prune(clock.now())
    this.#events = []
  }

  /**
   * Holds `amount` of every budget that the call counts against; undefined where a hard one does not have it. An
   * amount of nothing is not looked up: it is when the call grows.
   */
  stake(spender: Spender, record: bigint, amount: bigint, unit?: string): Stake | undefined {
    const stake: Stake = { spender, record, amount: 0n, shares: none, unit }
    if (amount > 0n && !this.grow(stake, amount)) return undefined
    this.#stakes.add(stake)
    return stake
  }

  /** Makes a stake larger, in one step for all its budgets; false where a hard one does not have the rest. */
  grow(stake: Stake, amount: bigint): boolean {
    const more = amount - stake.amount
    if (more <= 0n) return true
    const first = stake.amount === 0n
    const shares = first ? this.#sharesOf(stake) : stake.shares
    if (this.#findShort(shares, more)) return false
    for (const { live, count, cell } of shares) {
      if (first && live.budget.mode !== 'hard') this.#noteExcess({ live, count, cell }, stake, more)
      if (first) count.hold(cell, more)
      else count.grow(cell, more)
    }
    stake.shares = shares
    stake.amount = amount
    return true
  }

  /** Takes back the last growth of a stake, which the wallet did not cover. */
  shrink(stake: Stake, amount: bigint): void {
    const less = stake.amount - amount
    for (const { count, cell } of stake.shares)
      if (amount === 0n) count.settle(cell, less, 0n)
      else count.grow(cell, -less)
    stake.amount = amount
    if (amount === 0n) stake.shares = none
  }

  /**
   * Ends a stake, of which `cost` was spent; returns what has to commit with the record. A call may hold nothing and
   * give back (a cost below 0), where the calls before it became cheaper.
   */
  settle(stake: Stake, cost: bigint): readonly BudgetSpend[] {
    this.#stakes.delete(stake)
    const isHeld = stake.amount > 0n
    const shares = isHeld || cost === 0n ? stake.shares : this.#sharesOf(stake)
    if (shares.length === 0) return nothing
    const spends: BudgetSpend[] = []
    for (const { live, count, cell } of shares) {
      if (isHeld) count.settle(cell, stake.amount, cost)
      else count.add(cell, cost)
      if (cost === 0n || live.removed) continue
      spends.push({ budgetId: live.budget.id, subject: count.subject, bucket: cell.bucket, amount: cost })
      if (live.inForce && live.hasMarks) this.#raise(live.passed(count, cell, this.#cause(stake.spender)))
    }
    return spends
  }

  /**
   * Why a call does not get `amount`: the hard budget that is short, with how much; undefined where none is. Raises
   * the event of it.
   */
  findRefusal(stake: Stake, amount: bigint): Refusal | undefined {
    const shares = stake.amount > 0n ? stake.shares : this.#sharesOf(stake)
    const more = amount - stake.amount
    const short = this.#findShort(shares, more)
    if (!short) return undefined
    const { live, count, cell } = short
    const event = live.exhausted(count, cell, this.#cause(stake.spender))
    if (event) this.#raise([event])
    const nowMs = this.#options.clock.now()
    const limit = live.limit(nowMs)
    const state = live.state(nowMs, count.subject || undefined)
    const over = count.used(cell) + more - limit
    const freesAtMs = amount > limit ? undefined : count.freesAt(nowMs, over)
    return { budget: live.budget, state, nowMs, ...(freesAtMs !== undefined && { freesAtMs }) }
  }

  /** Events that were raised since; they commit with the next record. */
  takeEvents(): readonly BillingEvent[] {
    const events = this.#events
    if (events.length > 0) this.#events = []
    return events
  }

  get(id: string): Budget {
    return this.#live(id).budget
  }

  /** By id, oldest first. */
  list(): Budget[] {
    return Array.from(this.#index.all(), ({ budget }) => budget).sort((a, b) => (a.id < b.id ? -1 : 1))
  }

  /** What has been used of a budget; of one for each, by `subject` or by whoever has used most. */
  state(id: string, subject?: string): BudgetState {
    return this.#live(id).state(this.#options.clock.now(), subject)
  }

  /** Whether an account has budgets of its own in money: then its descendants must have its currency. */
  hasAccountBudgets(accountId: string): boolean {
    return this.#index.ofAccount(accountId).some(({ budget }) => budget.currency !== callUnit)
  }

  /** Somebody got another parent. What runs stays with the ancestors under which it arrived. */
  treeChanged(): void {
    this.#index.treeChanged()
  }

  /**
   * Makes a budget that counts from the start of its window: calls that run are attached at once, settled ones are
   * read from the records. It is in force once that is durable. `check` runs in the same turn.
   */
  create(input: BudgetInput, check?: () => void): Promise<Budget> {
    return this.inTurn(async () => {
      check?.()
      const { store, clock, history, settledSoFar, maxBudgets = 100_000 } = this.#options
      if (this.#index.size >= maxBudgets)
        throw new GatewayError('unprocessable', {
          detail: `There may be ${maxBudgets} budgets; delete some.`,
        })
      const now = clock.now()
      const id = newId('bud', now)
      const budget: Budget = { ...input, id, increases: [], createdAtMs: now, updatedAtMs: now }
      const live = this.#install(new LiveBudget(budget))
      try {
        await settledSoFar()
        const before = (await history(budget, this.#horizonOf(live, now))).filter(
          ({ amount }) => amount !== 0n,
        )
        await store.insert(budget, before)
        for (const spend of before) this.#addSpent(spend)
        live.inForce = true
      } catch (error) {
        this.#drop(live)
        throw error
      }
      await this.#announce(live)
      return budget
    })
  }

  change(id: string, change: BudgetChange): Promise<Budget> {
    return this.inTurn(async () => {
      const live = this.#live(id)
      const budget = { ...live.budget, ...change, updatedAtMs: this.#options.clock.now() }
      await this.#options.store.update(budget)
      live.budget = budget
      await this.#announce(live)
      return budget
    })
  }

  /** More money until a time; both are in force at once and end by themselves. */
  increase(id: string, input: Pick<Increase, 'amount' | 'untilMs' | 'createdBy'>): Promise<Budget> {
    return this.inTurn(async () => {
      const live = this.#live(id)
      const now = this.#options.clock.now()
      const current = live.budget.increases.filter(({ untilMs }) => untilMs > now)
      if (current.length >= maxIncreases)
        throw new GatewayError('unprocessable', {
          detail: `A budget may have ${maxIncreases} increases at once; wait until one ends.`,
        })
      const increase = { ...input, id: newId('inc', now), createdAtMs: now }
      await this.#options.store.addIncrease(id, increase)
      live.budget = { ...live.budget, increases: [...current, increase] }
      return live.budget
    })
  }

  delete(id: string): Promise<void> {
    return this.inTurn(async () => {
      const live = this.#live(id)
      await this.#options.store.delete(id)
      this.#drop(live)
    })
  }

  /** The budgets of one key, oldest first. */
  ofKey(keyId: string): Budget[] {
    return this.#index.ofKey(keyId).map(({ budget }) => budget)
  }

  /** Removes the budgets of a key that is gone. */
  async deleteOfKey(keyId: string): Promise<void> {
    for (const { id } of this.ofKey(keyId)) await this.delete(id)
  }

  /** A session ended: what it spent of budgets for each session is forgotten. */
  forgetSession(id: string): void {
    for (const live of this.#index.all())
      if (live.isForEach && live.budget.scope.kind === 'session') live.forget(id)
    if (this.#index.size > 0 && this.#forgotten.length < maxForgotten) this.#forgotten.push(id)
  }

  /** Forgets what can matter no more, in memory and in the store; call it now and then. */
  async sweep(): Promise<void> {
    if (this.#isSweeping || this.#index.size === 0) return
    this.#isSweeping = true
    try {
      await this.inTurn(() => this.#sweep())
    } finally {
      this.#isSweeping = false
    }
  }

  async #sweep(): Promise<void> {
    const { store, clock } = this.#options
    const now = clock.now()
    for (const live of this.#index.all()) live.prune(now)
    await store.sweep(now - 2 * horizonMs)
    await store.forgetSubjects(this.#forgotten.splice(0, 500))
  }

  #sharesOf({ spender, record, unit }: Pick<Stake, 'spender' | 'record' | 'unit'>): readonly Share[] {
    if (this.#index.size === 0) return none
    const currency = unit ?? this.#options.currencyOf(spender.accountId)
    const atMs = CallIds.timeMs(record)
    const shares: Share[] = []
    this.#index.each(spender, (live, subject) => {
      if (live.budget.currency !== currency) return
      const count = live.countOf(subject)
      shares.push({ live, count, cell: count.cellAt(atMs) })
    })
    return shares
  }

  #findShort(shares: readonly Share[], more: bigint): Share | undefined {
    if (shares.length === 0) return undefined
    const nowMs = this.#options.clock.now()
    return shares.find(
      ({ live, count, cell }) =>
        live.budget.mode === 'hard' &&
        live.inForce &&
        !live.removed &&
        !live.allows(count, cell, { more, nowMs }),
    )
  }

  #noteExcess({ live, count, cell }: Share, { spender }: Stake, more: bigint): void {
    if (!live.inForce || live.allows(count, cell, { more, nowMs: this.#options.clock.now() })) return
    const event = live.exhausted(count, cell, this.#cause(spender))
    if (event) this.#raise([event])
  }

  #install(live: LiveBudget): LiveBudget {
    this.#index.add(live)
    for (const stake of this.#stakes) {
      if (stake.amount === 0n) continue
      for (const share of this.#sharesOf(stake)) {
        if (share.live !== live) continue
        share.count.hold(share.cell, stake.amount)
        stake.shares = [...stake.shares, share]
      }
    }
    return live
  }

  #drop(live: LiveBudget): void {
    live.removed = true
    this.#index.remove(live)
  }

  #addSpent({ budgetId, subject, bucket, amount }: BudgetSpend): void {
    const live = this.#index.find(budgetId)
    if (!live) return
    const count = live.countOf(subject)
    count.add(count.cellAt(bucket), amount)
  }

  /** From when on spending may still matter to a budget. */
  #horizonOf({ frame, budget }: LiveBudget, nowMs: number): number {
    const bucket = frame.bucketOf(nowMs)
    return typeof budget.window === 'object' ? bucket - 60 * (frame.sliceMs ?? 0) : bucket
  }

  /** Raises and writes the events that are due without a call. */
  async #announce(live: LiveBudget): Promise<void> {
    const now = this.#options.clock.now()
    const cause = { accountId: live.budget.accountId ?? '', atMs: now }
    for (const count of live.counts.values()) this.#raise(live.passed(count, count.cellAt(now), cause))
    const events = this.takeEvents()
    try {
      await this.#options.events.record(events)
    } catch {
      // The next record takes them along.
      this.#events.push(...events)
    }
  }

  #cause({ accountId }: Spender): { accountId: string; atMs: number } {
    return { accountId, atMs: this.#options.clock.now() }
  }

  #raise(events: readonly BillingEvent[]): void {
    for (const event of events) {
      this.#events.push(event)
      this.#options.onEvent?.(event)
    }
  }

  #live(id: string): LiveBudget {
    const live = this.#index.find(id)
    if (!live) throw new GatewayError('not_found')
    return live
  }
}
