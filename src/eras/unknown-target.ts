// The answer for a tool, prompt or resource that is not there, and for one that a caller is not to know of.
import type { JsonRpcError } from '../wire/json-rpc.ts'

const maxShown = 200

/** As the modern era has it (MCP, "Tools: Error Handling", "Resources: Error Handling"); see `legacyError` for the other. */
export function unknownTarget(noun: 'tool' | 'prompt' | 'resource', name: string): JsonRpcError {
  const shown = name.slice(0, maxShown)
  return noun === 'resource'
    ? { code: -32602, message: `Resource not found: ${shown}`, data: { uri: shown } }
    : { code: -32602, message: `Unknown ${noun}: ${shown}` }
}
