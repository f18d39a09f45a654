// What a rule looks like from outside: strict schemas of its input, and the object that the API answers with.
import { z } from 'zod'
import { GatewayError, type FieldError } from '../base/errors.ts'
import { parseDecimal, rateScale } from '../base/money.ts'
import { isCurrency } from './currency.ts'
import { globProblem, maxGlobLength } from '../base/glob.ts'
import { outcomes, type Match, type Outcome, type Price, type RuleVersion } from './price.ts'
import { quantityPattern, quantityText } from './quote.ts'

const decimalText =
  'must be a decimal string such as "0.001", not negative, below 10^9, with at most 12 decimals'

const rateInput = z.string({ error: decimalText }).regex(/^\d{1,9}(?:\.\d{1,12})?$/, decimalText)

const globInput = z
  .string()
  .max(maxGlobLength, `must have at most ${maxGlobLength} characters`)
  .superRefine((pattern, context) => {
    const problem = pattern.length > maxGlobLength ? undefined : globProblem(pattern)
    if (problem) context.addIssue({ code: 'custom', message: problem })
  })

/** Members that the contract has and this gateway does not rate yet: refused, so that no price is half applied. */
const laterMembers = new Set(['perToken', 'flat', 'tiers', 'package', 'percentage', 'tokens'])
const laterText = 'is unknown for now: this gateway cannot rate it yet'

/** As a strict object, with words for the members that will be rated later. */
const ratedObject = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys' && issue.keys.every((key) => laterMembers.has(key))
        ? laterText
        : undefined,
  })

/** A price: at least one component; `minimum` not above `maximum`. */
export const priceInput = ratedObject({
  perCall: rateInput.optional(),
  perKb: rateInput.optional(),
  perSecond: rateInput.optional(),
  minimum: rateInput.optional(),
  maximum: rateInput.optional(),
}).superRefine((price, context) => {
  if (Object.keys(price).length === 0)
    context.addIssue({ code: 'custom', message: 'names no component; a free rule says {"perCall": "0"}' })
  if (isAbove(price.minimum, price.maximum))
    context.addIssue({ code: 'custom', path: ['minimum'], message: 'must not be above `maximum`' })
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

const shape = {
  name: z.string().min(1).max(200),
  priority: z.int().min(-1_000_000).max(1_000_000),
  active: z.boolean(),
  currency: currencyInput,
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
  match: shape.match.default({}),
  billOn: shape.billOn.default(['success']),
  effectiveFrom: shape.effectiveFrom.optional(),
  effectiveTo: timeInput.optional(),
})
export type RuleInput = z.output<typeof ruleInput>

/**
 * The body of PATCH /rules/{id}: each member that is there replaces the whole old one (`price`, `match` and `billOn`
 * are not merged inside). `effectiveTo: null` takes the end away. Without `effectiveFrom` the new version takes
 * effect at once, or with the latest version where that one lies in the future.
 */
export const rulePatch = z
  .strictObject({ ...shape, effectiveTo: timeInput.nullable() })
  .partial()
  .refine((patch) => Object.keys(patch).length > 0, 'names no field; send at least one to change')
export type RulePatch = z.output<typeof rulePatch>

const quantityInput = z.string({ error: quantityText }).regex(quantityPattern, quantityText)

/** The body of POST /quote. */
export const quoteInput = z.strictObject({
  price: priceInput,
  usage: ratedObject({
    calls: quantityInput.optional(),
    kb: quantityInput.optional(),
    seconds: quantityInput.optional(),
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
      return issue.keys.map((key) => ({ field: pointer([...issue.path, key]), message: unknownMember(key) }))
    // What an object lacks is not worth saying while it holds members that are none.
    return issue.code === 'custom' && strange.has(own) ? [] : [{ field: own, message: issue.message }]
  })
  throw new GatewayError('validation_failed', { fields })
}

const unknownMember = (key: string): string => (laterMembers.has(key) ? laterText : 'is unknown; remove it')

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
  readonly match: Match
  readonly price: Price
  readonly billOn: readonly Outcome[]
  readonly effectiveFrom: string
  readonly effectiveTo?: string
  /** When this version was made. */
  readonly createdAt: string
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
