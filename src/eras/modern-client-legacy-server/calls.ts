// A modern client at a legacy server: its requests in legacy form, and the legacy answers in modern form.
import { isObject } from '../../base/is-object.ts'
import type { JsonRpcError, JsonRpcMessage, JsonRpcRequest, RequestId } from '../../wire/json-rpc.ts'
import { metaKeys, modernVersions } from '../../wire/protocol-version.ts'
import { inputResponsesFault, mayAskForInput, urlElicitations } from './inputs.ts'
import { isLogLevel } from './logs.ts'
import type { Json } from '../json-object.ts'
import { metaOf, modernMetaKeys, withServerInfo, type Refusal } from './server.ts'

/** Legacy methods that the modern era does not have: they would change a conversation that several callers share. */
const goneMethods = new Set([
  'initialize',
  'ping',
  'logging/setLevel',
  'resources/subscribe',
  'resources/unsubscribe',
])

/** Results that say how long they may be kept (MCP 2026-07-28, "Caching"). */
const cacheableMethods = new Set([
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
  'resources/read',
])

const envelopeKeys: ReadonlySet<string> = new Set([...Object.values(metaKeys), modernMetaKeys.logLevel])

const invalidParams = (message: string, status: number): Refusal => ({
  status,
  error: { code: -32602, message },
})

/**
 * Why a request is refused before it is sent: its envelope (MCP 2026-07-28, "Per-request protocol fields": -32602 or
 * -32022 with HTTP 400), a method that the modern era does not have (-32601 with HTTP 404), or `tasks/…`, whose legacy
 * form is another protocol than the modern extension and is not carried. Undefined where nothing speaks against it.
 */
export function requestRefusal(request: JsonRpcRequest): Refusal | undefined {
  const { method, params } = request
  const meta = metaOf(request)
  const version = meta[metaKeys.protocolVersion]
  if (typeof version !== 'string')
    return invalidParams(`params._meta["${metaKeys.protocolVersion}"] must be a string.`, 400)
  if (!modernVersions.some((served) => served === version)) {
    const data = { supported: [...modernVersions], requested: version }
    return { status: 400, error: { code: -32022, message: 'Unsupported protocol version', data } }
  }
  if (!isObject(meta[metaKeys.clientCapabilities]))
    return invalidParams(`params._meta["${metaKeys.clientCapabilities}"] must be an object.`, 400)
  const level = meta[modernMetaKeys.logLevel]
  if (level !== undefined && !isLogLevel(level))
    return invalidParams(`params._meta["${modernMetaKeys.logLevel}"] is not a log level.`, 400)
  if (goneMethods.has(method) || method.startsWith('tasks/'))
    return { status: 404, error: { code: -32601, message: `Method not found: ${method}` } }
  const fault = mayAskForInput(method) ? inputResponsesFault(params ?? {}) : undefined
  return fault === undefined ? undefined : invalidParams(fault, 200)
}

/** The token under which a caller wants to hear of progress. */
export function progressTokenOf(request: JsonRpcMessage): RequestId | undefined {
  const token = metaOf(request)['progressToken']
  return typeof token === 'string' || typeof token === 'number' ? token : undefined
}

/**
 * A modern request as the legacy server gets it: under an id of the conversation, which is its progress token too
 * where progress is wanted, without the envelope and without what belongs to a retry. Everything else stays.
 */
export function toLegacyRequest(request: JsonRpcRequest, id: number): JsonRpcRequest {
  const params = { ...request.params }
  if (mayAskForInput(request.method)) {
    delete params['inputResponses']
    delete params['requestState']
  }
  const meta = withoutEnvelope(metaOf(request))
  if (meta['progressToken'] !== undefined) meta['progressToken'] = id
  if (Object.keys(meta).length > 0) params['_meta'] = meta
  else delete params['_meta']
  return { ...request, id, ...(request.params && { params }) }
}

/** A notification without the envelope. */
export function toLegacyNotification(notification: JsonRpcMessage): JsonRpcMessage {
  if (notification.params?.['_meta'] === undefined) return notification
  return {
    ...notification,
    params: { ...notification.params, _meta: withoutEnvelope(metaOf(notification)) },
  }
}

function withoutEnvelope(meta: Json): Record<string, unknown> {
  return Object.fromEntries(Object.entries(meta).filter(([key]) => !envelopeKeys.has(key)))
}

/** Where an answer goes, and what is known of it. */
export interface AnswerContext {
  readonly request: JsonRpcRequest
  readonly serverInfo: Json | undefined
  /** What the request's own `_meta` declares. */
  readonly capabilities: Json
  /** Capabilities that the server asked for in vain during this request; undefined where it did not. */
  readonly missing: Json | undefined
}

/** An answer for the modern caller, and the HTTP status where nothing was sent before it. */
export interface ModernAnswer {
  readonly status: number
  readonly message: JsonRpcMessage
}

/** A legacy server's final answer as a modern server would give it. */
export function toModernAnswer(answer: JsonRpcMessage, context: AnswerContext): ModernAnswer {
  const { id } = context.request
  if (answer.error) return modernError(answer.error, context)
  return { status: 200, message: { ...answer, id, result: modernResult(answer.result ?? {}, context) } }
}

function modernResult(result: Json, { request, serverInfo }: AnswerContext): Json {
  const cache = cacheableMethods.has(request.method) ? { ttlMs: 0, cacheScope: 'private' } : {}
  const meta = isObject(result['_meta']) ? result['_meta'] : {}
  return { ...cache, resultType: 'complete', ...result, _meta: withServerInfo(meta, serverInfo) }
}

function modernError(error: JsonRpcError, context: AnswerContext): ModernAnswer {
  const { request, capabilities, missing } = context
  const { id } = request
  const asks = mayAskForInput(request.method) ? urlElicitations(error, capabilities) : undefined
  if (asks?.kind === 'ask') {
    const result = modernResult({ resultType: 'input_required', inputRequests: asks.inputRequests }, context)
    return { status: 200, message: { jsonrpc: '2.0', id, result } }
  }
  const required = asks?.requiredCapabilities ?? missing
  if (required) return { status: 400, message: missingCapability(id, error, required) }
  const code = modernCode(error.code)
  return {
    status: code === -32601 ? 404 : 200,
    message: { jsonrpc: '2.0', id, error: { ...error, code } },
  }
}

/** The call could not go on without what its caller does not declare (MCP 2026-07-28, MissingRequiredClientCapability). */
const missingCapability = (
  id: RequestId,
  { message }: JsonRpcError,
  requiredCapabilities: Json,
): JsonRpcMessage => ({
  jsonrpc: '2.0',
  id,
  error: { code: -32021, message, data: { requiredCapabilities } },
})

/**
 * "Resource not found" is -32602 in the modern era; -32020…-32099 are the specification's own there, so that whatever
 * a legacy server means by one of them, a modern client would take it for something else.
 */
function modernCode(code: number): number {
  if (code === -32002) return -32602
  return code <= -32020 && code >= -32099 ? -32603 : code
}

/** A progress notification under the caller's own token. */
export const withProgressToken = (progress: JsonRpcMessage, progressToken: unknown): JsonRpcMessage => ({
  ...progress,
  params: { ...progress.params, progressToken },
})
