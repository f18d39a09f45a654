// A legacy client's messages as a modern server reads them, and that server's answers as the client reads them.
import { isObject } from '../base/is-object.ts'
import { encodeHeaderValue, mirroredName } from '../wire/headers.ts'
import type { JsonRpcError, JsonRpcMessage, JsonRpcRequest, RequestId } from '../wire/json-rpc.ts'
import { mirroredParams } from '../wire/param-headers.ts'
import { metaKeys, modernVersions } from '../wire/protocol-version.ts'
import { usableCapabilities } from './input-round.ts'
import { without, withoutMeta, type Json } from './json-object.ts'
import { findRevision, newestRevision, resultForRevision, type Revision } from './revisions.ts'

const serverInfoKey = 'io.modelcontextprotocol/serverInfo'
const logLevelKey = 'io.modelcontextprotocol/logLevel'

/** What a client said once and every modern request says again. */
export interface LegacyClient {
  /** The negotiated one. */
  readonly revision: Revision
  /** The modern revision that the server is spoken to in. */
  readonly modernVersion: string
  /** As far as the client's revision has messages for them. */
  readonly capabilities: Json
  readonly info: unknown
  /** Undefined where the server has no logging. */
  readonly logLevel: string | undefined
}

/** Levels of `logging/setLevel`, by severity (MCP, "Logging"). */
const logLevels = new Set(['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'])
/** A legacy server chooses what it logs until it is told; a modern one that is told nothing logs nothing. */
const usualLogLevel = 'info'

export const isLogLevel = (level: unknown): level is string =>
  typeof level === 'string' && logLevels.has(level)

/** The client of an initialize request, at a server with this discovery. */
export function readClient(initialize: JsonRpcMessage, discovered: Json): LegacyClient {
  const { protocolVersion, capabilities, clientInfo } = initialize.params ?? {}
  const revision = findRevision(protocolVersion) ?? newestRevision
  const supported: readonly unknown[] = Array.isArray(discovered['supportedVersions'])
    ? discovered['supportedVersions']
    : []
  return {
    revision,
    modernVersion: modernVersions.find((version) => supported.includes(version)) ?? modernVersions[0],
    capabilities: usableCapabilities(capabilities, revision),
    info: clientInfo,
    logLevel: hasCapability(discovered, 'logging') ? usualLogLevel : undefined,
  }
}

/** Whether a discovery declares a capability, or a member of one to be true (`resources.subscribe`). */
export function hasCapability(discovered: Json, name: string, member?: string): boolean {
  const all = discovered['capabilities']
  const capability = isObject(all) ? all[name] : undefined
  return isObject(capability) && (member === undefined || capability[member] === true)
}

/**
 * The answer to initialize (MCP 2025-11-25, "Initialization"). Capabilities have the same names in both eras and stay
 * as they are, unknown ones too: what `resources.subscribe` and `listChanged` promise comes by `subscriptions/listen`.
 */
export function initializeResult(discovered: Json, { revision }: LegacyClient): Json {
  const { capabilities, instructions, _meta: meta } = discovered
  const serverInfo = isObject(meta) ? meta[serverInfoKey] : undefined
  const rest = isObject(meta) ? without(meta, serverInfoKey) : {}
  return {
    protocolVersion: revision.version,
    capabilities: isObject(capabilities) ? capabilities : {},
    // A modern server need not name itself; a legacy one must.
    serverInfo: isObject(serverInfo) ? serverInfo : { name: 'unnamed', version: 'unknown' },
    ...(instructions !== undefined && { instructions }),
    ...(Object.keys(rest).length > 0 && { _meta: rest }),
  }
}

/** The same request or notification with the metadata that the modern era wants on each; unknown members stay. */
export function modernMessage(
  message: JsonRpcMessage,
  client: LegacyClient,
  change: { readonly id?: RequestId; readonly params?: Json } = {},
): JsonRpcMessage {
  const params = change.params ?? message.params ?? {}
  const own = params['_meta']
  const meta = {
    ...(isObject(own) ? own : {}),
    [metaKeys.protocolVersion]: client.modernVersion,
    [metaKeys.clientCapabilities]: client.capabilities,
    ...(isObject(client.info) && { [metaKeys.clientInfo]: client.info }),
    ...(client.logLevel !== undefined && { [logLevelKey]: client.logLevel }),
  }
  return { ...message, ...(change.id !== undefined && { id: change.id }), params: { ...params, _meta: meta } }
}

/** The headers that mirror a modern message (SEP-2243); `inputSchema` is that of the tool that it calls. */
export function modernHeaders(
  message: JsonRpcMessage,
  { modernVersion }: Pick<LegacyClient, 'modernVersion'>,
  inputSchema?: unknown,
): Record<string, string> {
  const name = mirroredName(message)
  const headers: Record<string, string> = {
    'mcp-protocol-version': modernVersion,
    'mcp-method': message.method ?? '',
    ...(name !== undefined && { 'mcp-name': encodeHeaderValue(name) }),
  }
  for (const { path, header } of mirroredParams(inputSchema)) {
    let value: unknown = message.params?.['arguments']
    for (const key of path) value = isObject(value) ? value[key] : undefined
    const isPlain = typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value)
    if (isPlain) headers[header] = encodeHeaderValue(String(value))
  }
  return headers
}

/** Results that say how long they may be kept (SEP-2549). Elsewhere a `ttlMs` is the server's own. */
const cacheable = new Set([
  'server/discover',
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
  'resources/read',
])

/**
 * The server's final answer under the client's id. `resultType` goes where it says no more than that the result is
 * complete; the server's name goes too: a legacy client has it from initialize, and pays for bytes.
 */
export function legacyAnswer(
  request: JsonRpcRequest,
  answer: JsonRpcMessage,
  revision: Revision,
): JsonRpcMessage {
  if (answer.error) return { ...answer, id: request.id, error: legacyError(request, answer.error) }
  const { result = {} } = answer
  const complete = result['resultType'] === 'complete' ? without(result, 'resultType') : result
  const lasting = cacheable.has(request.method) ? without(complete, 'ttlMs', 'cacheScope') : complete
  const own = withoutMeta(lasting, serverInfoKey)
  return { ...answer, id: request.id, result: resultForRevision(request.method, own, revision) }
}

const internalError = -32603
const invalidParams = -32602
const resourceNotFound = -32002
export const headerMismatch = -32020
const missingCapability = -32021
export const unsupportedVersion = -32022

/** An error as the legacy era has it: codes that only a modern client can know become an internal error that says so. */
export function legacyError(request: JsonRpcRequest, error: JsonRpcError): JsonRpcError {
  const { code, message, data } = error
  if (code === invalidParams && request.method === 'resources/read' && isNotFound(error))
    return { ...error, code: resourceNotFound }
  if (code === headerMismatch) {
    const text = `The MCP server refused the headers that were made for this request; try again. It said: ${message}`
    return { ...error, code: internalError, message: text }
  }
  if (code === missingCapability) {
    const required = isObject(data) ? data['requiredCapabilities'] : undefined
    const names = isObject(required) ? Object.keys(required).join(', ') : ''
    const text = `The MCP server needs what this client did not declare${names && `: ${names}`}; call again with a client that does.`
    return { ...error, code: internalError, message: text }
  }
  if (code === unsupportedVersion) {
    const text = 'The MCP server no longer speaks the revision that was agreed on; initialize again.'
    return { ...error, code: internalError, message: text }
  }
  return code <= headerMismatch && code >= -32099 ? { ...error, code: internalError } : error
}

/** -32602 says both "no such resource" and "wrong params" in the modern era; the former names the URI or says so. */
const isNotFound = ({ message, data }: JsonRpcError): boolean =>
  (isObject(data) && typeof data['uri'] === 'string') || /not found|unknown resource|no such/i.test(message)
