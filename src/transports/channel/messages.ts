// What a channel asks of a message before it goes on: its era, told by its body alone, and the headers that mirror it.
import { GatewayError } from '../../base/errors.ts'
import { classify } from '../../eras/classify.ts'
import { modernHeaders } from '../../eras/legacy-client-modern-server.ts'
import type { JsonRpcMessage } from '../../wire/json-rpc.ts'
import { metaKeys, type Era } from '../../wire/protocol-version.ts'

/** What the gateway takes of servers, on behalf of clients that do not say. */
const accept = 'application/json, text/event-stream'

/** The revision that a message claims for itself; anything may stand there. */
function claimOf(message: JsonRpcMessage): string | undefined {
  const meta = message.params?.['_meta'] as Readonly<Record<string, unknown>> | null | undefined
  const claim = meta?.[metaKeys.protocolVersion]
  return typeof claim === 'string' ? claim : undefined
}

/** The era of a message that came without headers. */
export function eraOf(message: JsonRpcMessage): Era | GatewayError {
  const version = claimOf(message)
  const mirrored = version === undefined ? {} : modernHeaders(message, { modernVersion: version })
  const verdict = classify(message, {
    protocolVersion: version,
    method: mirrored['mcp-method'],
    name: mirrored['mcp-name'],
  })
  return verdict.kind === 'era' ? verdict.era : new GatewayError(verdict.code, { detail: verdict.detail })
}

/** The headers that a modern message would have come with (SEP-2243); `inputSchema` is that of the tool it calls. */
export const headersOfModern = (message: JsonRpcMessage, inputSchema?: unknown): Record<string, string> => ({
  accept,
  ...modernHeaders(message, { modernVersion: claimOf(message) ?? '' }, inputSchema),
})

/** The headers of a message in a session with this revision, once there is one. */
export const headersOfLegacy = (version: string | undefined): Record<string, string> =>
  version === undefined ? { accept } : { accept, 'mcp-protocol-version': version }
