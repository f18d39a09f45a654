// A channel's wire over an event stream: one event for each message, comments as signs of life.
import type { ServerResponse } from 'node:http'
import { formatEvent } from '../../wire/sse-frame.ts'
import { answerHeaders } from '../http-reply.ts'
import type { Line, LineListener } from './line.ts'

const comment = Buffer.from(': keep-alive\n\n')

export class SseLine implements Line {
  readonly #response: ServerResponse

  constructor(response: ServerResponse) {
    this.#response = response
  }

  /** Sends the head and the first event: where the client's messages go (MCP 2024-11-05, "HTTP with SSE"). */
  begin(endpoint: string): void {
    this.#response.writeHead(200, {
      ...answerHeaders,
      'content-type': 'text/event-stream',
      'x-accel-buffering': 'no',
    })
    this.#response.write(formatEvent({ event: 'endpoint', data: endpoint }))
  }

  listen(listener: LineListener): void {
    this.#response.on('drain', () => listener.drained())
    this.#response.once('close', () => listener.gone())
    if (this.#response.destroyed) queueMicrotask(() => listener.gone())
  }

  send(bytes: Uint8Array): boolean {
    return this.#response.writableEnded || this.#write(formatEvent({ event: 'message', data: bytes }))
  }

  get waitingBytes(): number {
    return this.#response.writableLength
  }

  keepAlive(): boolean {
    // What waits is a sign of life already.
    if (this.waitingBytes === 0) this.#write(comment)
    return true
  }

  /** Messages come in requests of their own, which can be refused. */
  pause(): boolean {
    return false
  }

  resume(): void {}

  close(): void {
    this.#response.end()
  }

  terminate(): void {
    this.#response.destroy()
  }

  #write(bytes: Uint8Array): boolean {
    return this.#response.destroyed || this.#response.write(bytes)
  }
}
