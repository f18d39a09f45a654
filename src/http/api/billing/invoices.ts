// Routes of invoices: drafts, their way to paid or void, and each of them as JSON or on paper.
import { z } from 'zod'
import { GatewayError } from '../../../base/errors.ts'
import type { Principal } from '../../../identity/principal.ts'
import { findMonth, readPeriod } from '../../../invoicing/periods.ts'
import { invoiceStates, type FullInvoice } from '../../../invoicing/invoice.ts'
import type { Invoices } from '../../../invoicing/invoices.ts'
import type { Account } from '../../../ledger/account.ts'
import type { Ledger } from '../../../ledger/ledger.ts'
import { may } from '../../../policy/roles.ts'
import { formatOf, formatQuery, Press } from './invoice-paper.ts'
import { fullInvoiceShape, fullInvoiceView, invoiceShape, invoiceView } from './invoice-view.ts'
import { getVisibleAccount } from './scope.ts'
import { pageOf, pageQuery } from '../page.ts'
import { defineRoute, type Route } from '../route.ts'
import { idParams, pageById, readId } from '../view.ts'

export interface BillingInvoiceDeps {
  readonly invoices: Invoices
  readonly ledger: Ledger
  readonly adminUrl: () => string
}

const path = '/api/v1/billing/invoices'
const one = `${path}/{id}`
const manage = { permission: 'accounts:manage', params: idParams, errors: [403, 404, 409, 503] } as const
const note = z.string().min(1).max(200)

const invoiceInput = z
  .strictObject({
    accountId: z.string(),
    month: z.string().max(7).optional().describe('Such as 2026-10, in the time zone of the account.'),
    period: z
      .strictObject({ start: z.iso.datetime({ offset: true }), end: z.iso.datetime({ offset: true }) })
      .optional(),
    dueDays: z.int().min(0).max(365).optional().describe('Default: the setting invoices.dueDays.'),
  })
  .refine(({ month, period }) => (month === undefined) !== (period === undefined), {
    message: 'name either a month or a period',
    path: ['month'],
  })

/** `/billing/invoices` and what happens to one. */
export function billingInvoiceRoutes(deps: BillingInvoiceDeps): Route[] {
  return [listRoute(deps), createRoute(deps), showRoute(deps), ...draftRoutes(deps), ...endRoutes(deps)]
}

/** An invoice that the caller may see: all, or those of its own account that are no drafts; else `not_found`. */
export async function getVisibleInvoice(
  invoices: Invoices,
  principal: Principal,
  id: string,
): Promise<FullInvoice> {
  const invoice = await invoices.get(readId(id, 'inv'))
  const isOwn = invoice.accountId === principal.accountId && invoice.status !== 'draft'
  if (isOwn || may(principal, 'accounts:read-all')) return invoice
  throw new GatewayError('not_found')
}

async function view(invoices: Invoices, invoice: FullInvoice): Promise<z.input<typeof fullInvoiceShape>> {
  const [left, events] = await Promise.all([invoices.amountLeft(invoice), invoices.events(invoice.id)])
  return fullInvoiceView(invoice, { left, events })
}

function listRoute({ invoices }: BillingInvoiceDeps): Route {
  return defineRoute({
    method: 'GET',
    path,
    summary: 'Lists invoices, newest first',
    description: 'Final ones of your own account; auditors and administrators see all, and drafts.',
    permission: 'signed-in',
    query: z.strictObject({
      ...pageQuery,
      account: z.string().max(64).optional().describe('Id of the account that is billed.'),
      status: z.enum(invoiceStates).optional(),
    }),
    response: pageOf(invoiceShape),
    handler: ({ principal, query }) => {
      const { account, status } = query
      const all = may(principal, 'accounts:read-all')
      const isForeign = !all && account !== undefined && account !== principal.accountId
      const filter = {
        ...(all
          ? account !== undefined && { account }
          : { account: principal.accountId, withoutDrafts: true }),
        ...(status !== undefined && { status }),
      }
      return pageById(query, {
        fetch: ({ limit, id }) => (isForeign ? [] : invoices.list(filter, { limit, before: id })),
        show: invoiceView,
      })
    },
  })
}

function createRoute({ invoices, ledger }: BillingInvoiceDeps): Route {
  return defineRoute({
    method: 'POST',
    path,
    summary: 'Makes a draft of an invoice for a period of an account',
    description: 'The period may still be open. Periods of invoices that are not void do not overlap.',
    permission: 'accounts:manage',
    body: invoiceInput,
    response: fullInvoiceShape,
    status: 201,
    errors: [403, 404, 409, 422, 503],
    handler: async ({ principal, body, setHeader }) => {
      const account = getVisibleAccount(ledger, principal, body.accountId)
      const period = periodOf(body, account)
      const { dueDays } = body
      const options = { period, actor: principal.userId, ...(dueDays !== undefined && { dueDays }) }
      const draft = await invoices.create(account, options)
      setHeader('location', `${path}/${draft.id}`)
      return view(invoices, draft)
    },
  })
}

function periodOf({ month, period }: z.output<typeof invoiceInput>, account: Account) {
  if (period) return readPeriod(period.start, period.end)
  const found = findMonth(month ?? '', account.timeZone)
  if (found) return found
  throw new GatewayError('validation_failed', {
    fields: [{ field: '/month', message: 'must be a month such as 2026-10' }],
  })
}

function showRoute({ invoices, adminUrl }: BillingInvoiceDeps): Route {
  const press = new Press()
  return defineRoute({
    method: 'GET',
    path: one,
    summary: 'Shows an invoice with its lines, as JSON, HTML, PDF or CSV',
    description: 'A final invoice never changes; `format=data` gives exactly what its SHA-256 covers.',
    permission: 'signed-in',
    params: idParams,
    query: z.strictObject({ format: formatQuery }),
    response: fullInvoiceShape,
    errors: [404, 503],
    handler: async ({ principal, params, query, headers }) => {
      const invoice = await getVisibleInvoice(invoices, principal, params.id)
      const format = query.format ?? formatOf(headers.accept)
      return format ? press.print(invoice, format, adminUrl()) : view(invoices, invoice)
    },
  })
}

function draftRoutes({ invoices }: BillingInvoiceDeps): Route[] {
  return [
    defineRoute({
      ...manage,
      method: 'DELETE',
      path: one,
      summary: 'Deletes a draft',
      handler: async ({ principal, params }) => {
        await invoices.remove(readId(params.id, 'inv'), { actor: principal.userId })
        return undefined
      },
    }),
    defineRoute({
      ...manage,
      method: 'POST',
      path: `${one}/refresh`,
      summary: 'Computes a draft anew',
      response: fullInvoiceShape,
      handler: async ({ principal, params }) =>
        view(invoices, await invoices.refresh(readId(params.id, 'inv'), { actor: principal.userId })),
    }),
    defineRoute({
      ...manage,
      method: 'POST',
      path: `${one}/finalize`,
      summary: 'Computes a draft for the last time and makes it final, with a number',
      body: z
        .strictObject({
          expectedTotal: z.string().max(40).optional().describe('409 where the total is another by now.'),
        })
        .optional(),
      response: fullInvoiceShape,
      handler: async ({ principal, params, body }) => {
        const expectedTotal = body?.expectedTotal
        const options = { actor: principal.userId, ...(expectedTotal !== undefined && { expectedTotal }) }
        return view(invoices, await invoices.finalize(readId(params.id, 'inv'), options))
      },
    }),
  ]
}

function endRoutes({ invoices }: BillingInvoiceDeps): Route[] {
  return [
    defineRoute({
      ...manage,
      method: 'POST',
      path: `${one}/pay`,
      summary: 'Marks a final invoice as paid and books the payment',
      body: z.strictObject({ reference: note.describe('Of the payment.') }),
      response: fullInvoiceShape,
      handler: async ({ principal, params, body }) =>
        view(
          invoices,
          await invoices.pay(readId(params.id, 'inv'), { actor: principal.userId, note: body.reference }),
        ),
    }),
    defineRoute({
      ...manage,
      method: 'POST',
      path: `${one}/void`,
      summary: 'Takes a final invoice back: its number stays, its calls can be billed again',
      body: z.strictObject({ reason: note }),
      response: fullInvoiceShape,
      handler: async ({ principal, params, body }) =>
        view(
          invoices,
          await invoices.void(readId(params.id, 'inv'), { actor: principal.userId, note: body.reason }),
        ),
    }),
    defineRoute({
      ...manage,
      method: 'POST',
      path: `${one}/uncollectible`,
      summary: 'Gives a final invoice up; the debt stays on the account',
      body: z.strictObject({ reason: note }),
      response: fullInvoiceShape,
      handler: async ({ principal, params, body }) =>
        view(
          invoices,
          await invoices.giveUp(readId(params.id, 'inv'), { actor: principal.userId, note: body.reason }),
        ),
    }),
  ]
}
