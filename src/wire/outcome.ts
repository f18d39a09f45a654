// What became of a call, read from the JSON-RPC body and never from the HTTP status.
import type { JsonRpcMessage } from './json-rpc.ts'

/** JSON-RPC codes that say the server refused to read the call, so that nothing ran. */
const malformedCodes = new Set([-32700, -32600, -32601, -32602])

export interface AnswerOutcome {
  readonly outcome: 'success' | 'tool_error' | 'error'
  /** The server refused the call as malformed or unknown: nothing ran, nothing is charged. */
  readonly refused: boolean
  /** The JSON-RPC error's message, for the record. */
  readonly error?: string
}

/** The outcome of a final answer. `isError: true` inside a result is a tool's own failure (MCP, "Tools: Error Handling"). */
export function answerOutcome(answer: JsonRpcMessage): AnswerOutcome {
  if (answer.error) {
    const { code, message } = answer.error
    return { outcome: 'error', refused: malformedCodes.has(code), error: `${code} ${message}`.slice(0, 500) }
  }
  if (answer.result?.['isError'] === true) return { outcome: 'tool_error', refused: false }
  return { outcome: 'success', refused: false }
}
