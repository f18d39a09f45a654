// Asking a server whether it speaks the modern era.
import type { Clock } from '../base/clock.ts'
import { metaKeys, modernVersions } from '../wire/protocol-version.ts'
import { ask, handshakeError, type Reply, type Visit } from './ask.ts'
import type { Upstream } from './upstream.ts'

/** A server's answer to `server/discover` (MCP 2026-07-28, "Discovery"). */
export type DiscoverResult = Readonly<Record<string, unknown>>

export interface DiscoverOptions {
  readonly clock: Clock
  /** The gateway's own version, which servers see. */
  readonly version: string
  readonly timeoutMs: number
}

/** Header mismatch, missing capability, unsupported version (MCP 2026-07-28, "Error Codes"). */
const modernCodes = new Set([-32020, -32021, -32022])

const [protocolVersion] = modernVersions

/** The `_meta` of a modern request of our own. */
export const ownMeta = (version: string): Readonly<Record<string, unknown>> => ({
  [metaKeys.protocolVersion]: protocolVersion,
  [metaKeys.clientCapabilities]: {},
  [metaKeys.clientInfo]: { name: 'tollbridge', version },
})

/** As `discover`, in a visit of its own. */
export function discoverServer(
  upstream: Upstream,
  { clock, version, timeoutMs }: DiscoverOptions,
): Promise<DiscoverResult | false> {
  return discover({ upstream, clock, deadlineMs: clock.monotonicMs() + timeoutMs, lastId: 0 }, version)
}

/**
 * Sends `server/discover` (MCP 2026-07-28). Resolves with its result, or with false where the server answers in any
 * other way, as the official SDK decides. Rejects with `upstream_unavailable` where it does not answer, where it refuses
 * the gateway's credential and where it fails (5xx): none of these says anything about its era.
 */
export async function discover(visit: Visit, version: string): Promise<DiscoverResult | false> {
  const params = { _meta: ownMeta(version) }
  const headers = { 'mcp-protocol-version': protocolVersion, 'mcp-method': 'server/discover' }
  let answer = await ask(visit, 'server/discover', params, headers)
  // Only a modern server has these codes. A server may say so once to whoever has just come (MCP, "Version Negotiation").
  const isModern = modernCodes.has(answer.message?.error?.code ?? 0)
  if (isModern) answer = await ask(visit, 'server/discover', params, headers)
  refuseStatus(answer)
  const result = answer.message?.result
  const versions = result?.['supportedVersions']
  return result && Array.isArray(versions) && versions.includes(protocolVersion) ? result : false
}

/** Throws `upstream_unavailable` where the status says that the answer tells nothing of the server. */
export function refuseStatus({ status }: Reply): void {
  if (status === 401 || status === 403)
    throw handshakeError(`The server refused our credential (HTTP ${status}); check auth.`)
  if (status >= 500) throw handshakeError(`The server answered with HTTP ${status}.`)
}
