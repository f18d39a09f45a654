// An answer over Streamable HTTP: one JSON body, or an SSE stream that ends with the final answer.
import type { ServerResponse } from 'node:http'
import type { GatewayError } from '../base/errors.ts'
import { stepUpChallenge } from '../identity/scopes.ts'
import type { FinalAnswer, LimitState, Reply } from '../sessions/reply.ts'
import { formatEvent } from '../wire/sse-frame.ts'
import type { RequestId } from '../wire/json-rpc.ts'
import { rateLimitHeaders } from './rate-limit-headers.ts'
import { rpcError } from './rpc-error.ts'

type StreamHead = Parameters<Reply['stream']>[0]
type Message = Parameters<Reply['message']>[0]

/** Headers of every answer under /mcp: nothing is cached, sniffed or framed. */
export const answerHeaders = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' } as const

const jsonHeaders: readonly string[] = [
  ...Object.entries(answerHeaders).flat(),
  'content-type',
  'application/json',
]

export class HttpReply implements Reply {
  readonly #response: ServerResponse
  readonly #id: RequestId | null
  #streaming = false
  #done = false
  #onDrain: (() => void) | undefined
  /** Names and values in turn. */
  #limits: readonly string[] = []

  constructor(response: ServerResponse, id: RequestId | null) {
    this.#response = response
    this.#id = id
  }

  limited(state: LimitState): void {
    this.#limits = rateLimitHeaders(state)
  }

  stream({ callId, sessionToken }: StreamHead): void {
    if (this.#streaming || this.#done) return
    this.#streaming = true
    this.#response.writeHead(200, {
      ...answerHeaders,
      'content-type': 'text/event-stream',
      // Tells buffering proxies to let each event through (MCP 2026-07-28, "Streamable HTTP").
      'x-accel-buffering': 'no',
      'tollbridge-call-id': callId,
      ...(sessionToken !== undefined && { 'mcp-session-id': sessionToken }),
      ...this.#limitFields,
    })
    this.#response.flushHeaders()
  }

  message({ frame, bytes }: Message): boolean {
    return this.#done || this.#response.destroyed || this.#response.write(frame ?? wrap(bytes))
  }

  final(answer: FinalAnswer): void {
    if (this.#done) return
    const { callId: recorded } = answer
    if (answer.frame && recorded !== undefined) this.stream({ ...answer, callId: recorded })
    this.#done = true
    if (this.#streaming) {
      this.#response.end(answer.frame ?? wrap(answer.bytes))
      return
    }
    const { status, bytes, callId, cost, sessionToken, retryAfterS } = answer
    // A flat list costs Node less than an object, and this is written for each call.
    const headers = [...jsonHeaders, 'content-length', String(bytes.length)]
    if (this.#limits.length > 0) headers.push(...this.#limits)
    if (callId !== undefined) headers.push('tollbridge-call-id', callId)
    if (cost !== undefined) headers.push('tollbridge-cost', cost)
    if (sessionToken !== undefined) headers.push('mcp-session-id', sessionToken)
    if (retryAfterS !== undefined) headers.push('retry-after', String(retryAfterS))
    this.#response.writeHead(status, headers)
    this.#response.end(bytes)
  }

  accepted(callId: string | undefined): void {
    if (this.#done) return
    this.#done = true
    this.#response.writeHead(202, {
      ...answerHeaders,
      ...(callId !== undefined && { 'tollbridge-call-id': callId }),
    })
    this.#response.end()
  }

  end(): void {
    if (this.#done) return
    this.#done = true
    if (!this.#streaming)
      this.#response.writeHead(200, { ...answerHeaders, 'content-type': 'text/event-stream' })
    this.#response.end()
  }

  refuse(error: GatewayError, callId?: string): void {
    if (this.#streaming || this.#done) return this.end()
    this.#done = true
    sendError(this.#response, error, this.#id, {
      ...(callId !== undefined && { 'tollbridge-call-id': callId }),
      ...this.#limitFields,
    })
  }

  get #limitFields(): Record<string, string> {
    const [policyName, policy = '', stateName, state = ''] = this.#limits
    return policyName === undefined || stateName === undefined
      ? {}
      : { [policyName]: policy, [stateName]: state }
  }

  onDrain(listener: () => void): void {
    const waiting = this.#onDrain !== undefined
    this.#onDrain = listener
    if (waiting) return
    const drained = (): void => {
      this.#response.off('drain', drained)
      this.#response.off('close', drained)
      const resume = this.#onDrain
      this.#onDrain = undefined
      resume?.()
    }
    // A client that goes away reads no more; what waits for it must not wait for good.
    this.#response.on('drain', drained)
    this.#response.on('close', drained)
  }

  onGone(listener: () => void): void {
    const gone = (): void => {
      if (!this.#done) listener()
    }
    // It may have gone while the call was made ready.
    if (this.#response.destroyed) queueMicrotask(gone)
    else this.#response.once('close', gone)
  }
}

/** A refusal as a JSON-RPC error under its HTTP status, with the headers that belong to its code. */
export function sendError(
  response: ServerResponse,
  error: GatewayError,
  id: RequestId | null,
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = rpcError(error, id)
  response.writeHead(error.status, {
    ...answerHeaders,
    'content-type': 'application/json',
    'content-length': String(body.length),
    ...(error.retryAfterS !== undefined && { 'retry-after': String(error.retryAfterS) }),
    ...(error.code === 'insufficient_scope' && { 'www-authenticate': stepUpChallenge(error) }),
    ...headers,
  })
  response.end(body)
}

const wrap = (bytes: Uint8Array): Uint8Array => formatEvent({ data: bytes, event: 'message' })
