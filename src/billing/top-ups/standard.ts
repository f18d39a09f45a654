// Payments as any system can tell of them, in a webhook that is signed as Standard Webhooks asks.
import { z } from 'zod'
import { parseAmount } from '../../base/money.ts'
import type { Payment } from './top-up.ts'

/** `id` is the payment's own: the same id is the same payment, for ever. Amounts are decimal strings. */
export const standardTopUp = z.strictObject({
  id: z.string().min(1).max(255),
  account: z.string().min(1).max(64),
  amount: z
    .string()
    .regex(/^\d{1,12}(?:\.\d{1,9})?$/, 'must be a decimal string such as "25.00", with at most 9 decimals'),
  currency: z.string().regex(/^[A-Z]{3}$/, 'must be an ISO 4217 code such as USD'),
  reason: z.string().min(1).max(500).optional(),
  expiresAt: z.iso.datetime({ offset: true }).optional(),
})

export function readStandard(input: z.output<typeof standardTopUp>): Payment {
  const { id, account, amount, currency, reason, expiresAt } = input
  return {
    reference: `standard:${id}`,
    event: id,
    accountId: account,
    amount: parseAmount(amount) ?? 0n,
    currency,
    ...(reason !== undefined && { reason }),
    ...(expiresAt !== undefined && { expiresAtMs: Date.parse(expiresAt) }),
  }
}
