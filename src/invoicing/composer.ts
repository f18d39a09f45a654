// What an invoice bills: this period's calls, and of earlier periods what came after their invoices.
import { assert, GatewayError } from '../base/errors.ts'
import { parseAmount } from '../base/money.ts'
import type { Period } from '../base/zone.ts'
import type { Account } from '../ledger/account.ts'
import type { UsageQueries } from '../usage/queries.ts'
import type { ChargeStore } from './charge-store.ts'
import { dueOf, emptyCallSum, inReadingOrder, keyOf, type CallSum, type LineDraft } from './lines.ts'
import type { BilledPeriod, InvoiceStore } from './store.ts'

export interface Composition {
  /** In the order of the document. */
  readonly drafts: readonly LineDraft[]
  /** What this invoice bills of each period that it touches, its own first. */
  readonly periods: readonly BilledPeriod[]
}

interface ComposerParts {
  readonly store: Pick<InvoiceStore, 'billedPeriods' | 'billedLines'>
  readonly charges: Pick<ChargeStore, 'charges'>
  readonly queries: Pick<UsageQueries, 'summarise'>
  readonly maxLines: number
}

const nothing = { calls: 0, amount: 0n, applied: 0n }

/**
 * Composes invoices. A period that was billed before is billed again by difference: what its calls sum to now, less
 * what standing invoices billed of it. So a record that commits after its period's invoice is billed once, on the next
 * one; and where an invoice is voided, all that it billed waits for the next invoice of the same period.
 */
export class Composer {
  readonly #parts: ComposerParts

  constructor(parts: ComposerParts) {
    this.#parts = parts
  }

  /** Throws `unprocessable` where there would be more lines than the limit. */
  async compose(account: Account, own: Period): Promise<Composition> {
    const billed = await this.#parts.store.billedPeriods(account.id)
    const isOwn = (period: BilledPeriod): boolean =>
      period.startMs === own.startMs && period.endMs === own.endMs
    const first = await this.#period(account, { ...nothing, ...billed.find(isOwn), ...own }, false)
    const drafts = [...first.drafts]
    const periods = [first.period]
    // Of a period whose own invoice was voided, nothing is late: it waits for its next invoice.
    for (const earlier of billed.filter((period) => period.isOwned && !isOwn(period))) {
      if (!(await this.#hasNews(account, earlier))) continue
      const late = await this.#period(account, earlier, true)
      drafts.push(...late.drafts)
      if (late.drafts.length > 0) periods.push(late.period)
    }
    if (drafts.length > this.#parts.maxLines)
      throw new GatewayError('unprocessable', {
        detail: `The invoice would have ${drafts.length} lines, more than ${this.#parts.maxLines}; bill shorter periods.`,
      })
    return { drafts: inReadingOrder(drafts), periods }
  }

  /** Whether a period has other sums than were billed; asks the rollups alone. */
  async #hasNews(account: Account, billed: BilledPeriod): Promise<boolean> {
    const total = await this.#rolledUp(account, billed)
    return total.calls !== billed.calls || total.amount !== billed.amount
  }

  async #period(
    account: Account,
    billed: BilledPeriod,
    isLate: boolean,
  ): Promise<{ drafts: LineDraft[]; period: BilledPeriod }> {
    const { startMs, endMs } = billed
    // In this order: what commits in between is in the second, and only there.
    const rolledUp = await this.#rolledUp(account, billed)
    const charges = await this.#parts.charges.charges(account, billed)
    const period = { startMs, endMs }
    const isPruned = charges.total.calls < rolledUp.calls
    const all = isPruned ? rolledUp : charges.total
    const drafts = isPruned
      ? [{ subject: undefined, period, isLate, all, billed: { ...billed, charged: billed.calls } }]
      : await this.#subjects(account, { period, isLate, charges })
    const fresh = drafts.filter((draft) => dueOf(draft).calls !== 0 || dueOf(draft).amount !== 0n)
    return {
      drafts: fresh,
      period: {
        ...period,
        calls: all.calls - billed.calls,
        amount: all.amount - billed.amount,
        applied: charges.applied - billed.applied,
      },
    }
  }

  async #subjects(
    account: Account,
    given: { period: Period; isLate: boolean; charges: Awaited<ReturnType<ChargeStore['charges']>> },
  ): Promise<LineDraft[]> {
    const { period, isLate, charges } = given
    const billed = await this.#parts.store.billedLines(account.id, period)
    return [...charges.subjects.values()].map(({ subject, sum }) => ({
      subject,
      period,
      isLate,
      all: sum,
      billed: billed.get(keyOf(subject)) ?? emptyCallSum,
    }))
  }

  async #rolledUp(account: Account, { startMs, endMs }: Period): Promise<CallSum> {
    const { id, currency } = account
    const filter = { account: id, currency, fromMs: startMs, toMs: endMs }
    const { totalCalls, totals } = await this.#parts.queries.summarise(filter, {
      groupBy: [],
      timeZone: 'UTC',
    })
    const amount = parseAmount(totals[0]?.cost ?? '0')
    assert(amount !== undefined, 'a summary has its cost as a decimal')
    return { calls: totalCalls, charged: totalCalls, amount }
  }
}
