// What a record says of a message before anything is known of its answer.
import type { JsonRpcMessage } from '../wire/json-rpc.ts'
import type { CallOrigin } from './charge.ts'
import type { Incoming } from './incoming.ts'
import type { Addressed } from './ways.ts'

const maxNameLength = 256

/** `member` is who answers, and is billed, where the client has asked an aggregate. */
export function originOf(
  incoming: Omit<Incoming, 'message'> & { message?: JsonRpcMessage },
  method: string,
  member?: Addressed,
): CallOrigin {
  const { principal, session, era, message } = incoming
  const server = member?.server ?? incoming.server
  const name = member?.tool ?? (method === 'tools/call' ? message?.params?.['name'] : undefined)
  return {
    userId: principal.userId,
    accountId: principal.accountId,
    serverId: server.id,
    server: server.name,
    method: method.slice(0, maxNameLength),
    transport: incoming.transport,
    upstreamTransport: server.transport.type,
    era,
    upstreamEra: era,
    requestBytes: incoming.body.length,
    client: incoming.client,
    keyId: principal.keyId,
    sessionId: session?.id,
    tool: typeof name === 'string' ? name.slice(0, maxNameLength) : undefined,
    idempotencyKey: incoming.idempotencyKey,
  }
}
