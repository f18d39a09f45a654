// Routes of usage records: the list with its filters, one record with its price, and those of a session.
import { z } from 'zod'
import { GatewayError } from '../../../base/errors.ts'
import { CallIds, formatCallId, parseCallId } from '../../../base/id.ts'
import type { Principal } from '../../../identity/principal.ts'
import type { RuleBook } from '../../../pricing/rules.ts'
import type { UsageFilter } from '../../../usage/filter.ts'
import type { UsageQueries } from '../../../usage/queries.ts'
import { filterQuery, readFilter } from './filter.ts'
import { pricedRecordShape, pricedRecordView, recordShape, recordView } from './record.ts'
import { maySeeRecord, sessionFilter, type FindSession } from './scope.ts'
import { totalsShape, totalsView } from './summary.ts'
import { makePage, pageOf, pageQuery } from '../page.ts'
import { defineRoute, type Route } from '../route.ts'
import { decodeCallCursor, idParams } from '../view.ts'

export interface BillingUsageDeps {
  readonly queries: UsageQueries
  readonly rules: RuleBook
  readonly sessionStore: { readonly find: FindSession }
  /** Whether records of calls of this time were dropped. Milliseconds. */
  isDropped(timeMs: number): boolean
}

const path = '/api/v1/billing/usage'
const droppedSentence =
  'Records of that time are no longer kept; sums of them are in the usage summary, and charges in the ledger.'

const sessionUsageShape = pageOf(recordShape)
  .extend({ sessionId: z.string(), totals: totalsShape })
  .meta({ id: 'SessionUsage' })

/** `/billing/usage` and below, but for the summary. */
export function billingUsageRoutes(deps: BillingUsageDeps): Route[] {
  const { queries, rules, sessionStore } = deps
  return [
    defineRoute({
      method: 'GET',
      path,
      summary: 'Lists usage records, newest first',
      description: "Of your own account's calls; auditors and administrators see all.",
      permission: 'signed-in',
      query: z.strictObject({ ...pageQuery, ...filterQuery }),
      response: pageOf(recordShape),
      handler: ({ principal, query }) => page(deps, { principal, filter: readFilter(query), query }),
    }),
    defineRoute({
      method: 'GET',
      path: `${path}/session/{sessionId}`,
      summary: "Lists a session's usage records, newest first, with their totals",
      permission: 'signed-in',
      params: z.strictObject({ sessionId: z.string() }),
      query: z.strictObject(pageQuery),
      response: sessionUsageShape,
      errors: [404],
      handler: async ({ principal, params: { sessionId }, query }) => {
        const asked = { session: sessionId }
        const filter = await sessionFilter(principal, asked, (id) => sessionStore.find(id))
        const totals = filter && (await queries.summarise(filter, { groupBy: [], timeZone: 'UTC' }))
        if (!totals || totals.totalCalls === 0) throw new GatewayError('not_found')
        const records = await page(deps, { principal, filter, query })
        return { sessionId, ...records, totals: totalsView(totals) }
      },
    }),
    defineRoute({
      method: 'GET',
      path: `${path}/{id}`,
      summary: 'Shows a usage record with its price and how its cost was made',
      permission: 'signed-in',
      params: idParams,
      response: pricedRecordShape,
      errors: [404],
      handler: async ({ principal, params }) => {
        const id = parseCallId(params.id)
        const record = id === undefined ? undefined : await queries.findRecord(id)
        // The same sentence for every id of that time, so that it tells nothing of who called.
        if (!record && id !== undefined && deps.isDropped(CallIds.timeMs(id)))
          throw new GatewayError('not_found', { detail: droppedSentence })
        if (!record || !maySeeRecord(principal, record)) throw new GatewayError('not_found')
        const { ruleId, ruleVersion } = record
        const priced = ruleId !== undefined && ruleVersion !== undefined
        return pricedRecordView(record, priced ? rules.findVersion(ruleId, ruleVersion) : undefined)
      },
    }),
  ]
}

interface PageRequest {
  readonly principal: Principal
  readonly filter: UsageFilter
  readonly query: { readonly limit: number; readonly cursor?: string | undefined }
}

async function page({ queries, sessionStore }: BillingUsageDeps, { principal, filter, query }: PageRequest) {
  const { limit, cursor } = query
  const before = decodeCallCursor(cursor)
  const visible = await sessionFilter(principal, filter, (id) => sessionStore.find(id))
  const records = visible
    ? await queries.listRecords(visible, { limit: limit + 1, ...(before !== undefined && { before }) })
    : []
  return makePage(records, limit, { positionOf: ({ id }) => [formatCallId(id)], show: recordView })
}
