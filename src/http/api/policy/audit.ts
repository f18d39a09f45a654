// Routes of the audit log: its events, newest first, and whether it is as it was written.
import { z } from 'zod'
import { auditOutcomes, type ChainedEvent } from '../../../audit/event.ts'
import { eventOf, formatPlace, parsePlace, type ChainPlace } from '../../../audit/chain.ts'
import type { AuditStore } from '../../../audit/store.ts'
import { auditFaults, type AuditVerification } from '../../../audit/verify.ts'
import { GatewayError } from '../../../base/errors.ts'
import { decodeCursor, makePage, pageOf, pageQuery } from '../page.ts'
import { defineRoute, type Route } from '../route.ts'
import { isoTime, timeShape } from '../view.ts'

export interface AuditRouteDeps {
  readonly auditEvents: Pick<AuditStore, 'list'>
  /** Reads the whole log, and holds it to what it must have; the signal ends it early. */
  verifyAudit(signal: AbortSignal, expected: readonly ChainPlace[]): Promise<AuditVerification>
}

const eventShape = z
  .strictObject({
    seq: z.int().describe('Its place in the log: 1, 2, 3 and so on, without a gap.'),
    id: z.string(),
    time: timeShape,
    action: z
      .string()
      .describe('Nouns and a verb, such as `keys.rotate`; see `x-audit-action` of each route.'),
    actor: z
      .strictObject({
        userId: z.string().optional(),
        username: z.string().optional(),
        roles: z.array(z.string()).optional(),
        via: z.string().optional().describe('`token`, `key`, `oauth`, `public` or `gateway`.'),
        keyId: z.string().optional(),
        loginId: z.string().optional(),
        grantId: z.string().optional(),
      })
      .describe('Empty where nobody proved who they are.'),
    resource: z.strictObject({ type: z.string(), id: z.string() }).optional(),
    made: z.string().optional().describe('Id of what was made, where that is not the resource.'),
    outcome: z
      .enum(auditOutcomes)
      .describe('`failed`: by the gateway or a server; it may have been done in part.'),
    status: z.int().optional(),
    code: z.string().optional(),
    ip: z.string().optional().describe("The socket's address."),
    userAgent: z.string().optional(),
    requestId: z.string().optional(),
    fields: z
      .array(z.string())
      .optional()
      .describe('Names of the fields that were sent, never their values.'),
    count: z.int().describe('How many like it this stands for.'),
    since: timeShape.optional().describe('When the first of them came; `time` is when they were summed up.'),
    note: z.string().optional(),
    hash: z.string().describe('Covers the event and the hash of the one before it.'),
  })
  .meta({ id: 'AuditEvent' })

const time = z.iso.datetime({ offset: true }).optional()
const listQuery = z.strictObject({
  ...pageQuery,
  from: time.describe('Events from then on.'),
  to: time.describe('Events before then.'),
  actor: z.string().max(64).optional().describe("A user's id."),
  action: z
    .string()
    .regex(/^[a-z][a-z.-]{0,99}(\.\*)?$/, 'must be an action such as keys.rotate, or keys.*')
    .optional(),
  resourceType: z.string().max(64).optional().describe('Such as `servers`.'),
  resource: z.string().max(200).optional().describe('Id of a resource.'),
})

const verificationShape = z
  .strictObject({
    ok: z.boolean(),
    events: z.int().describe('How many were looked at.'),
    first: z.int(),
    last: z.int(),
    head: z
      .string()
      .describe('The last place, `SEQ:HASH`. Keep it elsewhere, and hold a later verification to it.'),
    differenceCount: z.int(),
    differences: z
      .array(z.strictObject({ kind: z.enum(auditFaults), seq: z.int(), what: z.string() }))
      .describe('The first of them; `differenceCount` says how many there are.'),
  })
  .meta({ id: 'AuditVerification' })

const verifyQuery = z.strictObject({
  expect: z
    .string()
    .refine((text) => parsePlace(text) !== undefined, 'must be a place such as 1042:x7Qk…, as `head` is')
    .optional()
    .describe('A place that the log must hold: the `head` of an earlier verification.'),
})

const path = '/api/v1/audit'
const maxWaiting = 4

/** `/audit` and `/audit/verify`. */
export function auditRoutes(deps: AuditRouteDeps): Route[] {
  let turn: Promise<unknown> = Promise.resolve()
  let waiting = 0
  // One after another: each reads everything there is.
  const verifyInTurn = async (
    signal: AbortSignal,
    expected: readonly ChainPlace[],
  ): Promise<AuditVerification> => {
    if (waiting >= maxWaiting) throw new GatewayError('overloaded', { retryAfterS: 10 })
    waiting++
    const mine = turn.then(() => deps.verifyAudit(signal, expected))
    turn = mine.catch(() => {})
    try {
      return await mine
    } finally {
      waiting--
    }
  }
  return [
    defineRoute({
      method: 'GET',
      path,
      summary: 'Lists the events of the audit log, newest first',
      permission: 'audit:read',
      query: listQuery,
      response: pageOf(eventShape),
      handler: async ({ query }) => {
        const { limit, cursor, from, to, ...rest } = query
        const filter = { ...rest, fromMs: readTime(from), toMs: readTime(to) }
        const [before] = decodeCursor(cursor, 1) ?? []
        if (before !== undefined && !/^\d{1,18}$/.test(String(before)))
          throw new GatewayError('validation_failed', {
            fields: [{ field: 'cursor', message: 'not a cursor of this list' }],
          })
        const rows = await deps.auditEvents.list(filter, {
          before: before === undefined ? undefined : BigInt(String(before)),
          limit: limit + 1,
        })
        return makePage(rows, limit, {
          positionOf: ({ seq }) => [String(seq)],
          show: (row) => eventView(eventOf(row)),
        })
      },
    }),
    defineRoute({
      method: 'GET',
      path: `${path}/verify`,
      summary: 'Looks whether the audit log is as it was written, and names what is not',
      permission: 'audit:read',
      query: verifyQuery,
      response: verificationShape,
      errors: [503],
      handler: async ({ signal, query }) => {
        const place = query.expect === undefined ? undefined : parsePlace(query.expect)
        return verificationView(await verifyInTurn(signal, place ? [place] : []))
      },
    }),
  ]
}

const readTime = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : Date.parse(text)

function eventView(event: ChainedEvent): z.input<typeof eventShape> {
  const { seq, timeMs, sinceMs, actor, fields, count = 1, ...rest } = event
  const { roles, ...who } = actor
  return {
    ...rest,
    seq: Number(seq),
    time: isoTime(timeMs),
    actor: { ...who, ...(roles && { roles: [...roles] }) },
    ...(fields && { fields: [...fields] }),
    count,
    ...(sinceMs !== undefined && { since: isoTime(sinceMs) }),
  }
}

/** A verification as it is shown, by the API and on the command line. */
export function verificationView(found: AuditVerification): z.input<typeof verificationShape> {
  const { first, last, head, differences, ...rest } = found
  return {
    ...rest,
    first: Number(first),
    last: Number(last),
    head: formatPlace(head),
    differences: differences.map(({ kind, seq, what }) => ({ kind, seq: Number(seq), what })),
  }
}
