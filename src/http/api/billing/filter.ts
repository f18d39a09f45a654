// The filters of usage as query parameters.
import { z } from 'zod'
import { GatewayError } from '../../../base/errors.ts'
import { outcomes } from '../../../pricing/price.ts'
import { filterNames, type UsageFilter } from '../../../usage/filter.ts'

const text = z.string().min(1).max(512)
const time = z.iso.datetime({ offset: true })

/** Query members: `z.strictObject({ ...filterQuery, … })`. */
export const filterQuery = {
  user: text.optional().describe('Id of the user who called.'),
  account: text.optional().describe('Id of the account that paid.'),
  key: text.optional().describe('Id of the API key that was used.'),
  server: text.optional().describe('Name or id of the server.'),
  tool: text.optional(),
  method: text.optional(),
  session: text.optional().describe('Id of the session.'),
  outcome: z.enum(outcomes).optional(),
  currency: text.optional().describe('ISO 4217.'),
  rule: text.optional().describe('Id of the rule that priced the call.'),
  ruleVersion: z.coerce.number().int().min(1).max(1_000_000_000).optional(),
  unpriced: z.literal('true').optional().describe('Only calls that no rule matched.'),
  toolless: z.literal('true').optional().describe('Only calls that name no tool.'),
  from: time.optional().describe('Calls that arrived at this time or later, ISO 8601.'),
  to: time.optional().describe('Calls that arrived before this time.'),
}

type FilterQuery = z.output<z.ZodObject<typeof filterQuery>>

/** Throws `validation_failed` where the period ends before it begins. */
export function readFilter(query: FilterQuery): UsageFilter {
  const { from, to } = query
  const [fromMs, toMs] = [from, to].map((each) => (each === undefined ? undefined : Date.parse(each)))
  if (fromMs !== undefined && toMs !== undefined && toMs < fromMs)
    throw new GatewayError('validation_failed', {
      fields: [{ field: 'to', message: 'must not be before `from`' }],
    })
  const { ruleVersion, unpriced, toolless } = query
  const texts = filterNames.flatMap((name) => (query[name] === undefined ? [] : [[name, query[name]]]))
  return {
    ...(Object.fromEntries(texts) as UsageFilter),
    ...(ruleVersion !== undefined && { ruleVersion }),
    ...(unpriced && { unpriced: true }),
    ...(toolless && { toolless: true }),
    ...(fromMs !== undefined && { fromMs }),
    ...(toMs !== undefined && { toMs }),
  }
}
