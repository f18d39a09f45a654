// A modern client at a legacy server: how its conversation with the server is opened, and what it is told of the server.
import { isObject } from '../../base/is-object.ts'
import type { JsonRpcError, JsonRpcMessage } from '../../wire/json-rpc.ts'
import type { Json } from '../json-object.ts'
import { isModernVersion, legacyVersions, metaKeys, modernVersions } from '../../wire/protocol-version.ts'

/** Keys of `_meta` besides those of `metaKeys` (MCP 2026-07-28, "_meta"). */
export const modernMetaKeys = {
  logLevel: 'io.modelcontextprotocol/logLevel',
  serverInfo: 'io.modelcontextprotocol/serverInfo',
} as const

/** What a request is answered with that never reaches the server; `status` is the HTTP status that goes with it. */
export interface Refusal {
  readonly status: number
  readonly error: JsonRpcError
}

/** A legacy server as its InitializeResult describes it; members that we do not know are kept in `rest`. */
export interface LegacyServer {
  readonly protocolVersion: string
  readonly capabilities: Json
  readonly serverInfo: Json | undefined
  readonly meta: Json
  readonly rest: Json
}

/** Who the conversation is opened for: what a modern caller declares with every request. */
export interface DeclaredClient {
  readonly capabilities: Json
  readonly clientInfo: Json
}

/**
 * Params of the `initialize` that opens a conversation for callers who declare this. Modern capabilities are a subset
 * of the legacy ones (2026-07-28 took away `roots.listChanged` and `tasks`), and unknown ones pass as they are. A
 * modern caller need not say who it is (`clientInfo` is a SHOULD), and a legacy server wants a name and a version.
 */
export function initializeParams({ capabilities, clientInfo }: DeclaredClient): Json {
  const { name, version } = clientInfo
  const named = {
    ...clientInfo,
    name: typeof name === 'string' ? name : 'unknown',
    version: typeof version === 'string' ? version : 'unknown',
  }
  return { protocolVersion: legacyVersions[0], capabilities, clientInfo: named }
}

/** Undefined where the answer is no InitializeResult of a legacy revision. */
export function readInitializeResult(answer: JsonRpcMessage | undefined): LegacyServer | undefined {
  const { protocolVersion, capabilities, serverInfo, _meta, ...rest } = answer?.result ?? {}
  if (typeof protocolVersion !== 'string' || isModernVersion(protocolVersion)) return undefined
  return {
    protocolVersion,
    capabilities: isObject(capabilities) ? capabilities : {},
    serverInfo: isObject(serverInfo) ? serverInfo : undefined,
    meta: isObject(_meta) ? _meta : {},
    rest,
  }
}

/**
 * The DiscoverResult of a legacy server. Its capabilities mean the same in the modern era (`listChanged` and
 * `subscribe` through `subscriptions/listen`, `logging` through a request's log level), except `tasks`: the legacy
 * ones have another shape than the modern extension and are not carried. What holds for one conversation need not
 * hold for the next, so it is neither kept nor shared.
 */
export function discoverResult({ capabilities, serverInfo, meta, rest }: LegacyServer): Json {
  const { tasks: _, ...carried } = capabilities
  return {
    ...rest,
    resultType: 'complete',
    supportedVersions: [...modernVersions],
    capabilities: carried,
    ttlMs: 0,
    cacheScope: 'private',
    _meta: withServerInfo(meta, serverInfo),
  }
}

/** A result's `_meta` with the server's own name for itself, where it is not there yet. */
export const withServerInfo = (meta: Json, serverInfo: Json | undefined): Json =>
  serverInfo === undefined ? meta : { [modernMetaKeys.serverInfo]: serverInfo, ...meta }

/** A request's `_meta`; empty where it has none. */
export function metaOf(message: JsonRpcMessage): Json {
  const meta = message.params?.['_meta']
  return isObject(meta) ? meta : {}
}

/** What this very request declares (MCP 2026-07-28: capabilities are never inferred from other requests). */
export function declaredCapabilities(message: JsonRpcMessage): Json {
  const declared = metaOf(message)[metaKeys.clientCapabilities]
  return isObject(declared) ? declared : {}
}
