// The route that rates past usage under other rules.
import { z } from 'zod'
import type { Clock } from '../../base/clock.ts'
import { lastMonth, simulate, type SimulatedSums } from '../../billing/simulate.ts'
import type { Ledger } from '../../ledger/ledger.ts'
import { ruleInput } from '../../pricing/rule-input.ts'
import type { RuleBook } from '../../pricing/rules.ts'
import type { UsageQueries } from '../../usage/queries.ts'
import { readFilter } from './billing-filter.ts'
import { defineRoute, type Route } from './route.ts'
import { isoTime, timeShape } from './view.ts'

export interface BillingSimulateDeps {
  readonly rules: RuleBook
  readonly ledger: Ledger
  readonly queries: UsageQueries
  readonly clock: Clock
}

const maxRecords = 2_000_000
const maxDrafts = 1000

const simulateInput = z.strictObject({
  rules: z.array(ruleInput).max(maxDrafts).describe('As in POST /rules; their times do not matter.'),
  keep: z
    .boolean()
    .default(false)
    .describe('Whether the published rules stay in force beside these; else these alone price the calls.'),
  from: z.iso.datetime({ offset: true }).optional().describe('Default: the last calendar month, UTC.'),
  to: z.iso.datetime({ offset: true }).optional(),
  account: z.string().max(64).optional().describe('Of this account alone.'),
})

const sumsShape = {
  currency: z.string(),
  calls: z.int(),
  old: z.string().describe('What was charged.'),
  new: z.string().describe('What these rules would have charged.'),
}

const simulationShape = z
  .strictObject({
    periodStart: timeShape,
    periodEnd: timeShape,
    records: z.int(),
    old: z.string().nullable().describe('The total; null where there are several currencies.'),
    new: z.string().nullable(),
    currency: z.string().nullable(),
    totals: z.array(z.strictObject(sumsShape)),
    unpriced: z.strictObject({ old: z.int(), new: z.int() }).describe('Calls that no rule prices.'),
    byRule: z.array(z.strictObject({ rule: z.string().nullable(), ...sumsShape })),
    byAccount: z.array(z.strictObject({ accountId: z.string(), ...sumsShape })),
  })
  .meta({ id: 'Simulation' })

export function billingSimulateRoutes({ rules, ledger, queries, clock }: BillingSimulateDeps): Route[] {
  return [
    defineRoute({
      method: 'POST',
      path: '/api/v1/billing/simulate',
      summary: 'What past usage would have cost under other rules; nothing is stored',
      permission: 'rules:manage',
      body: simulateInput,
      response: simulationShape,
      errors: [403, 422],
      handler: async ({ body, signal }) => {
        const { from, to, account } = body
        const usual = lastMonth(clock)
        const period = from === undefined && to === undefined ? usual : readFilter({ from, to })
        const [fromMs, toMs] = [period.fromMs ?? 0, period.toMs ?? clock.now()]
        const result = await simulate({
          records: queries.eachPage({ ...(account !== undefined && { account }), fromMs, toMs }),
          drafts: body.rules,
          kept: body.keep ? rules.histories() : [],
          findAccount: (id) => ledger.findAccount(id),
          findVersion: (ruleId, version) => rules.findVersion(ruleId, version),
          maxRecords,
          signal,
        })
        const [only, ...others] = result.totals
        const one: SimulatedSums | undefined = others.length === 0 ? only : undefined
        const none = result.totals.length === 0 ? '0' : null
        return {
          periodStart: isoTime(fromMs),
          periodEnd: isoTime(toMs),
          records: result.records,
          old: one?.old ?? none,
          new: one?.new ?? none,
          currency: one?.currency ?? null,
          totals: [...result.totals],
          unpriced: { ...result.unpriced },
          byRule: [...result.byRule],
          byAccount: [...result.byAccount],
        }
      },
    }),
  ]
}
