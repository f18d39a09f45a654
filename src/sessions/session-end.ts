// Ending the server's side of a session that has ended on ours.
import type { Registry } from '../registry/servers.ts'
import type { Upstreams } from '../upstreams/pool.ts'
import type { Session } from './session.ts'

/** Deletes the server's session over HTTP, kills the child over stdio. Never rejects and never takes longer than `graceMs`. */
export function sessionEnd(options: { registry: Registry; upstreams: Upstreams; graceMs: number }) {
  return async (session: Session): Promise<void> => {
    const end = endUpstream(session, options).catch(() => {})
    const grace = new Promise<void>((resolve) => setTimeout(resolve, options.graceMs).unref())
    await Promise.race([end, grace])
  }
}

async function endUpstream(
  session: Session,
  { registry, upstreams }: Parameters<typeof sessionEnd>[0],
): Promise<void> {
  const { upstream, upstreamSessionId } = session
  const server = registry.findById(session.serverId)
  if (upstreamSessionId !== undefined && server?.transport.type === 'streamable-http') {
    const version = session.protocolVersion
    await (upstream ?? upstreams.for(server, session.principal)).endSession({
      'mcp-session-id': upstreamSessionId,
      ...(version !== undefined && { 'mcp-protocol-version': version }),
    })
  }
  await upstream?.close()
}
