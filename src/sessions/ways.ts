// What the relay asks of whoever knows the ways to servers.
import type { Principal } from '../identity/principal.ts'
import type { Server } from '../registry/server.ts'
import type { Upstream } from '../upstreams/upstream.ts'
import type { Era } from '../wire/protocol-version.ts'
import type { JsonRpcMessage } from '../wire/json-rpc.ts'

export interface SessionOwner {
  readonly id: string
  readonly principal: Principal
}

export interface Addressed {
  readonly server: Server
  readonly tool?: string
}

/** Each throws a GatewayError where there is no way: `egress_denied`, `too_many_sessions`, `shutting_down`… */
export interface Ways {
  /** The one that all share, towards a server that tells sessions apart by itself. */
  shared(server: Server, caller: Principal): Upstream
  /** A legacy session's own, from its initialize to its end; undefined where it takes the shared one. */
  forSession(server: Server, session: SessionOwner, initialize: JsonRpcMessage): Upstream | undefined
  /** For one modern message; `caller` is who sends it. */
  forModern(server: Server, caller: Principal, message: JsonRpcMessage): Upstream
  /** The member of an aggregate that a request is for, and the member's own name of the tool; it is what is billed. */
  findMember(server: Server, caller: Principal, message: JsonRpcMessage): Addressed | undefined
  /** The era in which an aggregate speaks to a member, as far as it is known. */
  eraOf(server: Server): Era | undefined
}
