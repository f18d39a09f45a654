// Amounts of money in requests: decimal strings above 0.
import { z } from 'zod'
import { formatAmount, parseAmount } from '../../../base/money.ts'

/** In nano-units; the sum of very many such amounts still fits a column. */
const maxAmount = 10n ** 17n
const amountPattern = /^\d{1,12}(?:\.\d{1,9})?$/
const amountText = `must be a decimal string above 0 such as "25.00", at most ${formatAmount(maxAmount)}, with at most 9 decimals`

export const amountInput = z
  .string({ error: amountText })
  .regex(amountPattern, amountText)
  .refine((text) => {
    const nano = amountPattern.test(text) ? (parseAmount(text) ?? 0n) : 1n
    return nano > 0n && nano <= maxAmount
  }, amountText)

/** What `amountInput` let pass, in nano-units. */
export const readAmount = (text: string): bigint => parseAmount(text) ?? 0n
