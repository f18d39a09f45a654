// Routes of grants: credit put on an account, what is left of it, and taking it back.
import { z } from 'zod'
import type { Clock } from '../../../base/clock.ts'
import { GatewayError } from '../../../base/errors.ts'
import { formatAmount } from '../../../base/money.ts'
import type { GrantView } from '../../../ledger/account.ts'
import type { Ledger } from '../../../ledger/ledger.ts'
import { amountInput, readAmount } from './amount.ts'
import { getVisibleAccount } from './scope.ts'
import { pageOf, pageQuery } from '../page.ts'
import { defineRoute, type Route } from '../route.ts'
import { idParams, isoTime, pageById, readFuture, readId, timeShape } from '../view.ts'

export interface BillingGrantDeps {
  readonly ledger: Ledger
  readonly clock: Clock
}

const amount = z.string().describe('A decimal string in the currency of the account.')

const grantInput = z.strictObject({
  amount: amountInput,
  priority: z.int().min(-1_000_000).max(1_000_000).default(0).describe('Lower burns first.'),
  startsAt: z.iso.datetime({ offset: true }).optional().describe('When it can be spent first.'),
  expiresAt: z.iso.datetime({ offset: true }).optional(),
  reason: z.string().min(1).max(500).optional(),
})

const grantShape = z
  .strictObject({
    id: z.string(),
    accountId: z.string(),
    amount,
    currency: z.string(),
    priority: z.int(),
    startsAt: timeShape.optional(),
    expiresAt: timeShape.optional(),
    voidedAt: timeShape.optional(),
    state: z.enum(['scheduled', 'active', 'exhausted', 'expired', 'voided']),
    remaining: amount.describe('Of an expired or voided grant: what running calls still hold.'),
    reason: z.string().optional(),
    createdBy: z.string(),
    createdAt: timeShape,
  })
  .meta({ id: 'Grant' })

function grantView({ grant, remaining, state }: GrantView, currency: string): z.input<typeof grantShape> {
  const { id, accountId, priority, startsAtMs, expiresAtMs, voidedAtMs, reason, createdBy, createdAtMs } =
    grant
  return {
    id,
    accountId,
    priority,
    createdBy,
    currency,
    state,
    remaining: formatAmount(remaining),
    amount: formatAmount(grant.amount),
    createdAt: isoTime(createdAtMs),
    ...(startsAtMs !== undefined && { startsAt: isoTime(startsAtMs) }),
    ...(expiresAtMs !== undefined && { expiresAt: isoTime(expiresAtMs) }),
    ...(voidedAtMs !== undefined && { voidedAt: isoTime(voidedAtMs) }),
    ...(reason !== undefined && { reason }),
  }
}

const grants = '/api/v1/billing/accounts/{id}/grants'

/** `/billing/accounts/{id}/grants` and below. */
export function billingGrantRoutes({ ledger, clock }: BillingGrantDeps): Route[] {
  return [
    defineRoute({
      method: 'POST',
      path: grants,
      summary: 'Puts credit on an account',
      description:
        'Grants burn by priority, then the earliest expiry, then the oldest. Send an Idempotency-Key: it lasts as long as the grant.',
      permission: 'accounts:manage',
      params: idParams,
      body: grantInput,
      response: grantShape,
      status: 201,
      lasting: true,
      errors: [403, 404, 503],
      handler: async ({ principal, params, body }) => {
        const { id, currency } = getVisibleAccount(ledger, principal, params.id)
        const { priority, reason } = body
        const times = readTimes(body, clock.now())
        const input = { amount: readAmount(body.amount), priority, createdBy: principal.userId, ...times }
        const made = await ledger.grant(id, { ...input, ...(reason !== undefined && { reason }) })
        return grantView(made, currency)
      },
    }),
    defineRoute({
      method: 'GET',
      path: grants,
      summary: "Lists an account's grants with what is left of each, oldest first",
      permission: 'signed-in',
      params: idParams,
      query: z.strictObject(pageQuery),
      response: pageOf(grantShape),
      errors: [404],
      handler: async ({ principal, params, query }) => {
        const account = getVisibleAccount(ledger, principal, params.id)
        const all = (await ledger.listGrants(account.id)).map((view) => ({ id: view.grant.id, view }))
        return pageById(query, {
          fetch: ({ limit, id }) => all.filter((row) => id === undefined || row.id > id).slice(0, limit),
          show: ({ view }) => grantView(view, account.currency),
        })
      },
    }),
    defineRoute({
      method: 'POST',
      path: `${grants}/{grantId}/void`,
      summary: 'Takes a grant back: what is left of it, less what running calls hold, leaves at once',
      permission: 'accounts:manage',
      params: z.strictObject({ id: z.string(), grantId: z.string() }),
      response: grantShape,
      errors: [403, 404, 503],
      handler: async ({ principal, params }) => {
        const { id, currency } = getVisibleAccount(ledger, principal, params.id)
        return grantView(await ledger.voidGrant(id, readId(params.grantId, 'grt')), currency)
      },
    }),
  ]
}

/** A start may lie in the past; an end lies in the future, and behind the start. */
function readTimes(body: z.output<typeof grantInput>, nowMs: number) {
  const startsAtMs = body.startsAt === undefined ? undefined : Date.parse(body.startsAt)
  const expiresAtMs =
    body.expiresAt === undefined ? undefined : readFuture(body.expiresAt, { field: '/expiresAt', nowMs })
  if (startsAtMs !== undefined && expiresAtMs !== undefined && expiresAtMs <= startsAtMs)
    throw new GatewayError('validation_failed', {
      fields: [{ field: '/expiresAt', message: 'must be after startsAt' }],
    })
  return {
    ...(startsAtMs !== undefined && { startsAtMs }),
    ...(expiresAtMs !== undefined && { expiresAtMs }),
  }
}
