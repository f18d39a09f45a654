// Invoices and credit notes as the API shows them.
import { z } from 'zod'
import { formatMoney } from '../../../invoicing/amounts.ts'
import { invoiceStates, type CreditNote, type FullInvoice, type Invoice } from '../../../invoicing/invoice.ts'
import type { InvoiceEvent } from '../../../invoicing/store.ts'
import { isoTime, timeShape } from '../view.ts'

const amount = z.string().describe("A decimal string with all decimals of the invoice's currency.")
const exact = z.string().describe('Unrounded: a decimal string with up to 9 decimals.')
const period = z.strictObject({ start: timeShape, end: timeShape.describe('The first instant after it.') })

const partyShape = z.strictObject({
  name: z.string().optional(),
  address: z.string().optional(),
  country: z.string().optional(),
  taxId: z.string().optional(),
  email: z.string().optional(),
})

const lineShape = z.strictObject({
  position: z.int(),
  kind: z
    .enum(['usage', 'late', 'summary'])
    .describe(
      'late: calls of an earlier period that its invoice did not have; summary: calls that are no longer kept one by one.',
    ),
  description: z.string(),
  detail: z.string().optional(),
  period,
  server: z.string().optional(),
  serverId: z.string().optional(),
  method: z.string().optional(),
  tool: z.string().optional(),
  ruleId: z.string().optional(),
  ruleVersion: z.int().optional(),
  quantity: z.int().describe('Calls that cost something.'),
  freeCalls: z.int().describe('Calls that cost nothing.'),
  unitPrice: z.string().optional().describe('Where the line is quantity × unit price.'),
  exactAmount: exact,
  amount,
  usage: z.string().optional().describe('Path and query of exactly the calls behind the line.'),
  alreadyBilled: z
    .strictObject({ calls: z.int(), exactAmount: exact })
    .optional()
    .describe('What earlier invoices billed of these calls; the line bills the rest.'),
})

const invoiceMembers = {
  id: z.string(),
  number: z.string().optional().describe('Given when it is finalized.'),
  accountId: z.string(),
  status: z.enum(invoiceStates),
  currency: z.string(),
  period,
  dueDays: z.int(),
  total: amount,
  amountDue: amount.describe('Total less what grants have paid, before credit notes.'),
  createdAt: timeShape,
  updatedAt: timeShape,
  finalizedAt: timeShape.optional(),
  dueAt: timeShape.optional(),
  closedAt: timeShape.optional().describe('When it was paid, voided or given up.'),
  reference: z.string().optional().describe("The payment's reference, or why it was voided or given up."),
}

export const invoiceShape = z.strictObject(invoiceMembers).meta({ id: 'Invoice' })

export const fullInvoiceShape = z
  .strictObject({
    ...invoiceMembers,
    amountLeft: amount.describe('Still to be paid: due, less credit notes; 0 once it is paid or void.'),
    timeZone: z.string(),
    seller: partyShape.extend({ payment: z.string().optional() }),
    customer: partyShape.extend({ accountId: z.string(), accountName: z.string() }),
    lines: z.array(lineShape).describe('Their amounts add up to the subtotal.'),
    exactTotal: exact,
    subtotal: amount,
    taxes: z.array(z.strictObject({ name: z.string(), rate: z.string(), base: amount, amount })),
    appliedCredit: amount.describe('What grants have paid.'),
    exactAppliedCredit: exact,
    contentSha256: z.string().optional().describe('Of what `format=data` gives, once it is final.'),
    events: z.array(
      z.strictObject({ kind: z.string(), actor: z.string(), time: timeShape, note: z.string().optional() }),
    ),
  })
  .meta({ id: 'FullInvoice' })

export const creditNoteShape = z
  .strictObject({
    id: z.string(),
    number: z.string(),
    invoiceId: z.string(),
    invoiceNumber: z.string(),
    currency: z.string(),
    reason: z.string(),
    lines: z.array(z.strictObject({ position: z.int(), description: z.string(), amount })),
    net: amount,
    tax: amount,
    total: amount,
    offDue: amount.describe('What less is to be paid of the invoice.'),
    granted: amount.describe('What became credit of the account.'),
    contentSha256: z.string(),
    createdAt: timeShape,
  })
  .meta({ id: 'CreditNote' })

export function invoiceView(invoice: Invoice): z.input<typeof invoiceShape> {
  const { id, number, accountId, status, currency, dueDays, reference } = invoice
  const { createdAtMs, updatedAtMs, finalizedAtMs, dueAtMs, closedAtMs } = invoice
  return {
    id,
    accountId,
    status,
    currency,
    dueDays,
    ...(number !== undefined && { number }),
    period: { start: isoTime(invoice.periodStartMs), end: isoTime(invoice.periodEndMs) },
    total: formatMoney(invoice.total, currency),
    amountDue: formatMoney(invoice.amountDue, currency),
    createdAt: isoTime(createdAtMs),
    updatedAt: isoTime(updatedAtMs),
    ...(finalizedAtMs !== undefined && { finalizedAt: isoTime(finalizedAtMs) }),
    ...(dueAtMs !== undefined && { dueAt: isoTime(dueAtMs) }),
    ...(closedAtMs !== undefined && { closedAt: isoTime(closedAtMs) }),
    ...(reference !== undefined && { reference }),
  }
}

export function fullInvoiceView(
  invoice: FullInvoice,
  { left, events }: { left: bigint; events: readonly InvoiceEvent[] },
): z.input<typeof fullInvoiceShape> {
  const { content, contentHash, currency } = invoice
  const { timeZone, seller, customer, lines, taxes } = content
  const { exactTotal, subtotal, appliedCredit, exactAppliedCredit } = content
  return {
    ...invoiceView(invoice),
    amountLeft: formatMoney(left, currency),
    timeZone,
    seller: { ...seller },
    customer: { ...customer },
    exactTotal,
    subtotal,
    appliedCredit,
    exactAppliedCredit,
    lines: lines.map((line) => ({ ...line })),
    taxes: taxes.map((tax) => ({ ...tax })),
    ...(contentHash !== undefined && { contentSha256: contentHash }),
    events: events.map(({ kind, actor, atMs, note }) => ({
      kind,
      actor,
      time: isoTime(atMs),
      ...(note !== undefined && { note }),
    })),
  }
}

export function creditNoteView(note: CreditNote): z.input<typeof creditNoteShape> {
  const { id, number, invoiceId, content, contentHash, createdAtMs } = note
  const { invoiceNumber, currency, reason, lines, net, tax, total } = content
  return {
    id,
    number,
    invoiceId,
    invoiceNumber,
    currency,
    reason,
    net,
    tax,
    total,
    lines: lines.map((line) => ({ ...line })),
    offDue: formatMoney(note.net + note.tax - note.granted, currency),
    granted: formatMoney(note.granted, currency),
    contentSha256: contentHash,
    createdAt: isoTime(createdAtMs),
  }
}
