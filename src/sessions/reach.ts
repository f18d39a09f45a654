// Where a message goes: the way to its server, and what its record says of that way.
import type { Principal } from '../identity/principal.ts'
import type { Server } from '../registry/server.ts'
import type { Upstream, UpstreamExchange, UpstreamSink } from '../upstreams/upstream.ts'
import type { JsonRpcMessage } from '../wire/json-rpc.ts'
import type { Era } from '../wire/protocol-version.ts'
import type { Call } from './call.ts'
import type { Charge } from './charge.ts'
import type { Session } from './session.ts'
import { noWay } from './unsent.ts'
import type { Ways } from './ways.ts'

type Headers = Readonly<Record<string, string>>

export interface To {
  readonly principal: Principal
  readonly server: Server
  readonly session?: Session
  readonly era: Era
  readonly message?: JsonRpcMessage
  /** Whose record names the way; absent where there is no record. */
  readonly charge?: Charge
  /** The member of the server, an aggregate, that it is for. */
  readonly member?: Server
}

export const toOf = ({
  input: { principal, server, endpoint, session, era, request, charge },
}: Call): To => ({
  principal,
  server: endpoint,
  session,
  era,
  message: request,
  charge,
  member: server === endpoint ? undefined : server,
})

/** Uses the way to the server; where there is none (address no longer allowed, shut down), the sink hears of it. */
export function reach(
  ways: Ways,
  to: To,
  sink: UpstreamSink,
  use: (upstream: Upstream) => UpstreamExchange,
): UpstreamExchange {
  try {
    const way = wayTo(ways, to)
    if (to.charge) to.charge.way = eraOf(ways, to, way)
    return use(way)
  } catch (cause) {
    return noWay(sink, cause)
  }
}

export function withSession(headers: Headers, session: Session | undefined): Headers {
  const id = session?.upstreamSessionId
  return id === undefined ? headers : { ...headers, 'mcp-session-id': id }
}

function wayTo(ways: Ways, { server, session, era, principal, message }: To): Upstream {
  if (session) return session.upstream ?? ways.shared(server, session.principal)
  return era === 'modern' && message
    ? ways.forModern(server, principal, message)
    : ways.shared(server, principal)
}

/** What the record says of the way: of an aggregate's, how its member is spoken to. Asked when the call is settled. */
function eraOf(ways: Ways, { member }: To, way: Upstream): { readonly era?: Era | undefined } {
  if (!member) return way
  return {
    get era() {
      return ways.eraOf(member) ?? way.era
    },
  }
}
