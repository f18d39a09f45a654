// Streamable HTTP towards clients, both eras: POST for messages, GET for the server's stream, DELETE to end a session.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { asGatewayError, GatewayError } from '../base/errors.ts'
import { classify } from '../eras/classify.ts'
import type { Relay } from '../sessions/relay.ts'
import type { Reply } from '../sessions/reply.ts'
import type { Resumption } from '../sessions/resumption.ts'
import type { Session } from '../sessions/session.ts'
import type { Sessions } from '../sessions/sessions.ts'
import { isBatch } from '../wire/batch.ts'
import { isRequest, type JsonRpcMessage } from '../wire/json-rpc.ts'
import { parseMessage } from '../wire/parse.ts'
import type { Era } from '../wire/protocol-version.ts'
import { batchFault, parseBatch } from './batch-body.ts'
import { HttpBatch } from './http-batch.ts'
import { answerHeaders, HttpReply, sendError } from './http-reply.ts'
import { clientInfo, idempotencyKey } from './own-words.ts'
import { accepts, headFault, readBody } from './request-body.ts'
import type { Target } from './target.ts'

export interface StreamableHttpOptions {
  readonly relay: Relay
  readonly sessions: Sessions
  readonly resumption: Resumption
  readonly maxBodyBytes: number
  readonly maxDepth: number
  /** The first `Mcp-Param-*` header that disagrees with the arguments of a modern tools/call, as a sentence. */
  readonly paramMismatch: (
    target: Target,
    message: JsonRpcMessage,
    headers: IncomingMessage['headers'],
  ) => undefined | Promise<string | undefined>
}

/** What the gateway asks of every upstream answer; the client's own Accept was checked against the same two. */
const accept = 'application/json, text/event-stream'
const keyOfMany =
  'An Idempotency-Key header stands for one request; in a batch each has its own in _meta["tollbridge/idempotency-key"].'

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
      if (isBatch(body)) return this.#batch({ request, response, target, body })
      const message = parseMessage(body, this.#options.maxDepth)
      if (message instanceof GatewayError) return sendError(response, message, null)
      const reply = new HttpReply(response, isRequest(message) ? message.id : null)
      try {
        const key = idempotencyKey(message, single(request.headers['idempotency-key']))
        if (key instanceof GatewayError) return reply.refuse(key)
        this.#message({ request, target, message, body, reply, key })
      } catch (thrown) {
        reply.refuse(asGatewayError(thrown))
      }
    })
  }

  /** Each message of a batch is one of its own, with its own record; the answers go back together. */
  #batch({ request, response, target, body }: BatchPost): void {
    const session = this.#findSession(request, target)
    const version = session instanceof GatewayError ? undefined : session.protocolVersion
    const fault = batchFault(single(request.headers['mcp-protocol-version']), version)
    if (fault) return sendError(response, fault, null)
    if (request.headers['idempotency-key'] !== undefined)
      return sendError(response, new GatewayError('invalid_request', { detail: keyOfMany }), null)
    if (session instanceof GatewayError) return sendError(response, session, null)
    const parts = parseBatch(body, this.#options.maxDepth)
    if (parts instanceof GatewayError) return sendError(response, parts, null)
    this.#options.sessions.touch(session)
    const batch = new HttpBatch(response, parts.length)
    for (const part of parts) {
      const reply = batch.replyTo(part.message)
      try {
        const key = idempotencyKey(part.message)
        if (key instanceof GatewayError) reply.refuse(key)
        else this.#relay({ request, target, ...part, reply, key }, 'legacy', session)
      } catch (thrown) {
        reply.refuse(asGatewayError(thrown))
      }
    }
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
    const kept = isRequest(message) ? this.#options.resumption.keep(reply, session, message) : reply
    this.#relay({ ...post, reply: kept }, 'legacy', session)
  }

  #modern(post: Post): void {
    const { request, message, target, reply } = post
    const checking = this.#options.paramMismatch(target, message, request.headers)
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
    const { request, target, message, body, reply, key } = post
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
        idempotencyKey: key,
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
    this.#options.resumption.open(
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
      const other = token !== undefined && !this.#options.sessions.isTokenOf(session, token)
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
  readonly body: Uint8Array
  readonly reply: Reply
  /** The idempotency key. */
  readonly key: string | undefined
}

interface BatchPost extends Pick<Post, 'request' | 'target' | 'body'> {
  readonly response: ServerResponse
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
