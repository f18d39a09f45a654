// What a request says of a budget: its fields with their limits, and what they mean.
import { z } from 'zod'
import { isTimeZone } from '../../../base/zone.ts'
import { isCurrency } from '../../../pricing/currency.ts'
import { scopeKinds, type ScopeKind, type Threshold } from '../../../ledger/budgets/budget.ts'
import { inOrder, readThreshold } from '../../../ledger/budgets/threshold.ts'
import { amountInput } from './amount.ts'

const subject = z.string().min(1).max(200)

const scopeInput = z
  .strictObject({
    account: subject.describe('An id or a name. Calls of accounts below it count too.'),
    user: subject.describe('An id or a name; * counts each user on its own.'),
    key: subject.describe('An id, or the name of a key of yours; * counts each key on its own.'),
    session: subject.describe('An id; * counts each session on its own.'),
    server: subject.describe('An id or a name; * counts each server on its own.'),
  })
  .partial()
  .refine((scope) => Object.keys(scope).length === 1, `names exactly one of ${scopeKinds.join(', ')}`)

export const windowInput = z.union([
  z.enum(['day', 'week', 'month', 'lifetime']),
  z.strictObject({ rollingSeconds: z.int().min(60).max(2_678_400).describe('60 to 2678400 (31 days).') }),
])

export const budgetMode = z
  .enum(['hard', 'soft', 'shadow'])
  .describe('hard refuses calls; soft and shadow only raise events.')

const thresholdText = 'must be a decimal above 0 and at most 1, such as "0.8"'

/** A decimal string or a number; 0.1 + 0.2 is no decimal that anybody meant, and is refused with its digits. */
const thresholdsInput = z
  .array(
    z
      .union([z.string(), z.number()], { error: thresholdText })
      .refine((value) => readThreshold(String(value)) !== undefined, thresholdText),
  )
  .max(10)
  .describe('Parts of the amount at which an event is raised, once in each window.')

const name = z.string().trim().min(1).max(100)

export const budgetInput = z
  .strictObject({
    name: name.optional(),
    scope: scopeInput,
    amount: amountInput,
    unit: z
      .enum(['money', 'calls'])
      .default('money')
      .describe('What it bounds: what calls cost, or how many run. Then `amount` is a whole number.'),
    currency: z
      .string()
      .refine(isCurrency, 'must be an ISO 4217 code in capitals such as EUR')
      .optional()
      .describe("The account's where there is one, else the configured one. Only calls in it count."),
    window: windowInput,
    timeZone: z
      .string()
      .refine(isTimeZone, 'must be an IANA time zone such as Europe/Berlin')
      .optional()
      .describe("Of the window's days; the account's where there is one, else the configured one."),
    mode: budgetMode.default('hard'),
    thresholds: thresholdsInput.default(['0.5', '0.8', '1']),
  })
  .check(({ value: { unit, amount, currency }, issues }) => {
    if (unit === 'money') return
    if (currency !== undefined)
      issues.push({ code: 'custom', path: ['currency'], message: 'is for budgets in money', input: currency })
    if (!/^\d+$/.test(amount))
      issues.push({
        code: 'custom',
        path: ['amount'],
        message: 'must be a whole number of calls',
        input: amount,
      })
  })

export const budgetPatch = z
  .strictObject({
    name,
    amount: amountInput,
    mode: budgetMode,
    thresholds: thresholdsInput,
  })
  .partial()
  .refine((patch) => Object.keys(patch).length > 0, 'names no field; send at least one to change')

export const increaseInput = z.strictObject({
  amount: amountInput,
  until: z.iso.datetime({ offset: true }).describe('When it ends.'),
})

/** The budget of a key that is being made. */
export const keyBudgetInput = z.strictObject({
  amount: amountInput.describe('In the currency of your account.'),
  window: windowInput,
  mode: budgetMode.default('hard'),
})

export const readThresholds = (values: readonly (string | number)[]): Threshold[] =>
  inOrder(values.flatMap((value) => readThreshold(String(value)) ?? []))

/** The one scope that was named. */
export function readScope(scope: z.output<typeof scopeInput>): { kind: ScopeKind; text: string } {
  for (const kind of scopeKinds) {
    const text = scope[kind]
    if (text !== undefined) return { kind, text }
  }
  throw new Error('the schema lets exactly one scope pass')
}
