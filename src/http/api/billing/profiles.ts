// Routes of billing details: who is billed for an account.
import { z } from 'zod'
import type { Invoices } from '../../../invoicing/invoices.ts'
import type { Ledger } from '../../../ledger/ledger.ts'
import { getVisibleAccount } from './scope.ts'
import { defineRoute, type Route } from '../route.ts'
import { idParams } from '../view.ts'

export interface BillingProfileDeps {
  readonly invoices: Invoices
  readonly ledger: Ledger
}

const path = '/api/v1/billing/accounts/{id}/billing'

const profileShape = z
  .strictObject({
    name: z.string().optional(),
    address: z.string().optional(),
    country: z.string().optional(),
    taxId: z.string().optional(),
    email: z.string().optional(),
  })
  .meta({ id: 'BillingDetails' })

const text = (max: number) => z.string().min(1).max(max).nullable()
const profilePatch = z
  .strictObject({
    name: text(200),
    address: text(500).describe('Lines separated by line feeds.'),
    country: z
      .string()
      .regex(/^[A-Z]{2}$/, 'must be an ISO 3166 code such as DE')
      .nullable()
      .describe('ISO 3166 alpha-2; taxes may depend on it.'),
    taxId: text(100),
    email: z.email('must be an e-mail address').max(254).nullable(),
  })
  .partial()
  .refine((patch) => Object.keys(patch).length > 0, 'names no field; send at least one to change')

/** `/billing/accounts/{id}/billing`. */
export function billingProfileRoutes({ invoices, ledger }: BillingProfileDeps): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path,
      summary: "Shows an account's billing details",
      permission: 'signed-in',
      params: idParams,
      response: profileShape,
      errors: [404],
      handler: async ({ principal, params }) => ({
        ...(await invoices.profile(getVisibleAccount(ledger, principal, params.id).id)),
      }),
    }),
    defineRoute({
      method: 'PATCH',
      path,
      summary: 'Changes who is billed for an account; null takes a member away',
      description:
        'Drafts take it over when they are refreshed or finalized; final invoices keep what they have.',
      permission: 'accounts:manage',
      params: idParams,
      body: profilePatch,
      response: profileShape,
      errors: [403, 404, 503],
      handler: async ({ principal, params, body }) => {
        const { id } = getVisibleAccount(ledger, principal, params.id)
        return { ...(await invoices.changeProfile(id, body)) }
      },
    }),
  ]
}
