// The strict shapes of what a price counts over a period: tiers, packages and percentages.
import { z } from 'zod'
import { parseDecimal, rateScale } from '../base/money.ts'
import { counterSubjects, pricePeriods, units } from './price.ts'

const decimalText =
  'must be a decimal string such as "0.001", not negative, below 10^9, with at most 12 decimals'

export const rateInput = z.string({ error: decimalText }).regex(/^\d{1,9}(?:\.\d{1,12})?$/, decimalText)

const boundText = 'must be a decimal string above 0 such as "1000", below 10^15, with at most 12 decimals'

const boundInput = z
  .string({ error: boundText })
  .regex(/^\d{1,15}(?:\.\d{1,12})?$/, boundText)
  .refine((text) => parseDecimal(text, rateScale) !== 0n, boundText)

const counting = {
  period: z.enum(pricePeriods).default('month'),
  per: z.enum(counterSubjects).default('account'),
}

const maxSteps = 100

const stepInput = z.strictObject({
  upTo: boundInput.nullable(),
  unitPrice: rateInput,
  flatPrice: rateInput.optional(),
})

export const tiersInput = z
  .strictObject({
    mode: z.enum(['graduated', 'volume']),
    unit: z.enum(units),
    ...counting,
    steps: z.array(stepInput).min(1).max(maxSteps).readonly(),
  })
  .superRefine(({ steps }, context) => {
    const fault = (index: number, message: string): void =>
      context.addIssue({ code: 'custom', path: ['steps', index, 'upTo'], message })
    for (const [index, { upTo }] of steps.entries()) {
      const isLast = index === steps.length - 1
      if (isLast && upTo !== null) fault(index, 'must be null in the last step, which has no end')
      if (!isLast && upTo === null) fault(index, 'may be null in the last step alone')
      const before = steps[index - 1]?.upTo
      if (upTo !== null && before && !isAbove(upTo, before))
        fault(index, `must be above ${before}, where the step before ends`)
    }
  })

export const packageInput = z.strictObject({
  unit: z.enum(units),
  size: boundInput,
  price: rateInput,
  free: rateInput.optional(),
  ...counting,
})

const shareText =
  'must be a decimal string from "0" to "1000" such as "0.2" for 20 %, with at most 12 decimals'

export const percentageInput = z.strictObject({
  rate: z
    .string({ error: shareText })
    .regex(/^\d{1,4}(?:\.\d{1,12})?$/, shareText)
    .refine((text) => !isAbove(text, '1000'), shareText),
  of: z.literal('upstreamCost'),
  fixed: rateInput.optional(),
  free: rateInput.optional(),
  ...counting,
})

function isAbove(high: string, low: string): boolean {
  const [more, less] = [parseDecimal(high, rateScale), parseDecimal(low, rateScale)]
  return more !== undefined && less !== undefined && more > less
}
