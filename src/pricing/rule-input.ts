// What a rule looks like from outside: strict schemas of its input, and the object that the API answers with.
import { z } from 'zod'
import { GatewayError, type FieldError } from '../base/errors.ts'
import { parseDecimal, rateScale } from '../base/money.ts'
import { isCurrency } from './currency.ts'
import { globProblem, maxGlobLength } from '../base/glob.ts'
import { packageInput, percentageInput, rateInput, tiersInput } from './price-input.ts'
import { outcomes, type Match, type Outcome, type Price, type RuleVersion } from './price.ts'
import { quantityPattern, quantityText } from './quote.ts'

const globInput = z
  .string()
  .max(maxGlobLength, `must have at most ${maxGlobLength} characters`)
  .superRefine((pattern, context) => {
    const problem = pattern.length > maxGlobLength ? undefined : globProblem(pattern)
    if (problem) context.addIssue({ code: 'custom', message: problem })
  })

/** A price: at least one component; `minimum` not above `maximum`; at most one of tiers, package and percentage. */
export const priceInput = z
  .strictObject({
    perCall: rateInput.optional(),
    perKb: rateInput.optional(),
    perSecond: rateInput.optional(),
    perToken: rateInput.optional(),
    flat: rateInput.optional(),
    minimum: rateInput.optional(),
    maximum: rateInput.optional(),
    tiers: tiersInput.optional(),
    package: packageInput.optional(),
    percentage: percentageInput.optional(),
  })
  .superRefine((price, context) => {
    if (Object.keys(price).length === 0)
      context.addIssue({ code: 'custom', message: 'names no component; a free rule says {"perCall": "0"}' })
    if (isAbove(price.minimum, price.maximum))
      context.addIssue({ code: 'custom', path: ['minimum'], message: 'must not be above `maximum`' })
    const counted = (['tiers', 'package', 'percentage'] as const).filter((name) => price[name] !== undefined)
    if (counted.length > 1)
      context.addIssue({
        code: 'custom',
        path: [counted[1] ?? ''],
        message: `cannot stand beside \`${counted[0]}\`; use one of tiers, package and percentage`,
      })
  })

const isAbove = (low = '0', high?: string): boolean => {
  const [least, most] = [parseDecimal(low, rateScale), parseDecimal(high ?? '', rateScale)]
  return least !== undefined && most !== undefined && least > most
}

export const matchInput = z.strictObject({
  server: globInput.optional(),
  tool: globInput.optional(),
  method: globInput.optional(),
  user: globInput.optional(),
  account: globInput.optional(),
  transport: globInput.optional(),
})

const currencyText = 'must be an ISO 4217 currency code such as "USD"'
const currencyInput = z
  .string({ error: currencyText })
  .regex(/^[A-Z]{3}$/, currencyText)
  .refine((code) => !/^[A-Z]{3}$/.test(code) || isCurrency(code), currencyText)

const timeText = 'must be an ISO 8601 time such as "2026-01-31T00:00:00Z"'
const timeInput = z.iso.datetime({ offset: true, error: timeText })

const bookText = 'must have at most 64 of a-z, 0-9 and -, and begin and end with a letter or digit'
/** The name of a price book. */
export const bookName = z
  .string({ error: bookText })
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/, bookText)

const shape = {
  name: z.string().min(1).max(200),
  priority: z.int().min(-1_000_000).max(1_000_000),
  active: z.boolean(),
  currency: currencyInput,
  book: bookName,
  match: matchInput,
  price: priceInput,
  billOn: z
    .array(z.enum(outcomes))
    .min(1)
    .refine((list) => new Set(list).size === list.length, 'must name each outcome once'),
  effectiveFrom: timeInput,
}

/** The body of POST /rules. A time in the past is taken: records that are already written keep their price. */
export const ruleInput = z.strictObject({
  ...shape,
  priority: shape.priority.default(0),
  active: shape.active.default(true),
  book: shape.book.optional(),
  match: shape.match.default({}),
  billOn: shape.billOn.default(['success']),
  effectiveFrom: shape.effectiveFrom.optional(),
  effectiveTo: timeInput.optional(),
})
export type RuleInput = z.output<typeof ruleInput>

const change = z
  .strictObject({ ...shape, book: shape.book.nullable(), effectiveTo: timeInput.nullable() })
  .partial()

/**
 * The body of POST /drafts: a whole rule, or with `ruleId` what the next version of that rule changes. Read once more
 * as a `ruleInput` when the draft is whole.
 */
export const draftInput = change.extend({ ruleId: z.string().max(64).optional() })

/** The body of PATCH /drafts/{id}: as a `rulePatch`; `basedOn` says that a newer version of the rule was looked at. */
export const draftPatch = change
  .extend({ basedOn: z.int().min(1).optional() })
  .refine((patch) => Object.keys(patch).length > 0, 'names no field; send at least one to change')

/**
 * The body of PATCH /rules/{id}: each member that is there replaces the whole old one (`price`, `match` and `billOn`
 * are not merged inside). `effectiveTo: null` takes the end away, `book: null` takes the rule out of its book. Without `effectiveFrom` the new version takes
 * effect at once, or with the latest version where that one lies in the future.
 */
export const rulePatch = change.refine(
  (patch) => Object.keys(patch).length > 0,
  'names no field; send at least one to change',
)
export type RulePatch = z.output<typeof rulePatch>

const quantityInput = z.string({ error: quantityText }).regex(quantityPattern, quantityText)

/** The body of POST /quote. */
export const quoteInput = z.strictObject({
  price: priceInput,
  usage: z.strictObject({
    calls: quantityInput.optional(),
    kb: quantityInput.optional(),
    seconds: quantityInput.optional(),
    tokens: quantityInput.optional(),
    upstreamCost: quantityInput.optional(),
  }),
  currency: currencyInput.default('USD'),
})

/**
 * Reads `input` by a schema. Throws `validation_failed` that lists every fault with its JSON pointer; an unknown
 * member is named itself.
 */
export function readInput<Schema extends z.ZodType>(schema: Schema, input: unknown): z.output<Schema> {
  const result = schema.safeParse(input)
  if (result.success) return result.data
  const { issues } = result.error
  const strange = new Set(
    issues.filter((issue) => issue.code === 'unrecognized_keys').map((issue) => pointer(issue.path)),
  )
  const fields = issues.flatMap((issue): FieldError[] => {
    const own = pointer(issue.path)
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => ({
        field: pointer([...issue.path, key]),
        message: 'is unknown; remove it',
      }))
    // What an object lacks is not worth saying while it holds members that are none.
    return issue.code === 'custom' && strange.has(own) ? [] : [{ field: own, message: issue.message }]
  })
  throw new GatewayError('validation_failed', { fields })
}

/** RFC 6901. */
const pointer = (path: readonly PropertyKey[]): string =>
  path.map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')

/** A rule as the API answers it. */
export interface RuleObject {
  readonly id: string
  readonly version: number
  readonly name: string
  readonly priority: number
  readonly active: boolean
  readonly currency: string
  readonly book?: string
  readonly match: Match
  readonly price: Price
  readonly billOn: readonly Outcome[]
  readonly effectiveFrom: string
  readonly effectiveTo?: string
  /** When this version was made. */
  readonly createdAt: string
  readonly createdBy?: string
}

export function toRuleObject(rule: RuleVersion): RuleObject {
  const { ruleId, version, effectiveFromMs, effectiveToMs, createdAtMs, ...rest } = rule
  return {
    id: ruleId,
    version,
    ...rest,
    effectiveFrom: new Date(effectiveFromMs).toISOString(),
    ...(effectiveToMs === undefined ? {} : { effectiveTo: new Date(effectiveToMs).toISOString() }),
    createdAt: new Date(createdAtMs).toISOString(),
  }
}
