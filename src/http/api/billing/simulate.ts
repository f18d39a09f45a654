// The route that rates past usage under other rules.
import { z } from 'zod'
import type { Clock } from '../../../base/clock.ts'
import { lastMonth, simulate, type SimulatedRule, type SimulatedSums } from '../../../billing/simulate.ts'
import type { Ledger } from '../../../ledger/ledger.ts'
import { ruleInput } from '../../../pricing/rule-input.ts'
import type { RuleHistory } from '../../../pricing/choice.ts'
import type { Drafts } from '../../../pricing/drafts/drafts.ts'
import type { RuleBook } from '../../../pricing/rules.ts'
import type { UsageQueries } from '../../../usage/queries.ts'
import { draftChoice, readDraftChoice } from './lint.ts'
import { readFilter } from './filter.ts'
import { defineRoute, type Route } from '../route.ts'
import { isoTime, readId, timeShape } from '../view.ts'

export interface BillingSimulateDeps {
  readonly rules: RuleBook
  readonly drafts: Pick<Drafts, 'choose'>
  readonly ledger: Ledger
  readonly queries: UsageQueries
  readonly clock: Clock
}

const maxRecords = 2_000_000
const maxRules = 1000

const simulateInput = z.strictObject({
  rules: z
    .array(ruleInput)
    .max(maxRules)
    .default([])
    .describe('As in POST /rules; their times do not matter.'),
  drafts: draftChoice
    .optional()
    .describe('Drafts, "all" or ids, each in place of the rule that it is of; their times do not matter.'),
  keep: z
    .boolean()
    .optional()
    .describe(
      'Whether the published rules stay in force beside these; else these alone price the calls. Default: where drafts or `replace` are given.',
    ),
  replace: z
    .array(z.string().max(64))
    .max(maxRules)
    .optional()
    .describe('Ids of published rules that do not stay in force.'),
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
    byRule: z.array(
      z.strictObject({ rule: z.string().nullable(), ruleId: z.string().optional(), ...sumsShape }),
    ),
    byAccount: z.array(z.strictObject({ accountId: z.string(), ...sumsShape })),
  })
  .meta({ id: 'Simulation' })

export function billingSimulateRoutes(deps: BillingSimulateDeps): Route[] {
  const { rules, ledger, queries, clock } = deps
  return [
    defineRoute({
      method: 'POST',
      path: '/api/v1/billing/simulate',
      audit: false,
      summary: 'What past usage would have cost under other rules; nothing is stored',
      permission: 'rules:manage',
      body: simulateInput,
      response: simulationShape,
      errors: [403, 404, 422],
      handler: async ({ body, signal }) => {
        const { from, to, account } = body
        const usual = lastMonth(clock)
        const period = from === undefined && to === undefined ? usual : readFilter({ from, to })
        const [fromMs, toMs] = [period.fromMs ?? 0, period.toMs ?? clock.now()]
        const result = await simulate({
          records: queries.eachPage({ ...(account !== undefined && { account }), fromMs, toMs }),
          drafts: await simulatedRules(deps, body),
          kept: keptRules(deps, body),
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

type SimulateInput = z.output<typeof simulateInput>

async function simulatedRules(
  { drafts }: BillingSimulateDeps,
  { rules, drafts: choice }: SimulateInput,
): Promise<SimulatedRule[]> {
  const chosen = choice === undefined ? [] : await drafts.choose(readDraftChoice(choice))
  return [...rules.map((rule) => ({ rule })), ...chosen.map(({ rule, ruleId }) => ({ rule, ruleId }))]
}

function keptRules(
  { rules }: BillingSimulateDeps,
  { keep, replace = [], drafts }: SimulateInput,
): readonly RuleHistory[] {
  const gone = new Set(replace.map((id) => rules.getRule(readId(id, 'rul')).ruleId))
  const isKept = keep ?? (drafts !== undefined || gone.size > 0)
  return isKept ? rules.histories().filter(({ ruleId }) => !gone.has(ruleId)) : []
}
