// An invoice as CSV (RFC 4180): a row for each line, then its totals.
import type { FullInvoice, InvoiceLine } from '../invoice.ts'

const columns = [
  'invoice',
  'number',
  'position',
  'kind',
  'description',
  'detail',
  'periodStart',
  'periodEnd',
  'server',
  'method',
  'tool',
  'ruleId',
  'ruleVersion',
  'quantity',
  'freeCalls',
  'unitPrice',
  'exactAmount',
  'amount',
  'currency',
] as const

type Row = Partial<Record<(typeof columns)[number], string | number>>

export function renderCsv({ content }: FullInvoice): string {
  const { invoiceId, number, currency } = content
  const common = { invoice: invoiceId, number: number ?? '', currency }
  const total = (kind: string, description: string, amount: string): Row => ({ kind, description, amount })
  const rows: Row[] = [
    ...content.lines.map(rowOf),
    { ...total('subtotal', 'Subtotal', content.subtotal), exactAmount: content.exactTotal },
    ...content.taxes.map(({ name, rate, amount }) => ({ ...total('tax', name, amount), detail: rate })),
    total('total', 'Total', content.total),
    {
      ...total('applied-credit', 'Paid from credit', content.appliedCredit),
      exactAmount: content.exactAppliedCredit,
    },
    total('amount-due', 'Amount due', content.amountDue),
  ]
  const texts = rows.map((row) => columns.map((name) => cell({ ...common, ...row }[name])).join(','))
  return [columns.join(','), ...texts, ''].join('\r\n')
}

function rowOf(line: InvoiceLine): Row {
  const { period, server, method, tool, ruleId, ruleVersion } = line
  const { position, kind, description, detail, quantity, freeCalls, unitPrice, exactAmount, amount } = line
  return {
    position,
    kind,
    description,
    quantity,
    freeCalls,
    exactAmount,
    amount,
    periodStart: period.start,
    periodEnd: period.end,
    detail: detail ?? '',
    server: server ?? '',
    method: method ?? '',
    tool: tool ?? '',
    ruleId: ruleId ?? '',
    ruleVersion: ruleVersion ?? '',
    unitPrice: unitPrice ?? '',
  }
}

/** A text that a spreadsheet would take for a formula gets an apostrophe; numbers stay as they are. */
function cell(value: string | number | undefined): string {
  const text = String(value ?? '')
  const isNumber = /^-?\d+(\.\d+)?$/.test(text)
  const safe = !isNumber && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
