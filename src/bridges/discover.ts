// Asking a server whether it speaks the modern era.
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { ask } from '../upstreams/ask.ts'
import type { Upstream } from '../upstreams/upstream.ts'
import { metaKeys, modernVersions } from '../wire/protocol-version.ts'
import type { DiscoverResult } from './era-verdicts.ts'

export interface DiscoverOptions {
  readonly clock: Clock
  /** The gateway's own version, which servers see. */
  readonly version: string
  readonly timeoutMs: number
}

/** Header mismatch, missing capability, unsupported version (MCP 2026-07-28, "Error Codes"). */
const modernCodes = new Set([-32020, -32021, -32022])

/**
 * Sends `server/discover` (MCP 2026-07-28). Resolves with its result, or with false where the server answers in any
 * other way, as the official SDK decides. Rejects with `upstream_unavailable` where it does not answer, where it refuses
 * the gateway's credential and where it fails (5xx): none of these says anything about its era.
 */
export async function discoverServer(
  upstream: Upstream,
  { clock, version, timeoutMs }: DiscoverOptions,
): Promise<DiscoverResult | false> {
  const [protocolVersion] = modernVersions
  const visit = { upstream, clock, deadlineMs: clock.monotonicMs() + timeoutMs, lastId: 0 }
  const params = {
    _meta: {
      [metaKeys.protocolVersion]: protocolVersion,
      [metaKeys.clientCapabilities]: {},
      [metaKeys.clientInfo]: { name: 'tollbridge', version },
    },
  }
  const headers = { 'mcp-protocol-version': protocolVersion, 'mcp-method': 'server/discover' }
  let answer = await ask(visit, 'server/discover', params, headers)
  // Only a modern server has these codes. A server may say so once to whoever has just come (MCP, "Version Negotiation").
  const isModern = modernCodes.has(answer.message?.error?.code ?? 0)
  if (isModern) answer = await ask(visit, 'server/discover', params, headers)
  const { status, message } = answer
  if (status === 401 || status === 403 || status >= 500)
    throw new GatewayError('upstream_unavailable', {
      detail: `The server answered server/discover with HTTP ${status}.`,
      data: { stage: 'handshake' },
    })
  const result = message?.result
  const versions = result?.['supportedVersions']
  return result && Array.isArray(versions) && versions.includes(protocolVersion) ? result : false
}
