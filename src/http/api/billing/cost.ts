// Routes of costs as they arise: the current month's, and a stream of settled calls.
import { z } from 'zod'
import type { Clock } from '../../../base/clock.ts'
import { GatewayError } from '../../../base/errors.ts'
import { formatAmount } from '../../../base/money.ts'
import type { Ledger } from '../../../ledger/ledger.ts'
import { may } from '../../../policy/roles.ts'
import type { UsageQueries } from '../../../usage/queries.ts'
import { getAccountOf } from './scope.ts'
import { CostStreams, type CostStreamDeps } from './cost-stream.ts'
import { Answer, defineRoute, type Route } from '../route.ts'
import { isoTime, timeShape } from '../view.ts'

export interface BillingCostDeps extends CostStreamDeps {
  readonly queries: UsageQueries
  readonly ledger: Ledger
  readonly clock: Clock
  /** The account of a user, or undefined where there is no such user. */
  findAccountId(userId: string): Promise<string | undefined>
}

const currentCostShape = z
  .strictObject({
    userId: z.string(),
    accountId: z.string(),
    currentCost: z.string(),
    currency: z.string(),
    period: z
      .strictObject({ start: timeShape, end: timeShape })
      .describe("The month in the account's time zone."),
    balance: z.string(),
    held: z.string(),
    timestamp: timeShape,
  })
  .meta({ id: 'CurrentCost' })

const userId = z.string().max(64).optional().describe('A user; you, where it is absent.')

/** `/billing/cost/current` and `/billing/cost/stream`. */
export function billingCostRoutes(deps: BillingCostDeps): Route[] {
  const { queries, ledger, clock } = deps
  const streams = new CostStreams(deps)
  return [
    defineRoute({
      method: 'GET',
      path: '/api/v1/billing/cost/current',
      summary: "What this month's calls have cost so far, and the balance",
      permission: 'signed-in',
      query: z.strictObject({ userId }),
      response: currentCostShape,
      errors: [404],
      handler: async ({ principal, query }) => {
        const owner = await getAccountOf(principal, query.userId, (id) => deps.findAccountId(id))
        const account = ledger.findAccount(owner.accountId)
        if (!account) throw new GatewayError('not_found')
        const { cost, startMs, endMs } = await queries.currentCost(account)
        const { balance, held } = ledger.totals(account.id)
        return {
          ...owner,
          currentCost: formatAmount(cost),
          currency: account.currency,
          period: { start: isoTime(startMs), end: isoTime(endMs) },
          balance: formatAmount(balance),
          held: formatAmount(held),
          timestamp: isoTime(clock.now()),
        }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/v1/billing/cost/stream',
      summary: 'Each settled call and the new balance, live (server-sent events)',
      description:
        "Events `call` carry the usage record and `balance`; `lost` counts calls that this client was too slow for. Of your own account's calls; auditors and administrators hear of all unless they name a user.",
      permission: 'signed-in',
      query: z.strictObject({ userId }),
      contentType: 'text/event-stream',
      errors: [404, 503],
      handler: async ({ principal, query, signal }) => {
        const everybody = query.userId === undefined && may(principal, 'usage:read-all')
        const owner = await getAccountOf(principal, query.userId, (id) => deps.findAccountId(id))
        const scope = everybody ? {} : { accountId: owner.accountId }
        return new Answer('text/event-stream', streams.open(principal, { ...scope, signal }))
      },
    }),
  ]
}
