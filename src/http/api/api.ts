// The HTTP API: registers route values on fastify, and does for all of them what none should do for itself.
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { z } from 'zod'
import { GatewayError, asGatewayError, assert } from '../../base/errors.ts'
import { newId } from '../../base/id.ts'
import type { Log } from '../../base/log.ts'
import type { IdempotencyStore, StoredAnswer } from '../../idempotency/reservation.ts'
import type { Principal } from '../../identity/principal.ts'
import { may } from '../../policy/roles.ts'
import { problemType, toProblem } from '../errors.ts'
import { securityHeaders, sendAnswer, toAnswer, type AnyAnswer } from './answer.ts'
import {
  actorOf,
  auditAction,
  fieldsOf,
  recordAnswer,
  recordRefusal,
  type ApiAudit,
  type AuditedRequest,
} from './audited.ts'
import type { ConsoleFiles } from '../console-files.ts'
import type { FindClientAddress } from '../client-address.ts'
import { findSessionSecret, isForgery } from '../session-cookie.ts'
import { parseForm, parseJson, readQuery, validate } from './body.ts'
import { corsHeaders, preflightHeaders } from './cors.ts'
import { IdempotentRequests, fingerprintOf, readIdempotencyKey } from './idempotency.ts'
import type { Context, Route } from './route.ts'

export interface ApiOptions {
  readonly routes: readonly Route[]
  readonly log: Log
  readonly maxBodyBytes: number
  readonly maxDepth: number
  /**
   * Who sent this request, by `Authorization: Bearer` or `X-API-Key`; undefined where the credential is missing or
   * not valid. May throw a GatewayError of its own, such as `store_unavailable`.
   */
  authenticate(request: IncomingMessage): Principal | undefined | Promise<Principal | undefined>
  /** Verifies the cookie of a browser, where a request has no other credential. */
  authenticateBrowser(secret: string): Principal | undefined | Promise<Principal | undefined>
  readonly publicUrl: () => string
  readonly clientAddress: FindClientAddress
  readonly idempotency: IdempotencyStore
  /** The web console, where this listener has it. */
  readonly console?: ConsoleFiles | undefined
  readonly audit: ApiAudit
  /** Origins whose pages may read answers. Default: none, so no CORS header is ever sent. */
  readonly allowedOrigins?: readonly string[]
  /** Fails an answer that is not as documented; for tests. */
  readonly checkAnswers?: boolean
}

export interface Api {
  /** Answers one request; the listener of a `node:http` server. */
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void
  /** Aborts the signal of every request in flight, which ends the endless streams. */
  endStreams(): void
  close(): Promise<void>
}

interface Shared extends ApiOptions {
  readonly asked: WeakMap<FastifyRequest, AuditedRequest>
  readonly idempotent: IdempotentRequests
  readonly inFlight: Set<AbortController>
}

const everyMethod = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const
const formType = 'application/x-www-form-urlencoded'
const noFields = z.strictObject({}).optional()

/** Builds the API out of its routes. */
export async function createApi(options: ApiOptions): Promise<Api> {
  const shared: Shared = {
    ...options,
    asked: new WeakMap(),
    idempotent: new IdempotentRequests(options.idempotency, options.log),
    inFlight: new Set(),
  }
  const app = fastify({
    logger: false,
    bodyLimit: options.maxBodyBytes,
    exposeHeadRoutes: false,
    genReqId: () => newId('req'),
    requestIdHeader: false,
    return503OnClosing: false,
    routerOptions: { maxParamLength: 255 },
    frameworkErrors: (error, request, reply) => sendProblem(shared, error, request, reply),
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(['application/json', formType], { parseAs: 'buffer' }, (_request, body, done) =>
    done(null, body),
  )
  app.addHook('onRequest', async (request, reply) => startAnswer(shared, request, reply))
  app.setErrorHandler((error, request, reply) => sendProblem(shared, error, request, reply))
  const hasDocs = options.routes.some(({ path }) => path === '/docs')
  const noRoute = hasDocs
    ? 'There is no such route; see /docs for those there are.'
    : 'There is no such route.'
  app.setNotFoundHandler((request, reply) => {
    if (options.console?.serveView(request.raw, reply.raw) === true) return reply.hijack()
    throw new GatewayError('not_found', { detail: noRoute })
  })
  for (const [path, routes] of byPath(options.routes)) registerPath(app, path, { routes, shared })
  await app.ready()
  return {
    handle: (request, response) => {
      if (options.console?.serve(request, response) !== true) app.routing(request, response)
    },
    endStreams: () => shared.inFlight.forEach((controller) => controller.abort()),
    close: async () => app.close(),
  }
}

function byPath(routes: readonly Route[]): Map<string, Route[]> {
  const paths = new Map<string, Route[]>()
  for (const route of routes) {
    for (const path of [route.path, ...(route.aliases ?? [])]) {
      const same = paths.get(path) ?? []
      assert(
        !same.some((other) => other.method === route.method),
        `${route.method} ${path} is registered once`,
      )
      paths.set(path, [...same, route])
    }
  }
  return paths
}

/** The routes of one path, OPTIONS for it, and 405 with Allow for every other method (RFC 9110 section 15.5.6). */
function registerPath(app: FastifyInstance, path: string, given: { routes: Route[]; shared: Shared }): void {
  const { routes, shared } = given
  const url = path.replaceAll(/\{(\w+)\}/g, ':$1')
  const allowed = new Set<string>(['OPTIONS'])
  for (const route of routes) {
    const methods = withHead(route)
    methods.forEach((method) => allowed.add(method))
    app.route({
      method: methods,
      url,
      bodyLimit: Math.min(route.maxBodyBytes ?? Infinity, shared.maxBodyBytes),
      onRequest: async (request) => admit(shared, route, request),
      handler: async (request, reply) => answerRoute(shared, route, { request, reply }),
    })
  }
  const allow = everyMethod.filter((method) => allowed.has(method)).join(', ')
  app.route({
    method: 'OPTIONS',
    url,
    handler: async (request, reply) =>
      reply
        .code(204)
        .header('allow', allow)
        .headers(preflightHeaders(request.headers, allow, shared.allowedOrigins))
        .send(),
  })
  app.route({
    method: everyMethod.filter((method) => !allowed.has(method)),
    url,
    // Before the body is read: what it holds does not matter.
    onRequest: async (_request, reply) => {
      reply.header('allow', allow)
      throw new GatewayError('method_not_allowed')
    },
    handler: () => undefined,
  })
}

/** HEAD comes with every GET that ends by itself. */
const withHead = (route: Route): string[] =>
  route.method === 'GET' && route.contentType !== 'text/event-stream' ? ['GET', 'HEAD'] : [route.method]

function startAnswer(shared: Shared, request: FastifyRequest, reply: FastifyReply): void {
  reply.headers({ ...securityHeaders, 'x-request-id': request.id })
  reply.headers(corsHeaders(request.headers, shared.allowedOrigins))
  // A trailing slash must not be read as an empty id.
  if (Object.values(request.params ?? {}).includes('')) throw new GatewayError('not_found')
}

/** Authentication and permission, before a byte of the body is read. */
async function admit(shared: Shared, route: Route, request: FastifyRequest): Promise<void> {
  const asked = audited(shared, route, request)
  shared.asked.set(request, asked)
  if (route.permission === 'public') return
  const principal = await callerOf(shared, route, request)
  if (principal) asked.note = { actor: actorOf(principal) }
  // A token for one MCP endpoint is for that endpoint alone (RFC 8707).
  if (!principal || principal.resource !== undefined) throw new GatewayError('unauthorized')
  if (route.permission !== 'signed-in' && !may(principal, route.permission)) {
    throw new GatewayError('forbidden')
  }
  asked.principal = principal
}

/** By a credential of its own, or by the cookie of a browser: then a change has to come from a page of ours. */
async function callerOf(
  shared: Shared,
  route: Route,
  request: FastifyRequest,
): Promise<Principal | undefined> {
  const secret = credentialSent(request) ? undefined : findSessionSecret(request.headers)
  if (secret === undefined) return shared.authenticate(request.raw)
  const principal = await shared.authenticateBrowser(secret)
  if (principal && route.method !== 'GET' && isForgery(request.headers, secret, shared.publicUrl()))
    throw new GatewayError('forbidden', { detail: forged })
  return principal
}

const forged =
  'A change by cookie needs the header Tollbridge-CSRF with the token of GET /api/v1/auth/session, from a page of the gateway itself.'

const audited = (shared: Shared, route: Route, request: FastifyRequest): AuditedRequest => ({
  route,
  id: request.id,
  ip: shared.clientAddress(request.raw),
  userAgent: request.headers['user-agent']?.slice(0, 200),
  params: (request.params ?? {}) as Record<string, unknown>,
  note: {},
})

const credentialSent = (request: FastifyRequest): boolean =>
  request.headers.authorization !== undefined || request.headers['x-api-key'] !== undefined

interface Exchange {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
}

async function answerRoute(shared: Shared, route: Route, exchange: Exchange): Promise<FastifyReply> {
  const { request, reply } = exchange
  const controller = new AbortController()
  shared.inFlight.add(controller)
  reply.raw.once('close', () => {
    shared.inFlight.delete(controller)
    controller.abort()
  })
  const bytes = readBytes(request)
  const context = makeContext(shared, route, { ...exchange, bytes, signal: controller.signal })
  // Nothing more is changed while what was changed before is not written down.
  if (auditAction(route) !== undefined) await shared.audit.log.ensureWritable()
  const execute = async (): Promise<AnyAnswer> =>
    toAnswer(route, await route.handler(context), shared.checkAnswers ?? false)
  const key = request.headers['idempotency-key']
  const answer =
    route.method === 'POST' && key !== undefined && !route.keyless
      ? await shared.idempotent.run(
          {
            scope: context.principal?.userId ?? `public ${context.clientIp}`,
            key: readIdempotencyKey(String(key)),
            fingerprint: fingerprintOf(route.method, request.raw.url ?? '', bytes),
            lasting: route.lasting ?? false,
          },
          async () => storable(shared, exchange, execute),
        )
      : await execute()
  const asked = shared.asked.get(request)
  if (asked) await recordAnswer(shared.audit, asked, answer)
  await sendAnswer(reply, answer)
  return reply
}

/** An answer that can be kept: refusals become problems here, so that all who wait for them get the same. */
async function storable(
  shared: Shared,
  { request, reply }: Exchange,
  execute: () => Promise<AnyAnswer>,
): Promise<StoredAnswer> {
  try {
    const answer = await execute()
    assert('body' in answer && typeof answer.body === 'string', 'a POST with a key answers with text')
    const location = reply.getHeader('location')
    const headers = typeof location === 'string' ? { ...answer.headers, location } : answer.headers
    return { status: answer.status, headers, body: answer.body }
  } catch (thrown) {
    logFault(shared, thrown, request)
    return toProblem(thrown, request.id, credentialSent(request))
  }
}

function readBytes(request: FastifyRequest): Buffer {
  const encoding = request.headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity') throw new GatewayError('unsupported_media_type')
  return Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
}

function makeContext(
  shared: Shared,
  route: Route,
  exchange: Exchange & { bytes: Buffer; signal: AbortSignal },
): Context {
  const { request, reply, bytes, signal } = exchange
  const given = bytes.length > 0 ? parseBody(route, request, { bytes, maxDepth: shared.maxDepth }) : undefined
  const asked = shared.asked.get(request) ?? audited(shared, route, request)
  // Names of a form's or a foreign document's members are the client's own.
  if (!route.keyless) asked.fields = fieldsOf(given)
  return {
    principal: asked.principal,
    body: validate(route.body ?? noFields, given, 'body'),
    bytes,
    query: route.query && validate(route.query, readQuery(request.raw.url ?? ''), 'query'),
    params: route.params ? validate(route.params, request.params, 'path') : request.params,
    requestId: request.id,
    clientIp: shared.clientAddress(request.raw),
    headers: request.headers,
    signal,
    note: (note) => void (asked.note = { ...asked.note, ...note }),
    setHeader: (name, value) => void reply.header(name, value),
  }
}

function parseBody(
  route: Route,
  request: FastifyRequest,
  { bytes, maxDepth }: { bytes: Buffer; maxDepth: number },
): unknown {
  const isForm = request.headers['content-type']?.toLowerCase().startsWith(formType) ?? false
  if (isForm !== (route.form ?? false)) throw new GatewayError('unsupported_media_type')
  return isForm ? parseForm(bytes) : parseJson(bytes, maxDepth)
}

function sendProblem(shared: Shared, thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const error = fromFramework(thrown)
  logFault(shared, error, request)
  const asked = shared.asked.get(request)
  if (asked) recordRefusal(shared.audit, asked, error)
  if (reply.raw.headersSent) {
    reply.raw.destroy()
    return
  }
  const problem = toProblem(error, request.id, credentialSent(request))
  // Fastify closes after every body it refuses; the server knows better whether one is left unread.
  reply.removeHeader('connection')
  void reply
    .code(problem.status)
    .headers({ ...securityHeaders, 'x-request-id': request.id, ...problem.headers })
    .type(problemType)
    .send(problem.body)
}

/** Fastify's own refusals in our codes; the rest of them are plain bad requests. */
function fromFramework(thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError || !(thrown instanceof Error)) return asGatewayError(thrown)
  const { code, statusCode } = thrown as Error & { code?: string; statusCode?: number }
  if (!code?.startsWith('FST_ERR_')) return asGatewayError(thrown)
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return new GatewayError('payload_too_large', { cause: thrown })
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE')
    return new GatewayError('unsupported_media_type', { cause: thrown })
  if (statusCode !== undefined && statusCode < 500)
    return new GatewayError('invalid_request', { cause: thrown })
  return asGatewayError(thrown)
}

function logFault(shared: Shared, thrown: unknown, request: FastifyRequest): void {
  const error = asGatewayError(thrown)
  if (error.fault === 'caller') return
  const fields = {
    requestId: request.id,
    method: request.method,
    code: error.code,
    err: error.cause ?? error,
  }
  shared.log[error.fault === 'gateway' ? 'error' : 'warn'](fields, 'a request to the API failed')
}
