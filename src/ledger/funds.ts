// What calls may take: the wallet that pays and every budget of the call, held, grown and settled in one step.
import { assert, GatewayError } from '../base/errors.ts'
import { formatAmount } from '../base/money.ts'
import type { Transfer } from './account.ts'
import {
  callUnit,
  countedMethod,
  oneCall,
  type BudgetSpend,
  type BudgetWindow,
  type Spender,
} from './budgets/budget.ts'
import type { Budgets } from './budgets/budgets.ts'
import type { Stake, Refusal } from './budgets/stake.ts'
import type { BillingEvent } from './event.ts'
import type { Backing, Hold } from './hold.ts'
import type { Ledger } from './ledger.ts'

/** What the ledger commits together with a usage record. */
export type FundsEntry = Transfer | BudgetSpend | BillingEvent

/** What one call holds. It is resolved exactly once: settled or released. */
export interface CallHold {
  readonly hold: Hold
  readonly stake: Stake
  /** Of budgets that bound the number of calls. */
  readonly calls?: Stake | undefined
}

export interface FundsParts {
  readonly ledger: Ledger
  readonly budgets: Budgets
}

/** All or nothing: a call that the wallet or any hard budget does not cover takes of none of them. */
export class Funds {
  readonly #ledger: Ledger
  readonly #budgets: Budgets

  constructor({ ledger, budgets }: FundsParts) {
    this.#ledger = ledger
    this.#budgets = budgets
  }

  /** Sets `amount` aside for the call with this record id; undefined where it is not covered. */
  hold(spender: Spender, record: bigint, amount: bigint): CallHold | undefined {
    return this.#hold(spender, record, { amount, backing: undefined })
  }

  /** As `hold`, of a payment for this one call instead of the wallet. Budgets count it all the same. */
  holdBacked(
    spender: Spender,
    record: bigint,
    { amount, backing }: { readonly amount: bigint; readonly backing: Backing },
  ): CallHold | undefined {
    return this.#hold(spender, record, { amount, backing })
  }

  #hold(
    spender: Spender,
    record: bigint,
    { amount, backing }: { readonly amount: bigint; readonly backing: Backing | undefined },
  ): CallHold | undefined {
    // Also where no budget bounds calls: one may be made while this one runs.
    const isCounted = spender.method === countedMethod
    const calls = isCounted ? this.#budgets.stake(spender, record, oneCall, callUnit) : undefined
    if (isCounted && !calls) return undefined
    const stake = this.#budgets.stake(spender, record, amount)
    const hold = stake && this.#ledger.hold(spender.accountId, amount, backing)
    if (stake && hold) return { hold, stake, calls }
    if (stake) this.#budgets.settle(stake, 0n)
    if (calls) this.#budgets.settle(calls, 0n)
    return undefined
  }

  /** Makes a hold larger; false where the wallet or a budget does not cover the rest. */
  extend({ hold, stake }: CallHold, amount: bigint): boolean {
    const before = stake.amount
    if (!this.#budgets.grow(stake, amount)) return false
    if (this.#ledger.extend(hold, amount)) return true
    this.#budgets.shrink(stake, before)
    return false
  }

  /** Replaces a hold by the real cost; returns what commits with the record. `ran`: by its record, the call counts. */
  settle(
    { hold, stake, calls }: CallHold,
    cost: bigint,
    { record, ran }: { record: bigint; ran: boolean },
  ): FundsEntry[] {
    assert(cost <= stake.amount, 'a charge never passes what its budgets hold')
    const entries: FundsEntry[] = this.#ledger.settle(hold, cost, record)
    for (const spend of this.#budgets.settle(stake, cost)) entries.push(spend)
    if (calls) for (const spend of this.#budgets.settle(calls, ran ? oneCall : 0n)) entries.push(spend)
    for (const event of this.#budgets.takeEvents()) entries.push(event)
    return entries
  }

  /** What commits with the record of a call that holds nothing, such as one that was refused. */
  settleNothing(): FundsEntry[] {
    return [...this.#budgets.takeEvents()]
  }

  /** Gives a hold back without a charge. */
  release({ hold, stake, calls }: CallHold): void {
    this.#ledger.release(hold)
    this.#budgets.settle(stake, 0n)
    if (calls) this.#budgets.settle(calls, 0n)
  }

  /** Why a call does not get `amount`: `quota_exhausted`, `budget_exhausted` or `balance_exhausted`, with the figures. */
  refusal(
    spender: Spender,
    record: bigint,
    { amount, held }: { amount: bigint; held?: CallHold | undefined },
  ) {
    if (!held && spender.method === countedMethod) {
      const one = { spender, record, amount: 0n, shares: [], unit: callUnit }
      const full = this.#budgets.findRefusal(one, oneCall)
      if (full) return quotaError(full)
    }
    const stake = held?.stake ?? { spender, record, amount: 0n, shares: [] }
    const short = this.#budgets.findRefusal(stake, amount)
    return short ? this.#budgetError(short, amount) : this.#balanceError(spender.accountId, amount)
  }

  #balanceError(accountId: string, required: bigint): GatewayError {
    const { balance, held } = this.#ledger.totals(accountId)
    const currency = this.#ledger.findAccount(accountId)?.currency ?? ''
    const [has, needs, inUse] = [balance, required, held].map(formatAmount)
    const data = { balance: has, required: needs, held: inUse, currency }
    const detail = `The account balance of ${has} ${currency} does not cover this call, which may cost ${needs}; top up the account and try again.`
    return new GatewayError('balance_exhausted', { detail, data })
  }

  #budgetError({ budget, state, nowMs, freesAtMs }: Refusal, required: bigint): GatewayError {
    const { id, name, currency, window } = budget
    const resetsAtMs = freesAtMs ?? state.resetsAtMs
    const resetsAt = resetsAtMs === undefined ? undefined : new Date(resetsAtMs).toISOString()
    const [left, needs] = [state.remaining, required].map(formatAmount)
    const next =
      freesAtMs === undefined ? 'ask for an increase' : `wait until ${resetsAt} or ask for an increase`
    const detail = `The budget ${name ?? id} of ${formatAmount(state.limit)} ${currency} ${periodText(window)} has ${left} left and does not cover this call, which may cost ${needs}; ${next}.`
    const data = {
      budget: id,
      ...(name !== undefined && { name }),
      amount: formatAmount(state.limit),
      spent: formatAmount(state.spent),
      held: formatAmount(state.held),
      required: needs,
      currency,
      ...(resetsAt !== undefined && { resetsAt }),
    }
    const retryAfterS =
      freesAtMs === undefined ? undefined : Math.max(1, Math.ceil((freesAtMs - nowMs) / 1000))
    return new GatewayError('budget_exhausted', {
      detail,
      data,
      ...(retryAfterS !== undefined && { retryAfterS }),
    })
  }
}

function quotaError({ budget, state, nowMs, freesAtMs }: Refusal): GatewayError {
  const { id, name, window } = budget
  const resetsAt = freesAtMs === undefined ? undefined : new Date(freesAtMs).toISOString()
  const next =
    resetsAt === undefined ? 'ask for an increase' : `wait until ${resetsAt} or ask for an increase`
  const detail = `The quota ${name ?? id} of ${formatAmount(state.limit)} calls ${periodText(window)} is used up; ${next}.`
  const data = {
    budget: id,
    ...(name !== undefined && { name }),
    calls: formatAmount(state.limit),
    used: formatAmount(state.spent),
    running: formatAmount(state.held),
    ...(resetsAt !== undefined && { resetsAt }),
  }
  const waitS = freesAtMs === undefined ? undefined : Math.max(1, Math.ceil((freesAtMs - nowMs) / 1000))
  return new GatewayError('quota_exhausted', {
    detail,
    data,
    ...(waitS !== undefined && { retryAfterS: waitS }),
  })
}

const periodText = (window: BudgetWindow): string => {
  if (typeof window === 'object') return `in ${window.rollingSeconds} s`
  return window === 'lifetime' ? 'in all' : `a ${window}`
}
