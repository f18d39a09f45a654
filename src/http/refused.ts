// What the audit log hears of requests that are refused before a route or a transport has them.
import type { IncomingMessage } from 'node:http'
import type { AuditFacts, AuditResource } from '../audit/event.ts'
import type { GatewayError } from '../base/errors.ts'
import type { Principal } from '../identity/principal.ts'
import { actorOf } from './api/audited.ts'

interface Refused {
  /** `http.request`: by Host or Origin. `mcp.connect`: at an MCP endpoint. */
  readonly action: 'http.request' | 'mcp.connect'
  readonly error: GatewayError
  /** Where the request comes from. */
  readonly ip: string
  readonly principal?: Principal | undefined
  readonly resource?: AuditResource | undefined
}

/** A refusal as it is summed up. The target of the request is not kept: it may hold anything. */
export function refusedFacts(
  request: IncomingMessage,
  { action, error, ip, principal, resource }: Refused,
): AuditFacts {
  const userAgent = request.headers['user-agent']?.slice(0, 200)
  return {
    action,
    actor: principal ? actorOf(principal) : {},
    outcome: error.status >= 500 ? 'failed' : 'refused',
    status: error.status,
    code: error.code,
    ip,
    ...(userAgent !== undefined && { userAgent }),
    ...(resource && { resource }),
  }
}
