// The route of corrections: an account's balance is put right by new transfers, and nothing written is changed.
import { z } from 'zod'
import { GatewayError } from '../../../base/errors.ts'
import { formatCallId, parseCallId } from '../../../base/id.ts'
import { formatAmount, parseAmount } from '../../../base/money.ts'
import type { Adjustment } from '../../../ledger/account.ts'
import type { Ledger } from '../../../ledger/ledger.ts'
import type { UsageQueries } from '../../../usage/queries.ts'
import { getVisibleAccount } from './scope.ts'
import { defineRoute, type Route } from '../route.ts'
import { idParams, isoTime, timeShape } from '../view.ts'

export interface BillingAdjustmentDeps {
  readonly ledger: Ledger
  readonly queries: UsageQueries
}

/** In nano-units, as for a grant. */
const maxAdjustment = 10n ** 17n
const amountPattern = /^-?\d{1,12}(?:\.\d{1,9})?$/
const amountText = `must be a decimal string other than 0 such as "2.50" or "-0.01", at most ${formatAmount(maxAdjustment)} either way, with at most 9 decimals`

const adjustmentInput = z.strictObject({
  amount: z
    .string({ error: amountText })
    .regex(amountPattern, amountText)
    .refine((text) => {
      const nano = amountPattern.test(text) ? (parseAmount(text) ?? 0n) : 1n
      return nano !== 0n && nano <= maxAdjustment && nano >= -maxAdjustment
    }, amountText)
    .describe('Above 0 the balance rises, below 0 it falls.'),
  reason: z.string().min(1).max(500),
  record: z.string().max(64).optional().describe('The usage record that is put right, one of this account.'),
})

const adjustmentShape = z
  .strictObject({
    id: z.string(),
    accountId: z.string(),
    amount: z.string(),
    currency: z.string(),
    reason: z.string(),
    record: z.string().optional(),
    createdBy: z.string(),
    createdAt: timeShape,
    transfers: z.array(z.string()).describe('Ids of its transfers in the ledger of the account.'),
    balance: z.string().describe('What the account has now.'),
  })
  .meta({ id: 'Adjustment' })

/** `/billing/accounts/{id}/adjustments`. */
export function billingAdjustmentRoutes({ ledger, queries }: BillingAdjustmentDeps): Route[] {
  return [
    defineRoute({
      method: 'POST',
      path: '/api/v1/billing/accounts/{id}/adjustments',
      summary: "Corrects an account's balance by new transfers, with the reason",
      description:
        'What is taken from a prepaid account must be there; grants burn as for a call. Send an Idempotency-Key: it lasts as long as the adjustment.',
      permission: 'accounts:manage',
      params: idParams,
      body: adjustmentInput,
      response: adjustmentShape,
      status: 201,
      lasting: true,
      errors: [403, 404, 422, 503],
      handler: async ({ principal, params, body }) => {
        const { id, currency } = getVisibleAccount(ledger, principal, params.id)
        const record = await readRecord(queries, id, body.record)
        const adjustment = await ledger.adjust(id, {
          amount: parseAmount(body.amount) ?? 0n,
          reason: body.reason,
          createdBy: principal.userId,
          ...(record !== undefined && { record }),
        })
        return adjustmentView(adjustment, currency, ledger.totals(id).balance)
      },
    }),
  ]
}

function adjustmentView(
  { id, accountId, amount, reason, record, createdBy, atMs, transfers }: Adjustment,
  currency: string,
  balance: bigint,
): z.input<typeof adjustmentShape> {
  return {
    id,
    accountId,
    amount: formatAmount(amount),
    currency,
    reason,
    createdBy,
    createdAt: isoTime(atMs),
    transfers: transfers.map((transfer) => transfer.id.toString()),
    balance: formatAmount(balance),
    ...(record !== undefined && { record: formatCallId(record) }),
  }
}

async function readRecord(
  queries: UsageQueries,
  accountId: string,
  text: string | undefined,
): Promise<bigint | undefined> {
  if (text === undefined) return undefined
  const id = parseCallId(text)
  const record = id === undefined ? undefined : await queries.findRecord(id)
  if (record?.accountId === accountId) return id
  throw new GatewayError('validation_failed', {
    fields: [{ field: '/record', message: 'is not a record of a call that this account paid' }],
  })
}
