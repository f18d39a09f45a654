// All invoices of this gateway: made, recomputed, finalized with a number, and ended, each step in one transaction.
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { newId } from '../base/id.ts'
import type { Period } from '../base/zone.ts'
import type { Account } from '../ledger/account.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { formatMoney, type TaxSetting } from './amounts.ts'
import type { Composer, Composition } from './composer.ts'
import type { CreditNoteStore } from './credit-note-store.ts'
import { hashOf, makeDocument, type Issue, type Made } from './document.ts'
import type { FullInvoice, Invoice, InvoiceState, Seller } from './invoice.ts'
import { dueOf, keyOf, type LineContext } from './lines.ts'
import { Numbers } from './numbers.ts'
import type { ProfileStore } from './profile-store.ts'
import { changed, type Profile, type ProfileChange } from './profile.ts'
import { leftToPay, paymentEntries, standingOf } from './settlement.ts'
import type { Compilable, InvoiceEvent, InvoiceFilter, InvoiceStore } from './store.ts'
import { Refusal, Turns } from './turns.ts'

export interface InvoiceSettings {
  /** `INV-{year}-{seq:6}` and the like; see `findFormatProblem`. */
  readonly numberFormat: string
  readonly creditNoteFormat: string
  /** Zone of the issuer: the year of a number is its. */
  readonly timeZone: string
  readonly dueDays: number
  readonly tax: readonly TaxSetting[]
  readonly seller: Seller
}

export interface InvoiceParts {
  readonly store: InvoiceStore
  readonly creditNotes: CreditNoteStore
  readonly profiles: ProfileStore
  readonly composer: Pick<Composer, 'compose'>
  readonly ledger: Ledger
  readonly findRule: LineContext['findRule']
  readonly clock: Clock
  readonly settings: InvoiceSettings
}

/** Who does it, and for a payment its reference, else why. */
export interface Act {
  readonly actor: string
  readonly note?: string
}

interface Ending extends Act {
  readonly to: Extract<InvoiceState, 'paid' | 'void' | 'uncollectible'>
}

const dayMs = 86_400_000
/** Zones lie at most 26 hours apart. */
const maxZoneChangeMs = 26 * 3_600_000

export class Invoices {
  readonly #parts: InvoiceParts
  readonly #numbers: Numbers
  readonly #turns = new Turns({ maxWaiting: 1000, maxAttempts: 50 })

  constructor(parts: InvoiceParts) {
    this.#parts = parts
    this.#numbers = new Numbers(parts.store, parts.settings)
  }

  /** Throws `not_found`. */
  async get(id: string): Promise<FullInvoice> {
    const invoice = await this.#parts.store.find(id)
    if (!invoice) throw new GatewayError('not_found')
    return invoice
  }

  list(filter: InvoiceFilter, page: { limit: number; before: string | undefined }): Promise<Invoice[]> {
    return this.#parts.store.list(filter, page)
  }

  /** What happened to an invoice, oldest first. */
  events(id: string): Promise<InvoiceEvent[]> {
    return this.#parts.store.listEvents(id)
  }

  profile(accountId: string): Promise<Profile> {
    return this.#parts.profiles.read(accountId)
  }

  changeProfile(accountId: string, change: ProfileChange): Promise<Profile> {
    return this.#turns.run(async () => {
      const profile = changed(await this.#parts.profiles.read(accountId), change)
      await this.#parts.profiles.put(accountId, profile, this.#parts.clock.now())
      return profile
    })
  }

  /** A draft for a period of an account. Throws `conflict` where an invoice that is not void has a part of it. */
  create(account: Account, options: { period: Period; dueDays?: number } & Act): Promise<FullInvoice> {
    const { period, dueDays = this.#parts.settings.dueDays, ...act } = options
    return this.#turns.run(async () => {
      const { store, clock } = this.#parts
      const seq = (await store.lastEvent(account.id)) + 1
      await this.#refuseOverlap(account.id, period)
      const now = clock.now()
      const id = newId('inv', now)
      const { made } = await this.#make(id, account, { period })
      const invoice: FullInvoice = {
        id,
        accountId: account.id,
        status: 'draft',
        currency: account.currency,
        dueDays,
        periodStartMs: period.startMs,
        periodEndMs: period.endMs,
        createdAtMs: now,
        updatedAtMs: now,
        ...madeMembers(made),
      }
      const event = this.#event(invoice, 'created', { seq, ...act })
      await store.write(...event, store.add(invoice))
      return invoice
    })
  }

  /** The month as an invoice bills it: from where the last one ended, where the account's zone was changed since. */
  async closeUp(accountId: string, month: Period): Promise<Period> {
    const lastEndMs = await this.#parts.store.findLastEnd(accountId, month.endMs)
    const isNear = lastEndMs !== undefined && Math.abs(lastEndMs - month.startMs) <= maxZoneChangeMs
    return isNear ? { ...month, startMs: lastEndMs } : month
  }

  async #refuseOverlap(accountId: string, period: Period): Promise<void> {
    const { store } = this.#parts
    const other = await store.findOverlap(accountId, period)
    if (other)
      throw new Refusal(
        `The ${other.status} invoice ${other.number ?? other.id} has a part of this period; void or delete it first.`,
        { invoiceId: other.id },
      )
    const billed = (await store.billedPeriods(accountId)).find(
      ({ startMs, endMs }) =>
        startMs < period.endMs &&
        endMs > period.startMs &&
        (startMs !== period.startMs || endMs !== period.endMs),
    )
    if (!billed) return
    const [start, end] = [billed.startMs, billed.endMs].map((ms) => new Date(ms).toISOString())
    throw new Refusal(
      `Late calls of ${start} to ${end} are on another invoice; bill exactly that period again.`,
    )
  }

  /** Computes a draft anew. */
  refresh(id: string, act: Act): Promise<FullInvoice> {
    return this.#changeDraft(id, 'refresh', async (draft, seq) => {
      const { store, clock } = this.#parts
      const { made } = await this.#make(id, this.#accountOf(draft), { period: periodOf(draft) })
      const fresh = { ...draft, ...madeMembers(made), updatedAtMs: clock.now() }
      await store.write(...this.#event(fresh, 'refreshed', { seq, ...act }), store.change(fresh))
      return fresh
    })
  }

  /** Takes a draft away. */
  async remove(id: string, act: Act): Promise<void> {
    await this.#changeDraft(id, 'delete', async (draft, seq) => {
      const { store } = this.#parts
      await store.write(...this.#event(draft, 'deleted', { seq, ...act }), store.remove(id))
      return draft
    })
  }

  /**
   * Computes a draft for the last time, numbers it and keeps it as it is for ever. `expectedTotal` (decimal) is what
   * was reviewed: `conflict` where the total is another by now.
   */
  finalize(id: string, options: { expectedTotal?: string } & Act): Promise<FullInvoice> {
    const { expectedTotal, ...act } = options
    return this.#changeDraft(id, 'finalize', async (draft, seq) => {
      const { store, clock } = this.#parts
      const now = clock.now()
      if (draft.periodEndMs > now)
        throw new Refusal(
          'The period has not ended; finalize the invoice after it, or make one for a shorter period.',
        )
      const number = await this.#numbers.next('invoice', { documentId: id, atMs: now })
      const issue = { number: number.number, issuedAtMs: now, dueAtMs: now + draft.dueDays * dayMs }
      const account = this.#accountOf(draft)
      const { made, composition } = await this.#make(id, account, { period: periodOf(draft), issue })
      checkTotal(made, expectedTotal)
      const final: FullInvoice = {
        ...draft,
        ...madeMembers(made),
        status: 'finalized',
        number: number.number,
        contentHash: hashOf(JSON.stringify(made.content)),
        updatedAtMs: now,
        finalizedAtMs: now,
        dueAtMs: issue.dueAtMs,
      }
      const statements = [store.addNumber(number), store.change(final), ...this.#billed(final, composition)]
      await store.write(...this.#event(final, 'finalized', { seq, ...act }), ...statements)
      return final
    })
  }

  /** Marks a finalized invoice as paid, `note` being the payment's reference, and books what was left to pay. */
  pay(id: string, act: Act): Promise<FullInvoice> {
    return this.#end(id, { ...act, to: 'paid' }, async (paid, statements) => {
      const { ledger, creditNotes, store } = this.#parts
      const standing = standingOf(paid.content, await creditNotes.list([id]))
      const booking = {
        entries: paymentEntries(standing),
        createdBy: act.actor,
        reason: `payment of ${paid.number ?? id}`,
      }
      await ledger.book(paid.accountId, booking, (booked) => store.write(...statements, ...booked))
    })
  }

  /** Takes a finalized invoice back: its number stays taken, what it billed is open again. */
  async void(id: string, act: Act): Promise<FullInvoice> {
    return this.#end(id, { ...act, to: 'void' }, async (_invoice, statements) => {
      const notes = await this.#parts.creditNotes.list([id])
      if (notes.length > 0)
        throw new Refusal(
          'The invoice has credit notes, so it cannot be voided; credit the rest of it instead.',
        )
      await this.#parts.store.write(...statements)
    })
  }

  /** Gives a finalized invoice up: what is owed stays owed in the ledger. */
  giveUp(id: string, act: Act): Promise<FullInvoice> {
    return this.#end(id, { ...act, to: 'uncollectible' }, (_invoice, statements) =>
      this.#parts.store.write(...statements),
    )
  }

  /** What is still to be paid of an invoice, credit notes taken off; nano-units. */
  async amountLeft({ id, status, amountDue, content }: FullInvoice): Promise<bigint> {
    if (status === 'draft') return amountDue
    if (status === 'paid' || status === 'void') return 0n
    return leftToPay(standingOf(content, await this.#parts.creditNotes.list([id])))
  }

  /** Runs a change of a finalized or paid invoice in turn with all others; see `Turns`. */
  inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.#turns.run(work)
  }

  #end(
    id: string,
    ending: Ending,
    commit: (invoice: FullInvoice, statements: Compilable[]) => Promise<void>,
  ): Promise<FullInvoice> {
    return this.#turns.run(async () => {
      const { store, clock } = this.#parts
      const invoice = await this.get(id)
      const seq = (await store.lastEvent(invoice.accountId)) + 1
      // Again, now that whatever changes the invoice later also takes this event's number.
      const current = await this.get(id)
      if (current.status !== 'finalized')
        throw new Refusal(`The invoice is ${current.status}; only a finalized one can become ${ending.to}.`)
      const { to, actor, note } = ending
      const now = clock.now()
      const ended: FullInvoice = {
        ...current,
        status: to,
        updatedAtMs: now,
        closedAtMs: now,
        ...(note !== undefined && { reference: note }),
      }
      const event = this.#event(ended, to, { seq, actor, ...(note !== undefined && { note }) })
      await commit(ended, [...event, store.change(ended)])
      return ended
    })
  }

  #changeDraft(
    id: string,
    verb: string,
    change: (draft: FullInvoice, seq: number) => Promise<FullInvoice>,
  ): Promise<FullInvoice> {
    return this.#turns.run(async () => {
      const { accountId } = await this.get(id)
      const seq = (await this.#parts.store.lastEvent(accountId)) + 1
      const draft = await this.get(id)
      if (draft.status !== 'draft')
        throw new Refusal(`The invoice is ${draft.status}; you can ${verb} only a draft.`)
      return change(draft, seq)
    })
  }

  #event(
    { accountId, id, updatedAtMs, status, currency, number, total }: FullInvoice,
    kind: string,
    { seq, actor, note }: Act & { seq: number },
  ): Compilable[] {
    const event = { accountId, seq, invoiceId: id, kind, actor, atMs: updatedAtMs }
    const facts = { status, currency, total: formatMoney(total, currency) }
    return this.#parts.store.addEvent(
      { ...event, ...(note !== undefined && { note }) },
      { ...facts, ...(number !== undefined && { number }) },
    )
  }

  async #make(
    invoiceId: string,
    account: Account,
    { period, issue }: { period: Period; issue?: Issue },
  ): Promise<{ made: Made; composition: Composition }> {
    const { composer, profiles, settings, findRule } = this.#parts
    const composition = await composer.compose(account, period)
    const profile = await profiles.read(account.id)
    const { seller, tax } = settings
    const parts = { invoiceId, account, profile, period, composition, seller, taxes: tax, findRule }
    return { made: makeDocument(parts, issue), composition }
  }

  #billed(final: FullInvoice, { drafts, periods }: Composition): Compilable[] {
    const lines = drafts.map((draft, index) => ({
      ...dueOf(draft),
      position: index + 1,
      key: keyOf(draft.subject),
      startMs: draft.period.startMs,
      endMs: draft.period.endMs,
    }))
    return this.#parts.store.addBilled(final.id, { lines, periods })
  }

  #accountOf({ accountId }: Invoice): Account {
    const account = this.#parts.ledger.findAccount(accountId)
    if (!account) throw new GatewayError('not_found', { detail: 'There is no such account.' })
    return account
  }
}

const periodOf = ({ periodStartMs, periodEndMs }: Invoice): Period => ({
  startMs: periodStartMs,
  endMs: periodEndMs,
})

const madeMembers = ({ content, total, amountDue }: Made) => ({
  content,
  contentText: JSON.stringify(content),
  total,
  amountDue,
})

function checkTotal({ content, total }: Made, expected: string | undefined): void {
  if (expected !== undefined && formatMoney(total, content.currency) !== expected)
    throw new Refusal(
      `The total is ${content.total} by now, not ${expected}; refresh the draft and look at it again.`,
    )
}
