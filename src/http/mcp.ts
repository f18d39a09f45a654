// The MCP endpoints: from a request's path and credential to the transport that serves it.
import { ServerResponse, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { AuditResource } from '../audit/event.ts'
import type { Refusals } from '../audit/refusals.ts'
import { asGatewayError, GatewayError } from '../base/errors.ts'
import type { Authenticator } from '../identity/authenticate.ts'
import type { Principal } from '../identity/principal.ts'
import { resourceMetadataUrl } from '../identity/scopes.ts'
import { mayUse } from '../policy/access.ts'
import type { Server } from '../registry/server.ts'
import type { Endpoints } from '../registry/endpoints.ts'
import type { Session } from '../sessions/session.ts'
import type { Sessions } from '../sessions/sessions.ts'
import { sendError } from '../transports/http-reply.ts'
import type { HttpSse } from '../transports/http-sse.ts'
import type { StreamableHttp } from '../transports/streamable-http.ts'
import type { Target } from '../transports/target.ts'
import type { Upgrade, WebSockets } from '../transports/web-socket.ts'
import type { FindClientAddress } from './client-address.ts'
import { findCredential, findOfferedCredential } from './credential.ts'
import { challenge } from './errors.ts'
import { refusedFacts } from './refused.ts'

export interface McpOptions {
  readonly authenticator: Authenticator
  readonly endpoints: Endpoints
  readonly sessions: Sessions
  readonly streamableHttp: StreamableHttp
  readonly httpSse: HttpSse
  readonly webSockets: WebSockets
  readonly clientAddress: FindClientAddress
  /** Hears who was not let in. */
  readonly refusals: Pick<Refusals, 'add'>
  /** Base URL for the metadata that a 401 points to. */
  readonly publicUrl: () => string
  /** Scopes to ask for, where there is an authorization server that gives them. */
  readonly scope?: string | undefined
}

/** The transports' parts of an endpoint, by the last word of their paths. */
type Leg = 'mcp' | 'sse' | 'message' | 'ws'

/** What a path under /mcp or /api/v1/sessions/{id} names. */
export type McpPath = Named & { readonly leg: Leg }
/** `server` is a server's or a bundle's name; undefined for plain /mcp, which is everything the caller may use. */
type Named = { readonly server: string | undefined } | { readonly session: string }

const endpoint = /^\/mcp(?:\/(?!(?:sse|message|ws)$)([a-z0-9-]{1,64}))?(?:\/(sse|message|ws))?$/
const sessionEndpoint = /^\/api\/v1\/sessions\/(ses_[0-9a-z]{26})\/(mcp|sse|message|ws)$/

/** The MCP endpoint that a URL names; undefined where it is none, so that the API answers. */
export function findMcpPath(url: string): McpPath | 'unknown' | undefined {
  const query = url.indexOf('?')
  const path = query < 0 ? url : url.slice(0, query)
  const named = endpoint.exec(path)
  if (named) return { server: named[1], leg: (named[2] ?? 'mcp') as Leg }
  const [, session, sessionLeg] = sessionEndpoint.exec(path) ?? []
  if (session !== undefined) return { session, leg: sessionLeg as Leg }
  return path.startsWith('/mcp/') ? 'unknown' : undefined
}

/** Whether a request asks for a WebSocket where there is one; anything else that asks for another protocol stays HTTP. */
export function asksForWebSocket({ url = '/', headers }: IncomingMessage): boolean {
  const path = findMcpPath(url)
  const isWebSocket = headers.upgrade?.trim().toLowerCase() === 'websocket'
  return isWebSocket && typeof path === 'object' && path.leg === 'ws'
}

/**
 * The answer to a request whose connection was handed over for another protocol, should it stay HTTP after all. Throws
 * where an earlier request on the connection is not answered yet.
 */
export function answerTo({ request, socket }: Upgrade): ServerResponse {
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(socket as Socket)
  response.once('finish', () => (socket as Socket).destroySoon())
  return response
}

export class McpEndpoints {
  readonly #options: McpOptions

  constructor(options: McpOptions) {
    this.#options = options
  }

  /** Answers one request to an MCP path; never throws. */
  handle(request: IncomingMessage, response: ServerResponse, path: McpPath | 'unknown'): void {
    this.#authenticate({ request, response, path, credential: findCredential(request) })
  }

  /** Takes a connection that `asksForWebSocket`, or refuses it in HTTP; never throws. */
  upgrade(upgrade: Upgrade): void {
    const { request } = upgrade
    const path = findMcpPath(request.url ?? '/') ?? 'unknown'
    const credential = findCredential(request) ?? findOfferedCredential(request)
    this.#authenticate({ request, response: answerTo(upgrade), path, credential, upgrade })
  }

  #authenticate(asked: Asked): void {
    const { credential, response } = asked
    const verified =
      credential === undefined ? undefined : this.#options.authenticator.authenticate(credential)
    // Known credentials answer at once, without a turn of the event loop.
    if (!(verified instanceof Promise)) return this.#serve(asked, verified)
    verified.then(
      (principal) => this.#serve(asked, principal),
      (error: unknown) => sendError(response, asGatewayError(error), null),
    )
  }

  #serve(asked: Asked, caller: Principal | undefined): void {
    const { request, response, path } = asked
    // A token for another endpoint is none here (RFC 8707; MCP, "Token Audience Binding and Validation").
    const principal =
      caller?.resource === undefined || caller.resource === this.#resource(path) ? caller : undefined
    const found = path === 'unknown' ? undefined : this.#find(path, principal, asked.credential !== undefined)
    if (found && path !== 'unknown' && this.#mayUse(found)) {
      const client = {
        ip: this.#options.clientAddress(request),
        userAgent: (request.headers['user-agent'] ?? '').slice(0, 200),
      }
      return this.#hand(asked, { ...found, client }, path)
    }
    // Without a valid credential nobody learns which names exist.
    if (!principal) return this.#challenge(asked)
    const error = new GatewayError('not_found')
    this.#note(asked, error, principal)
    sendError(response, error, null)
  }

  /** To the transport of the endpoint's part. */
  #hand({ request, response, upgrade }: Asked, target: Target, path: McpPath): void {
    const { streamableHttp, httpSse, webSockets } = this.#options
    if (path.leg === 'mcp') return streamableHttp.handle(request, response, target)
    if (path.leg === 'message') return httpSse.take(request, response, target)
    if (path.leg === 'sse')
      return httpSse.open(request, response, { ...target, messagePath: this.#messagePath(path) })
    const fault = upgrade ? webSockets.fault(request, target) : notUpgraded
    if (fault || !upgrade) return sendError(response, fault ?? notUpgraded, null)
    response.detachSocket(upgrade.socket as Socket)
    webSockets.accept(upgrade, target)
  }

  /** As clients see it: a reverse proxy may have put a path before ours. */
  #messagePath(path: McpPath): string {
    const base = new URL(this.#options.publicUrl()).pathname.replace(/\/$/, '')
    return 'server' in path
      ? `${base}${endpointPath(path.server)}/message`
      : `${base}/api/v1/sessions/${path.session}/message`
  }

  #find(path: McpPath, principal: Principal | undefined, credentialSent: boolean): Found | undefined {
    const { endpoints, sessions } = this.#options
    if ('session' in path) {
      const session = sessions.findById(path.session)
      const server = session && endpoints.findById(session.serverId)
      const own = session !== undefined && principal?.userId === session.userId
      return server && own && principal ? { principal, server, session } : undefined
    }
    const server = endpoints.findByName(path.server)
    if (!server) return undefined
    if (principal) return { principal, server }
    return credentialSent ? undefined : publicCaller(server)
  }

  #mayUse({ server, principal }: Found): boolean {
    return mayUse(server, principal)
  }

  /** The URL of an endpoint, which all its parts share; sessions of the REST API take the credentials of that. */
  #resource(path: McpPath | 'unknown'): string | undefined {
    const isEndpoint = path !== 'unknown' && 'server' in path
    return isEndpoint ? `${this.#options.publicUrl()}${endpointPath(path.server)}` : undefined
  }

  #challenge(asked: Asked): void {
    const { response, path, credential } = asked
    const resource = this.#resource(path) ?? `${this.#options.publicUrl()}/mcp`
    const { scope } = this.#options
    const header = challenge(credential !== undefined, {
      resource_metadata: resourceMetadataUrl(resource),
      ...(scope !== undefined && { scope }),
    })
    const error = new GatewayError('unauthorized')
    this.#note(asked, error)
    sendError(response, error, null, { 'www-authenticate': header })
  }

  #note({ request, path }: Asked, error: GatewayError, principal?: Principal): void {
    const resource = path === 'unknown' ? undefined : resourceOf(path)
    const ip = this.#options.clientAddress(request)
    const refused = { action: 'mcp.connect', error, ip, principal, resource } as const
    this.#options.refusals.add(refusedFacts(request, refused))
  }
}

interface Asked {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly path: McpPath | 'unknown'
  readonly credential: string | undefined
  /** Where the client wants a WebSocket. */
  readonly upgrade?: Upgrade
}

function resourceOf(path: McpPath): AuditResource | undefined {
  if ('session' in path) return { type: 'sessions', id: path.session }
  return path.server === undefined ? undefined : { type: 'servers', id: path.server }
}

const endpointPath = (name: string | undefined): string => (name === undefined ? '/mcp' : `/mcp/${name}`)

const notUpgraded = new GatewayError('invalid_request', {
  detail: 'Open a WebSocket here; for HTTP, POST to the URL without /ws.',
})

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
