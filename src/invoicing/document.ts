// The document of an invoice: composed lines, parties, taxes and totals as they are shown and kept.
import { createHash } from 'node:crypto'
import { formatAmount } from '../base/money.ts'
import type { Period } from '../base/zone.ts'
import type { Account } from '../ledger/account.ts'
import { formatMoney, splitByPayer, taxesOf, type TaxSetting } from './amounts.ts'
import type { Composition } from './composer.ts'
import type { InvoiceContent, Seller } from './invoice.ts'
import { makeLines, type LineContext } from './lines.ts'
import type { Profile } from './profile.ts'

export interface DocumentParts {
  readonly invoiceId: string
  readonly account: Account
  readonly profile: Profile
  readonly period: Period
  readonly composition: Composition
  readonly seller: Seller
  readonly taxes: readonly TaxSetting[]
  readonly findRule: LineContext['findRule']
}

/** What is on a final document and on no draft. */
export interface Issue {
  readonly number: string
  readonly issuedAtMs: number
  readonly dueAtMs: number
}

/** The amounts beside the document; nano-units. */
export interface Made {
  readonly content: InvoiceContent
  readonly total: bigint
  readonly amountDue: bigint
}

/** Makes the document; final with an `issue`, else a draft. */
export function makeDocument(parts: DocumentParts, issue?: Issue): Made {
  const { account, profile, period, composition, seller } = parts
  const { currency, timeZone } = account
  const context = { accountId: account.id, currency, timeZone, findRule: parts.findRule }
  const sum = (name: 'amount' | 'applied'): bigint =>
    composition.periods.reduce((total, each) => total + each[name], 0n)
  // Where repricing gave back more than is owed, grants have paid all there is.
  const exactApplied = smaller(sum('applied'), sum('amount') > 0n ? sum('amount') : 0n)
  const { subtotal, applied, owed } = splitByPayer(sum('amount'), exactApplied, currency)
  const taxes = taxesOf(subtotal, currency, { settings: parts.taxes, country: profile.country })
  const total = subtotal + taxes.sum
  const amountDue = owed + taxes.sum
  const content = {
    invoiceId: parts.invoiceId,
    ...(issue && { number: issue.number, issuedAt: iso(issue.issuedAtMs), dueAt: iso(issue.dueAtMs) }),
    currency,
    period: { start: iso(period.startMs), end: iso(period.endMs) },
    timeZone,
    seller,
    customer: { ...profile, accountId: account.id, accountName: account.name },
    lines: makeLines(composition.drafts, context),
    exactTotal: formatAmount(sum('amount')),
    subtotal: formatMoney(subtotal, currency),
    taxes: taxes.lines,
    total: formatMoney(total, currency),
    appliedCredit: formatMoney(applied, currency),
    exactAppliedCredit: formatAmount(exactApplied),
    amountDue: formatMoney(amountDue, currency),
  }
  return { content, total, amountDue }
}

/** SHA-256 of a document's text, in hex. */
export const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex')

const smaller = (a: bigint, b: bigint): bigint => (a < b ? a : b)

const iso = (ms: number): string => new Date(ms).toISOString()
