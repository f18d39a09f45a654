// Routes of sessions: opening one with a server, and reading and ending those there are.
import { z } from 'zod'
import { GatewayError } from '../../../base/errors.ts'
import type { Principal } from '../../../identity/principal.ts'
import { may } from '../../../policy/roles.ts'
import type { Server } from '../../../registry/server.ts'
import type { Registry } from '../../../registry/servers.ts'
import type { SessionRequest } from '../../../sessions/session-charge.ts'
import type { Session } from '../../../sessions/session.ts'
import type { Sessions } from '../../../sessions/sessions.ts'
import type { SessionStore, StoredSession } from '../../../sessions/store.ts'
import { pageOf, pageQuery } from '../page.ts'
import { Answer, defineRoute, type Context, type Route } from '../route.ts'
import { getUsable } from './server-access.ts'
import { idParams, isoTime, pageById, readId, timeShape } from '../view.ts'

/**
 * Records and charges `session/create`; resolves when that is durable. Rejects with `balance_exhausted` where it
 * cannot be paid; `data.callId` of an error names the record of the refusal, where there is one.
 */
export type RecordSession = (
  principal: Principal,
  server: Server,
  session: Session,
  request: SessionRequest,
) => Promise<{ readonly callId: string }>

export interface SessionRouteDeps {
  readonly registry: Registry
  readonly sessions: Sessions
  readonly sessionStore: SessionStore
  readonly recordSession: RecordSession
  publicUrl(): string
}

const statusWord = z.enum(['created', 'connected', 'active', 'expired', 'closed'])

const sessionShape = z
  .strictObject({
    id: z.string(),
    serverId: z.string(),
    userId: z.string(),
    transport: z.enum(['streamable-http', 'sse', 'websocket', 'stdio', 'api']),
    status: statusWord,
    endpoints: z
      .strictObject({
        streamableHttp: z.string().describe('URL for a client of Streamable HTTP.'),
        sse: z.string().describe('URL for a client of HTTP+SSE.'),
        message: z.string().describe('Where that client posts its messages, as its stream tells it.'),
        websocket: z.string().describe('URL for a client of WebSocket, subprotocol `mcp`.'),
      })
      .describe('The session, over each transport. It can be initialized once.'),
    createdAt: timeShape,
    lastActiveAt: timeShape,
    expiresAt: timeShape.describe('The latest end; without messages it ends earlier.'),
  })
  .meta({ id: 'Session' })

const sessionStatusShape = z
  .strictObject({ id: z.string(), status: statusWord, lastActiveAt: timeShape, expiresAt: timeShape })
  .meta({ id: 'SessionStatus' })

const sessionInput = z.strictObject({
  transport: z
    .enum(['streamable-http', 'sse', 'websocket', 'stdio'])
    .default('streamable-http')
    .describe('What the session is meant for; every endpoint of it works.'),
})

type AnySession = Session | StoredSession

function sessionView(session: AnySession, publicUrl: string): z.input<typeof sessionShape> {
  const { id, serverId, userId, transport, status } = session
  return {
    id,
    serverId,
    userId,
    transport,
    status,
    endpoints: endpointsOf(`${publicUrl}/api/v1/sessions/${id}`),
    createdAt: isoTime(session.createdAtMs),
    lastActiveAt: isoTime(session.lastActiveAtMs),
    expiresAt: isoTime(session.expiresAtMs),
  }
}

const endpointsOf = (base: string): z.input<typeof sessionShape>['endpoints'] => ({
  streamableHttp: `${base}/mcp`,
  sse: `${base}/sse`,
  message: `${base}/message`,
  websocket: `${base.replace(/^http/, 'ws')}/ws`,
})

const path = '/api/v1/sessions'

/** `/servers/{id}/sessions`, `/sessions` and `/sessions/{id}`. */
export function sessionRoutes(deps: SessionRouteDeps): Route[] {
  return [openRoute(deps), listRoute(deps), ...itemRoutes(deps)]
}

function openRoute(deps: SessionRouteDeps): Route {
  return defineRoute({
    method: 'POST',
    path: '/api/v1/servers/{id}/sessions',
    summary: 'Opens a session with a server',
    description:
      'Recorded, and priced where a rule matches its method `session/create`; `Tollbridge-Call-Id` names the record.',
    permission: 'signed-in',
    params: idParams,
    body: sessionInput.prefault({}),
    response: sessionShape,
    status: 201,
    errors: [402, 403, 404, 429, 503],
    handler: async (context) => {
      const { principal } = context
      const server = getUsable(deps.registry, context.params.id, principal)
      const { transport } = context.body
      const { session, callId } = await openSession(deps, { principal, server, transport, context })
      // An answer of its own, so that a repetition by Idempotency-Key carries the header too.
      return new Answer(
        'application/json; charset=utf-8',
        JSON.stringify(sessionView(session, deps.publicUrl())),
        {
          status: 201,
          headers: { location: `${path}/${session.id}`, 'tollbridge-call-id': callId },
        },
      )
    },
  })
}

type SessionTransport = z.output<typeof sessionInput>['transport']
type RequestParts = Pick<Context, 'headers' | 'clientIp' | 'setHeader'>

/** A session that cannot be paid for does not stay open. */
async function openSession(
  deps: SessionRouteDeps,
  from: { principal: Principal; server: Server; transport: SessionTransport; context: RequestParts },
): Promise<{ session: Session; callId: string }> {
  const { principal, server, transport, context } = from
  const request = requestOf(context)
  const session = await deps.sessions.open(principal, {
    server,
    transport,
    client: request.client,
    ephemeral: false,
  })
  try {
    const { callId } = await deps.recordSession(principal, server, session, request)
    return { session, callId }
  } catch (error) {
    await deps.sessions.close(session)
    if (error instanceof GatewayError && typeof error.data.callId === 'string')
      context.setHeader('tollbridge-call-id', error.data.callId)
    throw error
  }
}

function requestOf({ headers, clientIp }: RequestParts): SessionRequest {
  const idempotencyKey = headers['idempotency-key']
  return {
    client: { ip: clientIp, userAgent: (headers['user-agent'] ?? '').slice(0, 200) },
    requestBytes: Number(headers['content-length'] ?? 0),
    ...(typeof idempotencyKey === 'string' && { idempotencyKey }),
  }
}

function listRoute(deps: SessionRouteDeps): Route {
  return defineRoute({
    method: 'GET',
    path,
    summary: 'Lists sessions, newest first: your own; administrators and auditors see all',
    permission: 'signed-in',
    query: z.strictObject({
      ...pageQuery,
      user: z
        .string()
        .regex(/^usr_[0-9a-z]{26}$/, 'a user id')
        .optional()
        .describe('Only the sessions of this user.'),
    }),
    response: pageOf(sessionShape),
    errors: [403],
    handler: async ({ principal, query }) => {
      const seesAll = may(principal, 'sessions:read-all')
      if (!seesAll && query.user !== undefined && query.user !== principal.userId)
        throw new GatewayError('forbidden')
      const userId = seesAll ? query.user : principal.userId
      const page = await pageById(query, {
        fetch: ({ limit, id }) =>
          deps.sessionStore.list({
            limit,
            ...(userId !== undefined && { userId }),
            ...(id !== undefined && { before: id }),
          }),
        show: (stored) => deps.sessions.findById(stored.id) ?? stored,
      })
      const seen = page.items.filter((session) => isInKeyScope(deps, session, principal))
      return { ...page, items: seen.map((session) => sessionView(session, deps.publicUrl())) }
    },
  })
}

function itemRoutes(deps: SessionRouteDeps): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: `${path}/{id}`,
      summary: 'Shows a session',
      permission: 'signed-in',
      params: idParams,
      response: sessionShape,
      errors: [404],
      handler: async ({ principal, params }) =>
        sessionView(await getSession(deps, params.id, principal), deps.publicUrl()),
    }),
    defineRoute({
      method: 'GET',
      path: `${path}/{id}/status`,
      summary: 'Shows where a session stands',
      permission: 'signed-in',
      params: idParams,
      response: sessionStatusShape,
      errors: [404],
      handler: async ({ principal, params }) => {
        const { id, status, lastActiveAtMs, expiresAtMs } = await getSession(deps, params.id, principal)
        return { id, status, lastActiveAt: isoTime(lastActiveAtMs), expiresAt: isoTime(expiresAtMs) }
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: `${path}/{id}`,
      summary: 'Closes a session; closing one that has ended changes nothing',
      permission: 'signed-in',
      params: idParams,
      errors: [403, 404],
      handler: async ({ principal, params }) => {
        const { id, userId } = await getSession(deps, params.id, principal)
        if (userId !== principal.userId && !may(principal, 'sessions:manage-all'))
          throw new GatewayError('forbidden')
        const live = deps.sessions.findById(id)
        if (live) await deps.sessions.close(live)
        return undefined
      },
    }),
  ]
}

/** A session, live or ended; `not_found` for another's exactly as for none. */
async function getSession(deps: SessionRouteDeps, text: string, principal: Principal): Promise<AnySession> {
  const id = readId(text, 'ses')
  const session = deps.sessions.findById(id) ?? (await deps.sessionStore.find(id))
  const isSeen = session && (session.userId === principal.userId || may(principal, 'sessions:read-all'))
  if (!isSeen || !isInKeyScope(deps, session, principal)) throw new GatewayError('not_found')
  return session
}

/** A key that is limited to servers reaches only their sessions. */
function isInKeyScope(deps: SessionRouteDeps, session: AnySession, principal: Principal): boolean {
  if (principal.servers === undefined) return true
  const name = deps.registry.findById(session.serverId)?.name
  return name !== undefined && principal.servers.includes(name)
}
