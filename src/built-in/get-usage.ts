// get_usage: what the calls of the caller's account have cost in a period, in all and by group.
import { z } from 'zod'
import type { Clock } from '../base/clock.ts'
import { assert } from '../base/errors.ts'
import { formatAmount } from '../base/money.ts'
import { dayOf, monthOf, type Period } from '../base/zone.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { UsageGroup } from '../usage/groups.ts'
import type { UsageQueries } from '../usage/queries.ts'
import { defineTool, type BuiltInTool } from './tool.ts'

export interface UsageDeps {
  readonly ledger: Pick<Ledger, 'findAccount'>
  readonly queries: Pick<UsageQueries, 'summarise'>
  readonly clock: Clock
}

const periods = ['today', 'yesterday', 'last_7_days', 'this_month', 'last_month'] as const
const groupings = ['server', 'tool', 'method', 'outcome', 'day'] as const
/** A model has little use for more; the costliest are shown. */
const maxGroups = 100

const sums = { calls: z.int(), failedCalls: z.int(), cost: z.string() }
const key = z.string().nullable().optional()

const input = z.strictObject({
  period: z
    .enum(periods)
    .default('this_month')
    .describe("In the account's time zone; last_7_days are today and the six days before."),
  groupBy: z
    .array(z.enum(groupings))
    .max(groupings.length)
    .default([])
    .describe('What to tell apart, for example ["server", "tool"].'),
})

const output = z.strictObject({
  period: z.strictObject({ start: z.string(), end: z.string() }),
  timeZone: z.string(),
  currency: z.string(),
  ...sums,
  groups: z.array(z.strictObject({ server: key, tool: key, method: key, outcome: key, day: key, ...sums })),
  moreGroups: z.int().describe('Groups that are left out; the costliest are shown.'),
})

export const getUsage = ({ ledger, queries, clock }: UsageDeps): BuiltInTool =>
  defineTool({
    name: 'get_usage',
    title: 'Usage',
    description: 'How many calls your account has made in a period and what they cost, in all and by group.',
    input,
    output,
    run: async ({ period: name, groupBy }, { accountId }) => {
      const account = ledger.findAccount(accountId)
      assert(account, 'every caller has an account')
      const { currency, timeZone } = account
      const { startMs, endMs } = periodOf(name, clock.now(), timeZone)
      const filter = { account: accountId, currency, fromMs: startMs, toMs: endMs }
      const options = { groupBy: [...new Set(groupBy)], timeZone, currency }
      const summary = await queries.summarise(filter, options)
      const cost = summary.totalCost ?? '0'
      const groups = summary.groups.toSorted(byCost)
      const calls = summary.totalCalls === 1 ? '1 call' : `${summary.totalCalls} calls`
      return {
        text: `${calls} cost ${cost} ${currency} (${name.replaceAll('_', ' ')}).${linesOf(groups, currency)}`,
        data: {
          period: { start: new Date(startMs).toISOString(), end: new Date(endMs).toISOString() },
          timeZone,
          currency,
          calls: summary.totalCalls,
          failedCalls: summary.failedCalls,
          cost,
          groups: groups.slice(0, maxGroups).map(groupView),
          moreGroups: Math.max(0, groups.length - maxGroups),
        },
      }
    },
  })

function periodOf(name: (typeof periods)[number], nowMs: number, zone: string): Period {
  const today = dayOf(nowMs, zone)
  const month = monthOf(nowMs, zone)
  if (name === 'today') return today
  if (name === 'yesterday') return dayOf(today.startMs - 1, zone)
  if (name === 'this_month') return month
  if (name === 'last_month') return monthOf(month.startMs - 1, zone)
  let first = today
  for (let back = 0; back < 6; back++) first = dayOf(first.startMs - 1, zone)
  return { startMs: first.startMs, endMs: today.endMs }
}

const byCost = (a: UsageGroup, b: UsageGroup): number =>
  a.sum.cost === b.sum.cost ? b.sum.calls - a.sum.calls : a.sum.cost < b.sum.cost ? 1 : -1

const groupView = ({ keys, sum }: UsageGroup) => ({
  ...keys,
  calls: sum.calls,
  failedCalls: sum.failed,
  cost: formatAmount(sum.cost),
})

/** The costliest few, for those who read only the text. */
function linesOf(groups: readonly UsageGroup[], currency: string): string {
  const lines = groups.slice(0, 5).map(({ keys, sum }) => {
    const names = Object.values(keys).filter((name) => name !== null)
    return `\n${names.join(' ') || '(none)'}: ${sum.calls} × = ${formatAmount(sum.cost)} ${currency}`
  })
  return lines.join('')
}
