// Routes of open streams: those of sessions and the subscriptions, as they stand, and closing one by hand.
import { z } from 'zod'
import { GatewayError } from '../../../base/errors.ts'
import { CallIds, formatCallId, parseCallId } from '../../../base/id.ts'
import type { Principal } from '../../../identity/principal.ts'
import { may } from '../../../policy/roles.ts'
import type { OpenStream, OpenStreams } from '../../../sessions/open-streams.ts'
import { makePage, pageOf, pageQuery } from '../page.ts'
import { defineRoute, type Route } from '../route.ts'
import { decodeCallCursor, idParams, isoTime, timeShape } from '../view.ts'

export interface StreamRouteDeps {
  readonly openStreams: Pick<OpenStreams, 'list' | 'find'>
}

const streamShape = z
  .strictObject({
    id: z.string().describe('Of the record that it has when it ends.'),
    method: z.string().describe("`stream`: a session's own. `subscriptions/listen`: one that stands alone."),
    serverId: z.string(),
    userId: z.string(),
    sessionId: z.string().optional(),
    transport: z.enum(['streamable-http', 'sse', 'websocket', 'stdio', 'api']),
    clientIp: z.string(),
    openedAt: timeShape,
  })
  .meta({ id: 'Stream' })

function streamView({ charge: { id, callId, origin } }: OpenStream): z.input<typeof streamShape> {
  const { method, serverId, userId, sessionId, transport, client } = origin
  return {
    id: callId,
    method,
    serverId,
    userId,
    ...(sessionId !== undefined && { sessionId }),
    transport,
    clientIp: client.ip,
    openedAt: isoTime(CallIds.timeMs(id)),
  }
}

const path = '/api/v1/streams'

/** `/streams` and `/streams/{id}`. */
export function streamRoutes({ openStreams }: StreamRouteDeps): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path,
      summary: 'Lists open streams, newest first: your own; administrators and auditors see all',
      permission: 'signed-in',
      query: z.strictObject(pageQuery),
      response: pageOf(streamShape),
      handler: ({ principal, query: { limit, cursor } }) => {
        const before = decodeCallCursor(cursor)
        const seen = openStreams
          .list()
          .filter(
            (stream) => maySee(stream, principal) && (before === undefined || stream.charge.id < before),
          )
        return makePage(seen.slice(0, limit + 1), limit, {
          positionOf: ({ charge }) => [formatCallId(charge.id)],
          show: streamView,
        })
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: `${path}/{id}`,
      summary: 'Closes a stream; it is recorded, and its client may open another',
      permission: 'signed-in',
      params: idParams,
      errors: [403, 404],
      handler: ({ principal, params }) => {
        const id = parseCallId(params.id)
        const stream = id === undefined ? undefined : openStreams.find(id)
        if (!stream || !maySee(stream, principal)) throw new GatewayError('not_found')
        if (!isOwn(stream, principal) && !may(principal, 'sessions:manage-all'))
          throw new GatewayError('forbidden')
        stream.stop()
        return undefined
      },
    }),
  ]
}

const isOwn = ({ charge }: OpenStream, { userId }: Principal): boolean => charge.origin.userId === userId

/** A key that is limited to servers reaches only their streams. */
const maySee = (stream: OpenStream, principal: Principal): boolean =>
  (isOwn(stream, principal) || may(principal, 'sessions:read-all')) &&
  (principal.servers === undefined || principal.servers.includes(stream.charge.origin.server))
