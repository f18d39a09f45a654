// Routes of credit notes: what takes an invoice back in part.
import { z } from 'zod'
import { GatewayError } from '../../../base/errors.ts'
import { parseAmount } from '../../../base/money.ts'
import { roundAmount } from '../../../invoicing/allocation.ts'
import type { CreditInput, CreditNotes } from '../../../invoicing/credit-notes.ts'
import type { Invoices } from '../../../invoicing/invoices.ts'
import { creditNoteShape, creditNoteView } from './invoice-view.ts'
import { getVisibleInvoice } from './invoices.ts'
import { defineRoute, type Route } from '../route.ts'
import { idParams, readId } from '../view.ts'

export interface BillingCreditNoteDeps {
  readonly invoices: Invoices
  readonly creditNotes: CreditNotes
}

const path = '/api/v1/billing/invoices/{id}/credit-notes'
const amountText = 'must be a decimal string above 0 such as "12.50"'
const amount = z.string({ error: amountText }).regex(/^\d{1,12}(?:\.\d{1,9})?$/, amountText)

const creditNoteInput = z
  .strictObject({
    amount: amount.optional().describe('A total, tax included.'),
    lines: z
      .array(
        z.strictObject({
          position: z.int().min(1),
          amount: amount.optional().describe('Net; all that is left of the line, where it is absent.'),
        }),
      )
      .min(1)
      .max(1000)
      .optional(),
    reason: z.string().min(1).max(500),
  })
  .refine((body) => (body.amount === undefined) !== (body.lines === undefined), {
    message: 'name either an amount or lines',
    path: ['amount'],
  })

/** `/billing/invoices/{id}/credit-notes`. */
export function billingCreditNoteRoutes({ invoices, creditNotes }: BillingCreditNoteDeps): Route[] {
  return [
    defineRoute({
      method: 'POST',
      path,
      summary: 'Credits a part of a final invoice, or all of it',
      description:
        'It first lowers what is due; the rest, and all of it on a paid invoice, becomes credit of the account. Send an Idempotency-Key.',
      permission: 'accounts:manage',
      params: idParams,
      body: creditNoteInput,
      response: creditNoteShape,
      status: 201,
      errors: [403, 404, 409, 422, 503],
      handler: async ({ principal, params, body }) => {
        const { id, currency } = await invoices.get(readId(params.id, 'inv'))
        const options = { actor: principal.userId, reason: body.reason }
        return creditNoteView(await creditNotes.create(id, readCredit(body, currency), options))
      },
    }),
    defineRoute({
      method: 'GET',
      path,
      summary: "Lists an invoice's credit notes, oldest first",
      permission: 'signed-in',
      params: idParams,
      response: z.strictObject({ items: z.array(creditNoteShape), nextCursor: z.null() }),
      errors: [404],
      handler: async ({ principal, params }) => {
        const { id } = await getVisibleInvoice(invoices, principal, params.id)
        return { items: (await creditNotes.list(id)).map(creditNoteView), nextCursor: null }
      },
    }),
  ]
}

function readCredit({ amount, lines }: z.output<typeof creditNoteInput>, currency: string): CreditInput {
  if (lines === undefined) return { amount: readMoney(amount ?? '0', currency, '/amount') }
  return {
    lines: lines.map((line, index) => ({
      position: line.position,
      ...(line.amount !== undefined && {
        amount: readMoney(line.amount, currency, `/lines/${index}/amount`),
      }),
    })),
  }
}

/** An amount that can be paid: above 0 and with no more decimals than the currency has. */
function readMoney(text: string, currency: string, field: string): bigint {
  const nano = parseAmount(text) ?? 0n
  if (nano > 0n && roundAmount(nano, currency) === nano) return nano
  const message = nano > 0n ? `has more decimals than ${currency}` : 'must be above 0'
  throw new GatewayError('validation_failed', { fields: [{ field, message }] })
}
