// The route that streams usage records out: CSV, JSON lines, FOCUS rows and CloudEvents.
import { z } from 'zod'
import { callsCsvHead, callsCsvLine } from '../../../billing/export/calls-csv.ts'
import { focusHead, focusLine } from '../../../billing/export/focus.ts'
import type { Ledger } from '../../../ledger/ledger.ts'
import type { UsageQueries } from '../../../usage/queries.ts'
import { callCloudEvent, recordJson } from '../../../usage/record-json.ts'
import type { UsageRecord } from '../../../usage/record.ts'
import { filterQuery, readFilter } from './filter.ts'
import { sessionFilter, type FindSession } from './scope.ts'
import { Answer, defineRoute, type Route } from '../route.ts'

export interface BillingExportDeps {
  readonly queries: UsageQueries
  readonly ledger: Ledger
  readonly sessionStore: { readonly find: FindSession }
  /** Base URL of the gateway: the source of its events and the name of who issues them. */
  readonly publicUrl: () => string
}

const formats = ['csv', 'jsonl', 'focus', 'cloudevents'] as const
type Format = (typeof formats)[number]

interface Writer {
  readonly contentType: string
  readonly extension: string
  readonly head: string
  readonly line: (record: UsageRecord) => string
}

export function billingExportRoutes(deps: BillingExportDeps): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/v1/billing/export',
      summary: 'Streams usage records, oldest first',
      description:
        "Of your own account's calls; auditors and administrators export all. `focus` is FOCUS 1.2 as CSV, `cloudevents` " +
        'is one CloudEvents 1.0 object a line. The export ends where it ends: a cut connection leaves a part of it.',
      permission: 'signed-in',
      query: z.strictObject({
        format: z.enum(formats).default('csv'),
        ...filterQuery,
      }),
      contentType: 'text/csv',
      handler: async ({ principal, query, signal }) => {
        const { format, ...asked } = query
        const { contentType, extension, head, line } = writerOf(format, deps)
        const filter = await sessionFilter(principal, readFilter(asked), (id) => deps.sessionStore.find(id))
        const pages = filter ? deps.queries.eachPage(filter) : noPages()
        const headers = { 'content-disposition': `attachment; filename="usage.${extension}"` }
        return new Answer(contentType, linesOf(pages, { head, line, signal }), { headers })
      },
    }),
  ]
}

function writerOf(format: Format, { ledger, publicUrl }: BillingExportDeps): Writer {
  switch (format) {
    case 'csv':
      return {
        contentType: 'text/csv; charset=utf-8',
        extension: 'csv',
        head: callsCsvHead,
        line: callsCsvLine,
      }
    case 'focus': {
      const issuer = new URL(publicUrl()).host
      const line = (record: UsageRecord): string => {
        const { name, timeZone } = ledger.findAccount(record.accountId) ?? { name: '', timeZone: 'UTC' }
        return focusLine({ record, account: { name, timeZone }, issuer })
      }
      return { contentType: 'text/csv; charset=utf-8', extension: 'focus.csv', head: focusHead, line }
    }
    case 'jsonl':
      return { ...jsonLines, line: (record) => `${JSON.stringify(recordJson(record))}\n` }
    default:
      return { ...jsonLines, line: (record) => `${JSON.stringify(callCloudEvent(record, publicUrl()))}\n` }
  }
}

const jsonLines = { contentType: 'application/jsonl', extension: 'jsonl', head: '' } as const

async function* linesOf(
  pages: AsyncIterable<readonly UsageRecord[]>,
  { head, line, signal }: { head: string; line: Writer['line']; signal: AbortSignal },
): AsyncGenerator<string> {
  if (head !== '') yield head
  for await (const page of pages) {
    if (signal.aborted) return
    yield page.map(line).join('')
  }
}

async function* noPages(): AsyncGenerator<readonly UsageRecord[]> {}
