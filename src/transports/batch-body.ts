// A batch as a client of revision 2025-03-26 sends it: each message parsed for itself, all of them or none.
import { GatewayError } from '../base/errors.ts'
import { classify } from '../eras/classify.ts'
import { splitBatch } from '../wire/batch.ts'
import { isRequest, type JsonRpcMessage } from '../wire/json-rpc.ts'
import { parseMessage } from '../wire/parse.ts'

/** One message of a batch, with its own bytes. */
export interface BatchPart {
  readonly message: JsonRpcMessage
  readonly body: Uint8Array
}

const maxMessages = 100
/** The one revision that has batches (MCP 2025-03-26, "Sending Messages to the Server"; gone in 2025-06-18). */
const batchVersion = '2025-03-26'

/** Why a batch is refused where these versions hold: the session's, where it has one, and the message's own. */
export function batchFault(...versions: readonly (string | undefined)[]): GatewayError | undefined {
  const known = versions.every((version) => version === undefined || version === batchVersion)
  return known ? undefined : refused('Batches are not accepted; send one message at a time.')
}

/**
 * The messages of a batch. Returns `invalid_request` or `parse_error` where one of them cannot be taken, so that
 * nothing of it is sent: empty, too many, malformed, of the modern era, an initialize, or an id used twice.
 */
export function parseBatch(body: Uint8Array, maxDepth: number): readonly BatchPart[] | GatewayError {
  const bodies = splitBatch(body, maxMessages)
  if (bodies === 'malformed') return malformed(body)
  if (bodies === 'too-many') return refused(`A batch has at most ${maxMessages} messages.`)
  if (bodies.length === 0) return refused('The batch is empty; send at least one message.')
  const ids = new Set<string | number>()
  const parts: BatchPart[] = []
  for (const bytes of bodies) {
    const message = parseMessage(bytes, maxDepth)
    const fault = message instanceof GatewayError ? message : partFault(message, ids)
    if (fault) return fault
    parts.push({ message: message as JsonRpcMessage, body: bytes })
  }
  return parts
}

/** Whether it is no JSON, or JSON that is no batch. */
function malformed(body: Uint8Array): GatewayError {
  try {
    JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString())
  } catch {
    return new GatewayError('parse_error')
  }
  return refused('A batch holds JSON-RPC messages and nothing else.')
}

function partFault(message: JsonRpcMessage, ids: Set<string | number>): GatewayError | undefined {
  if (message.method === 'initialize') return refused('initialize cannot be part of a batch; send it alone.')
  const none = { protocolVersion: undefined, method: undefined, name: undefined }
  const verdict = classify(message, none)
  if (verdict.kind === 'reject' || verdict.era === 'modern')
    return refused('The modern era has no batches; send one message at a time.')
  if (!isRequest(message)) return undefined
  if (ids.has(message.id)) return refused('Two requests of the batch have the same id; use different ones.')
  ids.add(message.id)
  return undefined
}

const refused = (detail: string): GatewayError => new GatewayError('invalid_request', { detail })

const open = Buffer.from('[')
const comma = Buffer.from(',')
const close = Buffer.from(']')

/** The answers of a batch as one message. */
export const joinBatch = (answers: readonly Uint8Array[]): Buffer =>
  Buffer.concat([open, ...answers.flatMap((answer, at) => (at === 0 ? [answer] : [comma, answer])), close])
