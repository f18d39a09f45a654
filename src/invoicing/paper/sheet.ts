// An invoice as a reader sees it, whatever the medium: parties, facts, rows and totals as texts.
import { localDate } from '../../base/zone.ts'
import type { FullInvoice, InvoiceContent, Party } from '../invoice.ts'
import { periodWords } from '../lines.ts'

export interface SheetRow {
  readonly description: string
  readonly detail: string
  readonly quantity: string
  readonly unitPrice: string
  readonly amount: string
  /** Path and query of the calls behind the row. */
  readonly usage?: string
}

export interface SheetTotal {
  readonly label: string
  readonly amount: string
  readonly isStrong: boolean
}

export interface Sheet {
  readonly title: string
  /** What a reader must know before anything else: a draft, void, paid. */
  readonly banner?: string
  readonly seller: readonly string[]
  readonly customer: readonly string[]
  readonly facts: readonly (readonly [label: string, value: string])[]
  readonly rows: readonly SheetRow[]
  readonly totals: readonly SheetTotal[]
  readonly notes: readonly string[]
}

export function sheetOf(invoice: FullInvoice): Sheet {
  const { content } = invoice
  const day = (iso: string): string => localDate(Date.parse(iso), content.timeZone)
  const period = { startMs: Date.parse(content.period.start), endMs: Date.parse(content.period.end) }
  const banner = bannerOf(invoice)
  const { number, issuedAt, dueAt, customer } = content
  const { accountId, accountName, ...party } = customer
  return {
    title: number === undefined ? 'Invoice (draft)' : `Invoice ${number}`,
    ...(banner !== undefined && { banner }),
    seller: partyLines(content.seller),
    customer: partyLines({ ...party, name: party.name ?? accountName }),
    facts: [
      ...(number === undefined ? [] : [['Number', number] as const]),
      ...(issuedAt === undefined ? [] : [['Issued', day(issuedAt)] as const]),
      ...(dueAt === undefined ? [] : [['Due', day(dueAt)] as const]),
      ['Period', `${periodWords(period, content.timeZone)} (${content.timeZone})`],
      ['Account', accountId],
      ['Currency', content.currency],
    ],
    rows: content.lines.map((line) => ({
      description: line.description,
      detail: [line.detail, alreadyBilled(line.alreadyBilled, content.currency)].filter(Boolean).join('; '),
      quantity: String(line.quantity),
      unitPrice: line.unitPrice ?? '',
      amount: line.amount,
      ...(line.usage !== undefined && { usage: line.usage }),
    })),
    totals: totalsOf(content),
    notes: notesOf(invoice),
  }
}

const alreadyBilled = (
  billed: { readonly calls: number; readonly exactAmount: string } | undefined,
  currency: string,
): string | undefined =>
  billed && `${billed.calls} calls for ${billed.exactAmount} ${currency} were billed before`

function totalsOf(content: InvoiceContent): SheetTotal[] {
  const { currency, subtotal, taxes, total, appliedCredit, amountDue } = content
  const row = (label: string, amount: string, isStrong = false): SheetTotal => ({
    label,
    amount: `${amount} ${currency}`,
    isStrong,
  })
  const hasCredit = /[1-9]/.test(appliedCredit)
  return [
    row('Subtotal', subtotal),
    ...taxes.map(({ name, rate, amount }) => row(`${name} (${percent(rate)} of ${subtotal})`, amount)),
    row('Total', total, true),
    ...(hasCredit ? [row('Paid from credit', `-${appliedCredit}`)] : []),
    row('Amount due', amountDue, true),
  ]
}

function notesOf({ content, contentHash }: FullInvoice): string[] {
  const { payment } = content.seller
  const lines = content.lines.length === 0 ? ['There were no calls to bill in this period.'] : []
  const exact = `The exact total is ${content.exactTotal} ${content.currency}; it was rounded once, and the lines so that they add up.`
  return [
    ...(payment === undefined ? [] : payment.split('\n')),
    ...lines,
    exact,
    ...(contentHash === undefined ? [] : [`SHA-256 of the invoice's data (format=data): ${contentHash}`]),
  ]
}

function bannerOf({ status, content, closedAtMs, reference }: FullInvoice): string | undefined {
  const on = closedAtMs === undefined ? '' : ` on ${localDate(closedAtMs, content.timeZone)}`
  if (status === 'draft') return 'Draft: not an invoice yet, nothing is to be paid'
  if (status === 'void') return `Void${on}: nothing is to be paid`
  if (status === 'uncollectible') return `Given up${on}`
  return status === 'paid' ? `Paid${on}${reference === undefined ? '' : `, ${reference}`}` : undefined
}

function partyLines({ name, address, country, taxId, email }: Party): string[] {
  const lines = [name, ...(address ?? '').split('\n'), country, taxId && `Tax id ${taxId}`, email]
  return lines.filter((line) => line !== undefined && line.trim() !== '') as string[]
}

/** "0.19" as "19 %". */
function percent(rate: string): string {
  const [whole = '0', fraction = ''] = rate.split('.')
  const digits = `${whole}${fraction.padEnd(2, '0').slice(0, 2)}`.replace(/^0+(?=\d)/, '')
  const rest = fraction.slice(2).replace(/0+$/, '')
  return `${digits}${rest === '' ? '' : `.${rest}`} %`
}
