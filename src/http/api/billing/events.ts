// The route of billing events: thresholds that were passed and budgets that ran out.
import { z } from 'zod'
import { GatewayError } from '../../../base/errors.ts'
import type { BillingEvent } from '../../../ledger/event.ts'
import type { EventPosition, EventStore } from '../../../ledger/event-store.ts'
import { may } from '../../../policy/roles.ts'
import { decodeCursor, makePage, pageOf, pageQuery } from '../page.ts'
import { defineRoute, type Route } from '../route.ts'
import { isoTime, timeShape } from '../view.ts'

export interface BillingEventDeps {
  readonly events: EventStore
}

const eventShape = z
  .strictObject({
    id: z.string(),
    kind: z.string().describe('budget.threshold or budget.exhausted.'),
    accountId: z.string().optional(),
    time: timeShape,
    data: z.record(z.string(), z.unknown()).describe('What happened; the members follow from the kind.'),
  })
  .meta({ id: 'BillingEvent' })

function eventView({ id, kind, accountId, body, atMs }: BillingEvent): z.input<typeof eventShape> {
  const owner = accountId !== undefined && { accountId }
  return { id, kind, ...owner, time: isoTime(atMs), data: body }
}

/** `/billing/events`. */
export function billingEventRoutes({ events }: BillingEventDeps): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/v1/billing/events',
      summary: 'Lists billing events, newest first: your own; for auditors and administrators all',
      permission: 'signed-in',
      query: z.strictObject({
        ...pageQuery,
        account: z.string().optional().describe('Only those of this account.'),
      }),
      response: pageOf(eventShape),
      handler: async ({ principal, query }) => {
        const before = readPosition(query.cursor)
        const own = may(principal, 'accounts:read-all') ? query.account : principal.accountId
        const isOthers = query.account !== undefined && query.account !== own
        const rows = isOthers
          ? []
          : await events.list({
              limit: query.limit + 1,
              ...(before && { before }),
              ...(own !== undefined && { accountId: own }),
            })
        return makePage(rows, query.limit, {
          positionOf: ({ atMs, id }) => [atMs, id],
          show: eventView,
        })
      },
    }),
  ]
}

function readPosition(cursor: string | undefined): EventPosition | undefined {
  const [atMs, id] = decodeCursor(cursor, 2) ?? []
  if (atMs === undefined) return undefined
  if (Number.isSafeInteger(atMs) && typeof id === 'string') return { atMs: Number(atMs), id }
  throw new GatewayError('validation_failed', {
    fields: [{ field: 'cursor', message: 'not a cursor of this list' }],
  })
}
