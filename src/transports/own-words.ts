// What a message says of its client and of itself, besides what it asks for.
import { GatewayError } from '../base/errors.ts'
import type { JsonRpcMessage } from '../wire/json-rpc.ts'

const maxKeyLength = 255

/** `name/version` that the client says of itself in initialize, for the record. */
export function clientInfo(message: JsonRpcMessage): string | undefined {
  const info = message.params?.['clientInfo'] as { name?: unknown; version?: unknown } | undefined
  if (typeof info?.name !== 'string') return undefined
  const version = typeof info.version === 'string' ? info.version : ''
  return `${info.name}/${version}`.replace(/\p{Cc}/gu, ' ').slice(0, 200)
}

/** The idempotency key: the header's, where the transport has headers, else `_meta["tollbridge/idempotency-key"]`. */
export function idempotencyKey(message: JsonRpcMessage, header?: string): string | undefined | GatewayError {
  const meta = message.params?.['_meta'] as Readonly<Record<string, unknown>> | null | undefined
  const key = header ?? meta?.['tollbridge/idempotency-key']
  if (key === undefined) return undefined
  if (typeof key === 'string' && key !== '' && key.length <= maxKeyLength) return key
  return new GatewayError('invalid_request', {
    detail: `An idempotency key has 1 to ${maxKeyLength} characters.`,
  })
}
