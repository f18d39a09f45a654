// The monthly job: drafts, or final invoices, for closed months of accounts that have something to bill.
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Account } from '../ledger/account.ts'
import type { UsageQueries } from '../usage/queries.ts'
import type { Invoices } from './invoices.ts'
import type { Period } from '../base/zone.ts'
import { closedMonths } from './periods.ts'

/** A month is billed when it has been over for so long: calls that ran across its end have settled. */
const closedForMs = 3_600_000
/** Months that are caught up on, after the job was off or the gateway down. */
const monthsBack = 3

interface AutomaticParts {
  readonly mode: 'draft' | 'finalize'
  readonly invoices: Invoices
  readonly queries: Pick<UsageQueries, 'summarise'>
  readonly listAccounts: () => readonly Account[]
  readonly clock: Clock
  readonly log: Log
}

export class AutomaticInvoices {
  readonly #parts: AutomaticParts
  /** The newest month that was looked at, by account: it is looked at once. */
  readonly #done = new Map<string, number>()
  #running: Promise<number> | undefined
  #stopped = false

  constructor(parts: AutomaticParts) {
    this.#parts = parts
  }

  /** Makes what is missing; returns how many. One account's failure does not keep the others from theirs. */
  run(): Promise<number> {
    this.#running ??= this.#all().finally(() => (this.#running = undefined))
    return this.#running
  }

  /** Ends a run after the account that it is at. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running?.catch(() => {})
  }

  async #all(): Promise<number> {
    const { listAccounts, log } = this.#parts
    let made = 0
    for (const account of listAccounts()) {
      if (this.#stopped) break
      try {
        made += await this.#account(account)
      } catch (err) {
        log.warn({ err, accountId: account.id }, 'an invoice could not be made')
      }
    }
    return made
  }

  async #account(account: Account): Promise<number> {
    const { clock } = this.#parts
    const done = this.#done.get(account.id) ?? -Infinity
    const months = closedMonths(clock.now(), account.timeZone, { closedForMs, count: monthsBack })
    const open = months.filter(({ startMs, endMs }) => startMs > done && endMs > account.createdAtMs)
    let made = 0
    for (const month of open.toReversed()) {
      if (await this.#month(account, month)) made++
      this.#done.set(account.id, month.startMs)
    }
    return made
  }

  async #month(account: Account, month: Period): Promise<boolean> {
    const { queries, invoices, mode, log } = this.#parts
    const period = await invoices.closeUp(account.id, month)
    const { id, currency } = account
    const filter = { account: id, currency, fromMs: period.startMs, toMs: period.endMs }
    const { totalCalls } = await queries.summarise(filter, { groupBy: [], timeZone: 'UTC' })
    if (totalCalls === 0) return false
    try {
      const draft = await invoices.create(account, { period, actor: 'automatic' })
      if (mode === 'finalize') await invoices.finalize(draft.id, { actor: 'automatic' })
      return true
    } catch (error) {
      if (!(error instanceof GatewayError) || error.code !== 'conflict') throw error
      log.debug({ accountId: id, ...period }, 'the month has an invoice already')
      return false
    }
  }
}
