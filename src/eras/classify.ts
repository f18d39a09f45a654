// Which era a POSTed message speaks: the body decides, the headers are only a cross-check.
import type { ErrorCode } from '../base/errors.ts'
import { decodeHeaderValue, mirroredName } from '../wire/headers.ts'
import { isRequest, type JsonRpcMessage } from '../wire/json-rpc.ts'
import { isModernVersion, metaKeys, type Era } from '../wire/protocol-version.ts'

/** The MCP headers of a POST as they came; absent ones are undefined. */
export interface McpHeaders {
  readonly protocolVersion: string | undefined
  readonly method: string | undefined
  readonly name: string | undefined
}

export type Classification =
  | { readonly kind: 'era'; readonly era: Era; readonly version: string | undefined }
  | { readonly kind: 'reject'; readonly code: ErrorCode; readonly detail: string }

const reject = (code: ErrorCode, detail: string): Classification => ({ kind: 'reject', code, detail })
const mismatch = (detail: string): Classification => reject('header_mismatch', detail)

/**
 * Classifies one message (MCP 2026-07-28, "Server Validation" and "Backward Compatibility").
 * A modern request must mirror version, method and name in its headers: the bill follows the body, so a header that
 * says something else is refused before anything is forwarded (trust A 20). What only the server can judge
 * (whether it serves the claimed revision, whether the envelope is whole) is left to the server.
 */
export function classify(message: JsonRpcMessage, headers: McpHeaders): Classification {
  const claim = claimedVersion(message)
  const headerVersion = headers.protocolVersion?.trim()
  const headerIsModern = headerVersion !== undefined && isModernVersion(headerVersion)
  // A response answers a request of the server, which only the legacy era has.
  if (message.method === undefined) return { kind: 'era', era: 'legacy', version: headerVersion }
  if (claim === undefined) {
    if (!headerIsModern) return { kind: 'era', era: 'legacy', version: headerVersion }
    if (!isRequest(message)) return crossCheck(message, headers, headerVersion)
    if (message.method === 'initialize')
      return mismatch('initialize was sent with a modern MCP-Protocol-Version header.')
    return reject(
      'invalid_params',
      `MCP-Protocol-Version names ${headerVersion} but params._meta lacks ${metaKeys.protocolVersion}.`,
    )
  }
  if (typeof claim !== 'string')
    return reject('invalid_params', `params._meta["${metaKeys.protocolVersion}"] must be a string.`)
  const isModern = isModernVersion(claim)
  if (headerVersion !== undefined && headerVersion !== claim && (isModern || headerIsModern))
    return mismatch(
      `The body names protocol version ${claim}, the MCP-Protocol-Version header ${headerVersion}.`,
    )
  if (!isModern) return { kind: 'era', era: 'legacy', version: claim }
  if (isRequest(message) && headerVersion === undefined)
    return mismatch('The MCP-Protocol-Version header is missing.')
  return crossCheck(message, headers, claim)
}

/** The value of the version key in `params._meta`: undefined where there is none. */
function claimedVersion(message: JsonRpcMessage): unknown {
  const meta = message.params?.['_meta']
  return typeof meta === 'object' && meta !== null
    ? (meta as Record<string, unknown>)[metaKeys.protocolVersion]
    : undefined
}

function crossCheck(message: JsonRpcMessage, headers: McpHeaders, version: string): Classification {
  const method = headers.method?.trim()
  if (method !== undefined && method !== message.method)
    return mismatch(`The body names method ${message.method ?? '(none)'}, the Mcp-Method header ${method}.`)
  if (!isRequest(message)) return { kind: 'era', era: 'modern', version }
  if (method === undefined) return mismatch('The Mcp-Method header is missing.')
  const name = mirroredName(message)
  if (headers.name === undefined)
    return name === undefined
      ? { kind: 'era', era: 'modern', version }
      : mismatch('The Mcp-Name header is missing.')
  const decoded = decodeHeaderValue(headers.name)
  if (decoded === undefined) return mismatch('The Mcp-Name header holds an invalid base64 value.')
  if (name !== undefined && decoded !== name)
    return mismatch(`The body names "${name}", the Mcp-Name header "${decoded}".`)
  return { kind: 'era', era: 'modern', version }
}
