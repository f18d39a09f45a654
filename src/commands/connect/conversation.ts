// What a stdio client and the gateway have said to each other, as far as a new connection has to know it.
import { GatewayError } from '../../base/errors.ts'
import { isRequest, isResponse, type JsonRpcMessage, type RequestId } from '../../wire/json-rpc.ts'

export interface Wires {
  /** One message to the client. */
  toClient(text: string): void
  /** One message to the gateway; called only while there is a connection. */
  toGateway(bytes: Uint8Array): void
  /** The server did not take the client's initialize again. */
  onRefused(): void
}

/** Bytes of one line, and the messages in it: one, or those of a batch. */
interface Said {
  readonly bytes: Uint8Array
  readonly messages: readonly JsonRpcMessage[]
}

interface Handshake {
  readonly said: Said
  readonly id: RequestId
  answered: boolean
}

/** Of the server, that wait for the client's answer. */
const maxAsked = 10_000
/** Methods whose answer is a stream that ends when its client ends it. */
const openEnded = new Set(['subscriptions/listen'])
const lostText =
  'The connection to the gateway broke off during this request; it may have run. Check its effect before you send it again.'

/**
 * Keeps a conversation whole over several connections: the client's own handshake is repeated, whose second answer it
 * does not see; what was in flight is answered with an error, since it may have run; what was not sent yet waits.
 * Nothing else is sent twice.
 */
export class Conversation {
  readonly #wires: Wires
  readonly #queue: Said[] = []
  readonly #pending = new Map<string, { readonly id: RequestId; readonly method: string }>()
  readonly #asked = new Map<string, RequestId>()
  #state: 'down' | 'greeting' | 'up' = 'down'
  #initialize: Handshake | undefined
  #initialized: Said | undefined
  #failing: GatewayError | undefined
  #queuedBytes = 0
  /** Requests that were answered here with an error, since the gateway is out of reach. */
  failed = 0

  constructor(wires: Wires) {
    this.#wires = wires
  }

  /** Bytes that wait for a connection. */
  get queuedBytes(): number {
    return this.#queuedBytes
  }

  /** The client's handshake is being repeated. */
  get greeting(): boolean {
    return this.#state === 'greeting'
  }

  /** Nothing is on its way to an answer, but for what has no end. */
  get settled(): boolean {
    for (const { method } of this.#pending.values()) if (!openEnded.has(method)) return false
    return this.#queue.length === 0
  }

  /** Takes one line of the client. */
  clientSays(line: Uint8Array): void {
    const messages = readMessages(line)
    if (!messages) return this.#wires.toClient(errorText(null, new GatewayError('parse_error')))
    const said = { bytes: line, messages }
    if (this.#withdraws(said)) return
    if (this.#state === 'up') return this.#send(said)
    if (this.#failing) return this.#refuse(said, this.#failing)
    this.#queue.push(said)
    this.#queuedBytes += line.length
  }

  /** Takes one message of the gateway. */
  gatewaySays(bytes: Uint8Array): void {
    const messages = readMessages(bytes)
    if (!messages) return
    const [only] = messages
    if (this.#state === 'greeting' && only && isResponse(only) && only.id === this.#initialize?.id)
      return this.#greeted(only)
    for (const message of messages) this.#hear(message)
    // A line ends at its line end; between the members of JSON it is only space.
    this.#wires.toClient(
      Buffer.from(bytes)
        .toString()
        .replace(/[\r\n]+/g, ' '),
    )
  }

  /** There is a connection (again). */
  connected(): void {
    this.#failing = undefined
    const { said, answered } = this.#initialize ?? {}
    if (!said) return this.#flush()
    this.#state = answered ? 'greeting' : 'up'
    this.#wires.toGateway(said.bytes)
    if (!answered) this.#flush()
  }

  /** The connection is gone. `why` replaces the usual words. */
  lost(why: string = lostText): void {
    this.#state = 'down'
    const error = new GatewayError('upstream_unavailable', { detail: why, data: { mayHaveRun: true } })
    for (const [key, { id, method }] of this.#pending) {
      // The handshake changes nothing, so it may be sent again.
      if (method === 'initialize') continue
      this.#pending.delete(key)
      this.#wires.toClient(errorText(id, error))
    }
    // Nobody takes the answers to these any more, and the server's next questions may have the same ids.
    for (const requestId of this.#asked.values()) {
      const params = { requestId, reason: 'The connection to the gateway broke off.' }
      this.#wires.toClient(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params }))
    }
    this.#asked.clear()
  }

  /** There will be no connection soon: whatever waits for one is answered, and so is what comes until there is. */
  giveUp(error: GatewayError): void {
    this.#failing = error
    for (const { id } of this.#pending.values()) {
      this.failed++
      this.#wires.toClient(errorText(id, error))
    }
    this.#pending.clear()
    if (this.#initialize?.answered === false) this.#initialize = undefined
    for (const said of this.#queue.splice(0)) this.#refuse(said, error)
    this.#queuedBytes = 0
  }

  #greeted(answer: JsonRpcMessage): void {
    if (answer.error) return this.#wires.onRefused()
    if (this.#initialized) this.#wires.toGateway(this.#initialized.bytes)
    this.#flush()
  }

  #flush(): void {
    this.#state = 'up'
    this.#queuedBytes = 0
    for (const said of this.#queue.splice(0)) this.#send(said)
  }

  #send(said: Said): void {
    let wanted = false
    for (const message of said.messages) wanted = this.#note(message, said) || wanted
    if (wanted) this.#wires.toGateway(said.bytes)
  }

  /** Remembers what is sent. False for what would mean nothing, or something else, on this connection. */
  #note(message: JsonRpcMessage, said: Said): boolean {
    if (isRequest(message)) {
      const { id, method } = message
      this.#pending.set(keyOf(id), { id, method })
      if (method === 'initialize' && !this.#initialize?.answered)
        this.#initialize = { said, id, answered: false }
      return true
    }
    if (isResponse(message)) return message.id !== null && this.#asked.delete(keyOf(message.id))
    if (message.method === 'notifications/initialized') this.#initialized = said
    if (message.method !== 'notifications/cancelled') return true
    // What is cancelled gets no answer any more.
    return this.#pending.delete(keyOf(message.params?.['requestId']))
  }

  #hear(message: JsonRpcMessage): void {
    if (isRequest(message)) {
      this.#asked.set(keyOf(message.id), message.id)
      const [oldest] = this.#asked.keys()
      if (this.#asked.size > maxAsked && oldest !== undefined) this.#asked.delete(oldest)
    } else if (isResponse(message)) {
      this.#pending.delete(keyOf(message.id))
      const handshake = this.#initialize
      if (!handshake || handshake.id !== message.id || handshake.answered) return
      if (message.error) this.#initialize = undefined
      else handshake.answered = true
    }
  }

  /** Whether this cancels a request that is still waiting here; then neither is sent. */
  #withdraws({ messages }: Said): boolean {
    const [only] = messages
    if (messages.length !== 1 || only?.method !== 'notifications/cancelled') return false
    const at = this.#queue.findIndex((said) =>
      said.messages.some((one) => isRequest(one) && one.id === only.params?.['requestId']),
    )
    const found = this.#queue[at]
    if (found?.messages.length !== 1) return false
    this.#queue.splice(at, 1)
    this.#queuedBytes -= found.bytes.length
    return true
  }

  #refuse({ messages }: Said, error: GatewayError): void {
    for (const message of messages) {
      if (!isRequest(message)) continue
      this.failed++
      this.#wires.toClient(errorText(message.id, error))
    }
  }
}

/** The messages of a line; undefined where it is no JSON-RPC. What is wrong inside, the gateway says. */
function readMessages(line: Uint8Array): readonly JsonRpcMessage[] | undefined {
  let read: unknown
  try {
    read = JSON.parse(Buffer.from(line.buffer, line.byteOffset, line.byteLength).toString())
  } catch {
    return undefined
  }
  const messages: unknown[] = Array.isArray(read) ? read : [read]
  const whole = messages.every((one) => typeof one === 'object' && one !== null)
  return whole ? (messages as JsonRpcMessage[]) : undefined
}

const keyOf = (id: unknown): string => `${typeof id} ${String(id)}`

function errorText(id: RequestId | null, error: GatewayError): string {
  const data = { code: error.code, ...error.data }
  return JSON.stringify({
    jsonrpc: '2.0',
    id,
    error: { code: error.rpcCode, message: error.message, data },
  })
}
