// The MCP endpoints: from a request's path and credential to the transport that serves it.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { asGatewayError, GatewayError } from '../base/errors.ts'
import type { Authenticator } from '../identity/authenticate.ts'
import type { Principal } from '../identity/principal.ts'
import { mayUse } from '../policy/access.ts'
import type { Server } from '../registry/server.ts'
import type { Registry } from '../registry/servers.ts'
import type { Session } from '../sessions/session.ts'
import type { Sessions } from '../sessions/sessions.ts'
import { sendError } from '../transports/http-reply.ts'
import type { StreamableHttp } from '../transports/streamable-http.ts'
import { findCredential } from './credential.ts'
import { challenge } from './errors.ts'

export interface McpOptions {
  readonly authenticator: Authenticator
  readonly registry: Registry
  readonly sessions: Sessions
  readonly streamableHttp: StreamableHttp
  /** Base URL for the metadata that a 401 points to. */
  readonly publicUrl: () => string
}

/** What a path under /mcp or /api/v1/sessions/{id} names. */
type McpPath = { readonly server: string } | { readonly session: string }

const endpoint = /^\/mcp\/([a-z0-9-]{1,64})$/
const sessionEndpoint = /^\/api\/v1\/sessions\/(ses_[0-9a-z]{26})\/mcp$/

/** The MCP endpoint that a URL names; undefined where it is none, so that the API answers. */
export function findMcpPath(url: string): McpPath | 'unknown' | undefined {
  const query = url.indexOf('?')
  const path = query < 0 ? url : url.slice(0, query)
  const server = endpoint.exec(path)?.[1]
  if (server !== undefined) return { server }
  const session = sessionEndpoint.exec(path)?.[1]
  if (session !== undefined) return { session }
  return path === '/mcp' || path.startsWith('/mcp/') ? 'unknown' : undefined
}

export class McpEndpoints {
  readonly #options: McpOptions

  constructor(options: McpOptions) {
    this.#options = options
  }

  /** Answers one request to an MCP path; never throws. */
  handle(request: IncomingMessage, response: ServerResponse, path: McpPath | 'unknown'): void {
    const credential = findCredential(request)
    const verified =
      credential === undefined ? undefined : this.#options.authenticator.authenticate(credential)
    // Known credentials answer at once, without a turn of the event loop.
    if (!(verified instanceof Promise)) return this.#serve({ request, response, path, credential }, verified)
    verified.then(
      (principal) => this.#serve({ request, response, path, credential }, principal),
      (error: unknown) => sendError(response, asGatewayError(error), null),
    )
  }

  #serve(asked: Asked, principal: Principal | undefined): void {
    const { request, response, path } = asked
    const found = path === 'unknown' ? undefined : this.#find(path, principal, asked.credential !== undefined)
    if (found && this.#mayUse(found)) {
      const client = {
        ip: request.socket.remoteAddress ?? '',
        userAgent: (request.headers['user-agent'] ?? '').slice(0, 200),
      }
      const { principal: caller, server, session } = found
      return this.#options.streamableHttp.handle(request, response, {
        principal: caller,
        server,
        session,
        client,
      })
    }
    // Without a valid credential nobody learns which names exist.
    if (!principal) return this.#challenge(asked)
    sendError(response, new GatewayError('not_found'), null)
  }

  #find(path: McpPath, principal: Principal | undefined, credentialSent: boolean): Found | undefined {
    const { registry, sessions } = this.#options
    if ('session' in path) {
      const session = sessions.findById(path.session)
      const server = session && registry.findById(session.serverId)
      const own = session !== undefined && principal?.userId === session.userId
      return server && own && principal ? { principal, server, session } : undefined
    }
    const server = registry.findByName(path.server)
    if (!server) return undefined
    if (principal) return { principal, server }
    return credentialSent ? undefined : publicCaller(server)
  }

  #mayUse({ server, principal }: Found): boolean {
    return mayUse(server, principal)
  }

  #challenge({ response, path, credential }: Asked): void {
    const suffix = path !== 'unknown' && 'server' in path ? `/mcp/${path.server}` : '/mcp'
    const metadata = `${this.#options.publicUrl()}/.well-known/oauth-protected-resource${suffix}`
    const header = challenge(credential !== undefined, { resource_metadata: metadata })
    sendError(response, new GatewayError('unauthorized'), null, { 'www-authenticate': header })
  }
}

interface Asked {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly path: McpPath | 'unknown'
  readonly credential: string | undefined
}

interface Found {
  readonly principal: Principal
  readonly server: Server
  readonly session?: Session
}

/** Whoever calls a public server without a credential, billed to the account that the server names. */
function publicCaller(server: Server): Found | undefined {
  if (server.access !== 'public' || server.publicAccountId === undefined) return undefined
  const principal: Principal = {
    userId: 'public',
    username: 'public',
    roles: [],
    accountId: server.publicAccountId,
    via: 'public',
  }
  return { principal, server }
}
