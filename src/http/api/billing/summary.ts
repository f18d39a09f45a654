// The route of usage summed up: totals of a period, and groups by whatever was asked for.
import { z } from 'zod'
import { formatAmount } from '../../../base/money.ts'
import { isTimeZone } from '../../../base/zone.ts'
import type { Ledger } from '../../../ledger/ledger.ts'
import { groupNames, type GroupName, type UsageGroup } from '../../../usage/groups.ts'
import type { UsageQueries, UsageSummary } from '../../../usage/queries.ts'
import { percentileMs, type UsageTotals } from '../../../usage/summary.ts'
import { filterQuery, readFilter } from './filter.ts'
import { sessionFilter, type FindSession } from './scope.ts'
import { defineRoute, type Route } from '../route.ts'
import { isoTime, timeShape } from '../view.ts'

export interface BillingSummaryDeps {
  readonly queries: UsageQueries
  readonly ledger: Ledger
  readonly sessionStore: { readonly find: FindSession }
}

const percentile = z.number().nullable().describe('Out of latency buckets; null where there were no calls.')

export const totalsShape = z
  .strictObject({
    totalCalls: z.int(),
    successfulCalls: z.int().describe('Calls with the outcome success.'),
    failedCalls: z.int().describe('All others.'),
    unpricedCalls: z.int().describe('Calls that no rule matched.'),
    totalCost: z.string().nullable().describe('Null where several currencies occur; see `totals`.'),
    averageCostPerCall: z.string().nullable(),
    currency: z.string().nullable(),
    totals: z.array(z.strictObject({ currency: z.string(), calls: z.int(), cost: z.string() })),
    requestBytes: z.int(),
    responseBytes: z.int(),
    averageDurationMs: z.number(),
    p50Ms: percentile,
    p95Ms: percentile,
  })
  .meta({ id: 'UsageTotals' })

const keyShapes = Object.fromEntries(
  groupNames.map((name) => [name, z.string().nullable().optional()]),
) as Record<GroupName, z.ZodOptional<z.ZodNullable<z.ZodString>>>

const groupShape = z
  .strictObject({
    ...keyShapes,
    calls: z.int(),
    failedCalls: z.int(),
    unpricedCalls: z.int(),
    cost: z.string(),
    currency: z.string(),
    p50Ms: percentile,
    p95Ms: percentile,
  })
  .meta({ id: 'UsageGroup' })

const summaryShape = totalsShape
  .extend({
    periodStart: timeShape,
    periodEnd: timeShape,
    timeZone: z.string(),
    groups: z
      .array(groupShape)
      .describe('One for each combination and currency, in the order of their keys.'),
  })
  .meta({ id: 'UsageSummary' })

const isGroup = (name: string): name is GroupName => (groupNames as readonly string[]).includes(name)

const groupBy = z
  .string()
  .max(200)
  .refine(
    (list) => list.split(',').every(isGroup),
    `must be names out of ${groupNames.join(', ')}, with commas between`,
  )
  .optional()
  .describe(`Names out of ${groupNames.join(', ')}, with commas between.`)

export function totalsView(totals: UsageTotals): z.input<typeof totalsShape> {
  return {
    totalCalls: totals.totalCalls,
    successfulCalls: totals.successfulCalls,
    failedCalls: totals.failedCalls,
    unpricedCalls: totals.unpricedCalls,
    totalCost: totals.totalCost,
    averageCostPerCall: totals.averageCostPerCall,
    currency: totals.currency,
    totals: totals.totals.map((total) => ({ ...total })),
    requestBytes: totals.requestBytes,
    responseBytes: totals.responseBytes,
    averageDurationMs: totals.averageDurationMs,
    p50Ms: totals.p50Ms,
    p95Ms: totals.p95Ms,
  }
}

const groupView = ({ keys, sum }: UsageGroup): z.input<typeof groupShape> => ({
  ...keys,
  calls: sum.calls,
  failedCalls: sum.failed,
  unpricedCalls: sum.unpriced,
  cost: formatAmount(sum.cost),
  currency: sum.currency,
  p50Ms: percentileMs(sum.latency, 0.5),
  p95Ms: percentileMs(sum.latency, 0.95),
})

const summaryView = (summary: UsageSummary, timeZone: string): z.input<typeof summaryShape> => ({
  periodStart: isoTime(summary.periodStartMs),
  periodEnd: isoTime(summary.periodEndMs),
  timeZone,
  ...totalsView(summary),
  groups: summary.groups.map(groupView),
})

/** `/billing/usage/summary`. */
export function billingSummaryRoutes({ queries, ledger, sessionStore }: BillingSummaryDeps): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/v1/billing/usage/summary',
      summary: 'Sums over usage: totals, and groups with their latencies',
      description:
        'Without `from` it begins with the first call, without `to` it ends now. Costs of several currencies are never added.',
      permission: 'signed-in',
      query: z.strictObject({
        ...filterQuery,
        groupBy,
        timeZone: z
          .string()
          .refine(isTimeZone, 'must be an IANA time zone such as Europe/Berlin')
          .optional()
          .describe(
            "Zone of the groups `month`, `week` (its Monday), `day` and `hour`; your account's, where it is absent.",
          ),
      }),
      response: summaryShape,
      errors: [422],
      handler: async ({ principal, query }) => {
        const own = ledger.findAccount(principal.accountId)
        const timeZone = query.timeZone ?? own?.timeZone ?? 'UTC'
        const filter = readFilter(query)
        const groups = [...new Set((query.groupBy ?? '').split(',').filter(isGroup))]
        const options = { groupBy: groups, timeZone, ...(own && { currency: own.currency }) }
        // Somebody else's account and an unknown one have the same usage: none.
        const visible = await sessionFilter(principal, filter, (id) => sessionStore.find(id))
        const seen = visible ?? { ...filter, account: '' }
        return summaryView(await queries.summarise(seen, options), timeZone)
      },
    }),
  ]
}
