// MCP's mirrored headers: which body member each mirrors, and how their values are encoded (SEP-2243).
import type { JsonRpcMessage } from './json-rpc.ts'

const nameSources: Readonly<Record<string, 'name' | 'uri' | 'taskId'>> = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
  'tasks/get': 'taskId',
  'tasks/update': 'taskId',
  'tasks/cancel': 'taskId',
}

/** The body's value that `Mcp-Name` mirrors, or undefined where the method has none. */
export function mirroredName(message: JsonRpcMessage): string | undefined {
  const source =
    message.method !== undefined && Object.hasOwn(nameSources, message.method)
      ? nameSources[message.method]
      : undefined
  const value = source === undefined ? undefined : message.params?.[source]
  return typeof value === 'string' ? value : undefined
}

const sentinel = /^=\?base64\?(.*)\?=$/s

/**
 * Decodes a mirrored header value: plain text, or UTF-8 in `=?base64?…?=`.
 * Returns undefined where the sentinel holds no canonical base64 or no UTF-8, and where its two ends are one: some read
 * that as plain, others as empty.
 */
export function decodeHeaderValue(value: string): string | undefined {
  const trimmed = value.replace(/^[ \t]+|[ \t]+$/g, '')
  if (trimmed === '=?base64?=') return undefined
  const encoded = sentinel.exec(trimmed)?.[1]
  if (encoded === undefined) return trimmed
  const bytes = Buffer.from(encoded, 'base64')
  if (bytes.toString('base64') !== encoded) return undefined
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** A value as `Mcp-Name` or `Mcp-Param-*` carries it: plain where it can be, else in the base64 sentinel. */
export function encodeHeaderValue(value: string): string {
  const plain = /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(value) && !value.startsWith('=?')
  return plain ? value : `=?base64?${Buffer.from(value).toString('base64')}?=`
}
