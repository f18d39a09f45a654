// Credit notes: what takes a finalized invoice back in part, numbered, kept, and booked in the ledger.
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { newId } from '../base/id.ts'
import { parseAmount } from '../base/money.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { formatMoney } from './amounts.ts'
import type { CreditNoteStore } from './credit-note-store.ts'
import { hashOf } from './document.ts'
import type { CreditNote, CreditNoteContent, FullInvoice } from './invoice.ts'
import type { Act, Invoices } from './invoices.ts'
import { Numbers, type NumberSettings } from './numbers.ts'
import { creditOf, divideGross, standingOf, taxOn, type Credit, type Standing } from './settlement.ts'
import type { InvoiceStore } from './store.ts'
import { Refusal } from './turns.ts'

/** A total (tax included), or lines with net amounts, the whole line where none is given; nano-units. */
export type CreditInput =
  | { readonly amount: bigint }
  | { readonly lines: readonly { readonly position: number; readonly amount?: bigint }[] }

interface CreditNoteParts {
  readonly invoices: Invoices
  readonly store: InvoiceStore
  readonly creditNotes: CreditNoteStore
  readonly ledger: Ledger
  readonly clock: Clock
  readonly settings: NumberSettings
}

export class CreditNotes {
  readonly #parts: CreditNoteParts
  readonly #numbers: Numbers

  constructor(parts: CreditNoteParts) {
    this.#parts = parts
    this.#numbers = new Numbers(parts.store, parts.settings)
  }

  /** Oldest first. */
  list(invoiceId: string): Promise<CreditNote[]> {
    return this.#parts.creditNotes.list([invoiceId])
  }

  /** Throws `conflict` where the invoice is neither finalized nor paid, `unprocessable` where it has not so much left. */
  create(invoiceId: string, input: CreditInput, options: Act & { reason: string }): Promise<CreditNote> {
    const { invoices, store, creditNotes, ledger, clock } = this.#parts
    return invoices.inTurn(async () => {
      const { accountId } = await invoices.get(invoiceId)
      const seq = (await store.lastEvent(accountId)) + 1
      const invoice = await invoices.get(invoiceId)
      if (invoice.status !== 'finalized' && invoice.status !== 'paid')
        throw new Refusal(`The invoice is ${invoice.status}; only a finalized or paid one can be credited.`)
      const past = await creditNotes.list([invoiceId])
      const standing = standingOf(invoice.content, past)
      const lines = 'lines' in input ? readLines(input.lines, { invoice, past }) : []
      const { net, tax } = 'lines' in input ? ofLines(lines, standing) : ofAmount(input.amount, standing)
      const credit = creditOf(net, tax, { standing, isPaid: invoice.status === 'paid' })
      const now = clock.now()
      const id = newId('crn', now)
      const number = await this.#numbers.next('credit-note', { documentId: id, atMs: now })
      const identity = { id, number: number.number, issuedAt: new Date(now).toISOString() }
      const content = contentOf(invoice, { ...identity, reason: options.reason, lines, credit })
      const text = JSON.stringify(content)
      const { entries, ...amounts } = credit
      const note: CreditNote = {
        id,
        invoiceId,
        number: number.number,
        content,
        contentHash: hashOf(text),
        ...amounts,
        createdAtMs: now,
      }
      const event = { accountId, seq, invoiceId, kind: 'credited', actor: options.actor, atMs: now }
      const statements = [
        ...store.addEvent({ ...event, note: number.number }),
        store.addNumber(number),
        creditNotes.add(note, text),
      ]
      const booking = { entries, createdBy: options.actor, reason: `credit note ${number.number}` }
      await ledger.book(accountId, booking, (booked) => store.write(...statements, ...booked))
      return note
    })
  }
}

interface CreditedLine {
  readonly position: number
  readonly description: string
  readonly amount: bigint
}

function readLines(
  lines: readonly { readonly position: number; readonly amount?: bigint }[],
  { invoice, past }: { invoice: FullInvoice; past: readonly CreditNote[] },
): CreditedLine[] {
  return lines.map(({ position, amount }, index) => {
    const line = invoice.content.lines.find((each) => each.position === position)
    if (!line) throw wrong(`/lines/${index}/position`, 'the invoice has no such line')
    if (lines.findIndex((each) => each.position === position) !== index)
      throw wrong(`/lines/${index}/position`, 'named twice')
    const earlier = past
      .flatMap((note) => note.content.lines)
      .filter((each) => each.position === position)
      .reduce((sum, each) => sum + nano(each.amount), 0n)
    const left = nano(line.amount) - earlier
    const credited = amount ?? left
    if (credited > left) throw tooMuch(formatMoney(left, invoice.currency), `line ${position}`)
    return { position, description: line.description, amount: credited }
  })
}

function ofLines(lines: readonly CreditedLine[], standing: Standing): { net: bigint; tax: bigint } {
  const net = lines.reduce((sum, { amount }) => sum + amount, 0n)
  if (net > standing.net) throw tooMuch(formatMoney(standing.net, standing.currency), 'its lines')
  const tax = taxOn(net, standing)
  return checked({ net, tax })
}

function ofAmount(amount: bigint, standing: Standing): { net: bigint; tax: bigint } {
  const left = standing.net + standing.tax
  if (amount > left) throw tooMuch(formatMoney(left, standing.currency), 'it')
  const net = left === 0n ? 0n : divideGross(amount, standing)
  return checked({ net, tax: amount - net })
}

function checked(credit: { net: bigint; tax: bigint }): { net: bigint; tax: bigint } {
  if (credit.net + credit.tax > 0n) return credit
  throw new GatewayError('unprocessable', { detail: 'There is nothing to credit; name an amount above 0.' })
}

function contentOf(
  invoice: FullInvoice,
  given: {
    id: string
    number: string
    issuedAt: string
    reason: string
    lines: readonly CreditedLine[]
    credit: Credit
  },
): CreditNoteContent {
  const { currency, seller, customer } = invoice.content
  const { id, number, issuedAt, reason, lines, credit } = given
  return {
    creditNoteId: id,
    number,
    invoiceId: invoice.id,
    invoiceNumber: invoice.number ?? '',
    issuedAt,
    currency,
    seller,
    customer,
    reason,
    lines: lines.map((line) => ({ ...line, amount: formatMoney(line.amount, currency) })),
    net: formatMoney(credit.net, currency),
    tax: formatMoney(credit.tax, currency),
    total: formatMoney(credit.net + credit.tax, currency),
  }
}

const nano = (text: string): bigint => parseAmount(text) ?? 0n

const wrong = (field: string, message: string): GatewayError =>
  new GatewayError('validation_failed', { fields: [{ field, message }], detail: `${field}: ${message}.` })

const tooMuch = (left: string, what: string): GatewayError =>
  new GatewayError('unprocessable', {
    detail: `The invoice has ${left} left to credit on ${what}; credit at most that.`,
  })
