// The answers to a batch over Streamable HTTP: one array, or a stream where more than answers has to go out.
import type { ServerResponse } from 'node:http'
import type { GatewayError } from '../base/errors.ts'
import type { FinalAnswer, Reply } from '../sessions/reply.ts'
import { isRequest, type JsonRpcMessage } from '../wire/json-rpc.ts'
import { formatEvent } from '../wire/sse-frame.ts'
import { joinBatch } from './batch-body.ts'
import { answerHeaders } from './http-reply.ts'
import { rpcError } from './rpc-error.ts'

type Message = Parameters<Reply['message']>[0]

/** Answers are kept for the array up to here; then they go out as events (MCP 2025-03-26 allows both). */
const maxKeptBytes = 1024 * 1024

export class HttpBatch {
  readonly #response: ServerResponse
  readonly #answers: Uint8Array[] = []
  readonly #drainListeners = new Set<() => void>()
  readonly #goneListeners = new Set<() => void>()
  #keptBytes = 0
  #open: number
  #streaming = false

  /** `size` is how many messages the batch has; each needs its own reply. */
  constructor(response: ServerResponse, size: number) {
    this.#response = response
    this.#open = size
    response.on('drain', () => runAll(this.#drainListeners))
    response.once('close', () => {
      runAll(this.#drainListeners)
      if (this.#open > 0) runAll(this.#goneListeners)
    })
  }

  replyTo(message: JsonRpcMessage): Reply {
    return new PartReply(this, message)
  }

  /** Sends what is no answer. False while the client reads too slowly. */
  send(bytes: Uint8Array): boolean {
    this.#stream()
    return this.#write(bytes)
  }

  /** One message is done with; `bytes` is its answer, where it has one. */
  done(bytes: Uint8Array | undefined): void {
    if (bytes && this.#streaming) this.#write(bytes)
    else if (bytes) this.#keep(bytes)
    this.#open--
    if (this.#open === 0) this.#finish()
  }

  onDrain(listener: () => void): void {
    if (this.#response.destroyed) queueMicrotask(listener)
    else this.#drainListeners.add(listener)
  }

  onGone(listener: () => void): void {
    if (this.#response.destroyed) queueMicrotask(listener)
    else this.#goneListeners.add(listener)
  }

  #keep(bytes: Uint8Array): void {
    this.#answers.push(bytes)
    this.#keptBytes += bytes.length
    if (this.#keptBytes > maxKeptBytes) this.#stream()
  }

  #stream(): void {
    if (this.#streaming) return
    this.#streaming = true
    this.#response.writeHead(200, {
      ...answerHeaders,
      'content-type': 'text/event-stream',
      'x-accel-buffering': 'no',
    })
    this.#response.flushHeaders()
    for (const answer of this.#answers.splice(0)) this.#write(answer)
  }

  #write(bytes: Uint8Array): boolean {
    return this.#response.destroyed || this.#response.write(formatEvent({ data: bytes, event: 'message' }))
  }

  #finish(): void {
    if (this.#streaming) {
      this.#response.end()
      return
    }
    if (this.#answers.length === 0) {
      this.#response.writeHead(202, answerHeaders).end()
      return
    }
    const body = joinBatch(this.#answers)
    const headers = { 'content-type': 'application/json', 'content-length': String(body.length) }
    this.#response.writeHead(200, { ...answerHeaders, ...headers }).end(body)
  }
}

/** One message's part of the answer. Bare events are of no use here: what is resumed is a stream, not an array. */
class PartReply implements Reply {
  readonly #batch: HttpBatch
  readonly #message: JsonRpcMessage
  #done = false

  constructor(batch: HttpBatch, message: JsonRpcMessage) {
    this.#batch = batch
    this.#message = message
  }

  stream(): void {}

  message({ message, bytes }: Message): boolean {
    return this.#done || message === undefined || this.#batch.send(bytes)
  }

  final({ bytes }: FinalAnswer): void {
    this.#finish(bytes)
  }

  accepted(): void {
    this.#finish(undefined)
  }

  end(): void {
    this.#finish(undefined)
  }

  refuse(error: GatewayError): void {
    this.#finish(isRequest(this.#message) ? rpcError(error, this.#message.id, true) : undefined)
  }

  onDrain(listener: () => void): void {
    this.#batch.onDrain(listener)
  }

  onGone(listener: () => void): void {
    this.#batch.onGone(() => {
      if (!this.#done) listener()
    })
  }

  #finish(bytes: Uint8Array | undefined): void {
    if (this.#done) return
    this.#done = true
    this.#batch.done(bytes)
  }
}

function runAll(listeners: Set<() => void>): void {
  const all = [...listeners]
  listeners.clear()
  for (const listener of all) listener()
}
