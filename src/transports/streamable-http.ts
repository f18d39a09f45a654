// Streamable HTTP towards clients, both eras: POST for messages, GET for the server's stream, DELETE to end a session.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { asGatewayError, GatewayError } from '../base/errors.ts'
import { classify } from '../eras/classify.ts'
import type { Principal } from '../identity/principal.ts'
import type { Incoming, Relay } from '../sessions/relay.ts'
import type { Session } from '../sessions/session.ts'
import type { Sessions } from '../sessions/sessions.ts'
import { isRequest, type JsonRpcMessage } from '../wire/json-rpc.ts'
import { parseMessage } from '../wire/parse.ts'
import type { Era } from '../wire/protocol-version.ts'
import { answerHeaders, HttpReply, sendError } from './http-reply.ts'
import { accepts, headFault, readBody } from './request-body.ts'

type Server = Incoming['server']
type Client = Incoming['client']

/** Where an authenticated request wants to go. */
export interface Target {
  readonly principal: Principal
  readonly server: Server
  readonly client: Client
  /** A session made by the REST API, named in the path; else the Mcp-Session-Id header names one. */
  readonly session?: Session
}

export interface StreamableHttpOptions {
  readonly relay: Relay
  readonly sessions: Sessions
  readonly maxBodyBytes: number
  readonly maxDepth: number
  /** The first `Mcp-Param-*` header that disagrees with the arguments of a modern tools/call, as a sentence. */
  readonly paramMismatch: (
    server: Server,
    message: JsonRpcMessage,
    headers: IncomingMessage['headers'],
  ) => undefined | Promise<string | undefined>
}

/** What the gateway asks of every upstream answer; the client's own Accept was checked against the same two. */
const accept = 'application/json, text/event-stream'
const maxKeyLength = 255

export class StreamableHttp {
  readonly #options: StreamableHttpOptions

  constructor(options: StreamableHttpOptions) {
    this.#options = options
  }

  /** Answers one request; never throws. */
  handle(request: IncomingMessage, response: ServerResponse, target: Target): void {
    try {
      if (request.method === 'POST') return this.#post(request, response, target)
      if (request.method === 'GET') return this.#get(request, response, target)
      if (request.method === 'DELETE') return this.#delete(request, response, target)
      sendError(response, new GatewayError('method_not_allowed'), null, { allow: 'POST, GET, DELETE' })
    } catch (thrown) {
      if (response.headersSent) response.destroy()
      else sendError(response, asGatewayError(thrown), null)
    }
  }

  #post(request: IncomingMessage, response: ServerResponse, target: Target): void {
    const fault = headFault(request)
    if (fault) return sendError(response, fault, null)
    readBody(request, this.#options.maxBodyBytes, (error, body) => {
      if (error) return sendError(response, error, null)
      const message = parseMessage(body, this.#options.maxDepth)
      if (message instanceof GatewayError) return sendError(response, message, null)
      const reply = new HttpReply(response, isRequest(message) ? message.id : null)
      try {
        const idempotencyKey = readIdempotencyKey(request, message)
        if (idempotencyKey instanceof GatewayError) return reply.refuse(idempotencyKey)
        this.#message({ request, target, message, body, reply, idempotencyKey })
      } catch (thrown) {
        reply.refuse(asGatewayError(thrown))
      }
    })
  }

  #message(post: Post): void {
    const { request, message, reply, target } = post
    const { headers } = request
    const verdict = classify(message, {
      protocolVersion: single(headers['mcp-protocol-version']),
      method: single(headers['mcp-method']),
      name: single(headers['mcp-name']),
    })
    if (verdict.kind === 'reject')
      return reply.refuse(new GatewayError(verdict.code, { detail: verdict.detail }))
    if (verdict.era === 'modern') return this.#modern(post)
    if (isRequest(message) && message.method === 'initialize') return void this.#initialize(post)
    const session = this.#findSession(request, target)
    if (session instanceof GatewayError) return reply.refuse(session)
    this.#options.sessions.touch(session)
    this.#relay(post, 'legacy', session)
  }

  #modern(post: Post): void {
    const { request, message, target, reply } = post
    if (target.server.transport.type === 'stdio') return reply.refuse(new GatewayError('unsupported_era'))
    const checking = this.#options.paramMismatch(target.server, message, request.headers)
    if (checking === undefined) return this.#relay(post, 'modern', undefined)
    checking
      .then((mismatch) => {
        if (mismatch === undefined) this.#relay(post, 'modern', undefined)
        else reply.refuse(new GatewayError('header_mismatch', { detail: mismatch }))
      })
      .catch((error: unknown) => reply.refuse(asGatewayError(error)))
  }

  /** The server picks the session's id, whatever the client sent (MCP 2025-11-25, "Session Management"). */
  async #initialize(post: Post): Promise<void> {
    const { principal, server, client, session: named } = post.target
    try {
      if (named && named.status !== 'created')
        throw new GatewayError('invalid_request', {
          detail: 'This session is initialized already; make another one.',
        })
      const info = clientInfo(post.message)
      const session =
        named ??
        (await this.#options.sessions.open(principal, {
          server,
          transport: 'streamable-http',
          ephemeral: true,
          client: info === undefined ? client : { ...client, info },
        }))
      this.#relay(post, 'legacy', session)
    } catch (thrown) {
      post.reply.refuse(asGatewayError(thrown))
    }
  }

  #relay(post: Post, era: Era, session: Session | undefined): void {
    const { request, target, message, body, reply, idempotencyKey } = post
    this.#options.relay.handle(
      {
        principal: target.principal,
        server: target.server,
        client: session?.client ?? target.client,
        transport: 'streamable-http',
        message,
        body,
        era,
        headers: era === 'modern' ? modernHeaders(request) : legacyHeaders(request),
        session,
        idempotencyKey,
      },
      reply,
    )
  }

  #get(request: IncomingMessage, response: ServerResponse, target: Target): void {
    const reply = new HttpReply(response, null)
    if (request.headers.accept !== undefined && !accepts(request.headers.accept, 'text/event-stream'))
      return sendError(response, new GatewayError('not_acceptable'), null)
    const session = this.#findSession(request, target)
    if (session instanceof GatewayError) {
      const noSession = session.code === 'session_required'
      return sendError(
        response,
        noSession ? new GatewayError('method_not_allowed') : session,
        null,
        noSession ? { allow: 'POST' } : {},
      )
    }
    this.#options.sessions.touch(session)
    const { principal, server } = target
    const headers = { ...legacyHeaders(request), accept: 'text/event-stream' }
    const lastEventId = single(request.headers['last-event-id'])
    this.#options.relay.stream(
      {
        principal,
        server,
        session,
        client: session.client,
        transport: 'streamable-http',
        era: 'legacy',
        headers: lastEventId === undefined ? headers : { ...headers, 'last-event-id': lastEventId },
      },
      reply,
    )
  }

  #delete(request: IncomingMessage, response: ServerResponse, target: Target): void {
    const session = this.#findSession(request, target)
    if (session instanceof GatewayError) return sendError(response, session, null)
    this.#options.sessions
      .close(session)
      .then(() => response.writeHead(200, answerHeaders).end())
      .catch((error: unknown) => sendError(response, asGatewayError(error), null))
  }

  /** The session of a legacy message: the path's or the header's, if it is this caller's and this server's. */
  #findSession(request: IncomingMessage, { session, principal, server }: Target): Session | GatewayError {
    const token = single(request.headers['mcp-session-id'])
    if (session) {
      const other = token !== undefined && token !== session.token
      return session.open && !other ? session : new GatewayError('session_not_found')
    }
    if (token === undefined || token === '') return new GatewayError('session_required')
    const found = this.#options.sessions.findByToken(token, { userId: principal.userId, serverId: server.id })
    return found ?? new GatewayError('session_not_found')
  }
}

interface Post {
  readonly request: IncomingMessage
  readonly target: Target
  readonly message: JsonRpcMessage
  readonly body: Buffer
  readonly reply: HttpReply
  readonly idempotencyKey: string | undefined
}

const single = (value: string | string[] | undefined): string | undefined =>
  Array.isArray(value) ? value[0] : value

function legacyHeaders(request: IncomingMessage): Readonly<Record<string, string>> {
  const version = single(request.headers['mcp-protocol-version'])
  return version === undefined ? { accept } : { accept, 'mcp-protocol-version': version }
}

const forwarded = /^mcp-(?:protocol-version|method|name|param-.+)$/

/** The protocol's own headers of a modern request; a session id, or what other gateways call mcp-…, is not among them. */
function modernHeaders(request: IncomingMessage): Readonly<Record<string, string>> {
  const headers: Record<string, string> = { accept }
  for (const name in request.headers) {
    const value = forwarded.test(name) ? request.headers[name] : undefined
    if (typeof value === 'string') headers[name] = value
  }
  return headers
}

/** `name/version` that the client says of itself, for the record. */
function clientInfo(message: JsonRpcMessage): string | undefined {
  const info = message.params?.['clientInfo'] as { name?: unknown; version?: unknown } | undefined
  if (typeof info?.name !== 'string') return undefined
  const version = typeof info.version === 'string' ? info.version : ''
  return `${info.name}/${version}`.replace(/\p{Cc}/gu, ' ').slice(0, 200)
}

function readIdempotencyKey(
  request: IncomingMessage,
  message: JsonRpcMessage,
): string | undefined | GatewayError {
  const meta = message.params?.['_meta'] as Readonly<Record<string, unknown>> | undefined
  const key = single(request.headers['idempotency-key']) ?? meta?.['tollbridge/idempotency-key']
  if (key === undefined) return undefined
  if (typeof key === 'string' && key !== '' && key.length <= maxKeyLength) return key
  return new GatewayError('invalid_request', {
    detail: `An idempotency key has 1 to ${maxKeyLength} characters.`,
  })
}
