// A channel's wire over a WebSocket: one text frame for each message, pings as the question whether the client lives.
import { isUtf8 } from 'node:buffer'
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { Closing, Line, LineListener } from './line.ts'

/** Close codes and reasons (RFC 6455, section 7.4.1). */
const closings: Readonly<Record<Closing, readonly [number, string]>> = {
  credential: [1008, 'the credential has ended'],
  session: [1000, 'the session has ended'],
  idle: [1000, 'nothing was sent for too long'],
  age: [1000, 'the connection was open for too long'],
  shutdown: [1001, 'the gateway is shutting down'],
  binary: [1003, 'send text frames'],
}
/** How long a client has to join in when the connection is closed. */
const closeMs = 1000

export class WebSocketLine implements Line {
  readonly #webSocket: WebSocket
  readonly #socket: Duplex
  /** Something has come from the client since the last ping. */
  #alive = true

  /** `socket` is the connection that `webSocket` uses. */
  constructor(webSocket: WebSocket, socket: Duplex) {
    this.#webSocket = webSocket
    this.#socket = socket
  }

  listen(listener: LineListener): void {
    this.#socket.on('drain', () => listener.drained())
    this.#webSocket.on('pong', () => (this.#alive = true))
    this.#webSocket.on('message', () => (this.#alive = true))
    this.#webSocket.once('close', () => listener.gone())
    // What is wrong with a frame closes the connection, with the code that says it.
    this.#webSocket.on('error', () => this.#terminateSoon())
  }

  send(bytes: Uint8Array): boolean {
    // A text frame that is no UTF-8 would cost the client its connection.
    const text = isUtf8(bytes) ? bytes : Buffer.from(Buffer.from(bytes).toString())
    this.#webSocket.send(text, { binary: false })
    return !this.#socket.writableNeedDrain
  }

  get waitingBytes(): number {
    return this.#webSocket.bufferedAmount
  }

  keepAlive(): boolean {
    // The ping would wait behind what the client has not read, and its answer is not read while we do not.
    if (this.waitingBytes > 0 || this.#webSocket.isPaused) return true
    if (!this.#alive) return false
    this.#alive = false
    this.#webSocket.ping()
    return true
  }

  pause(): boolean {
    this.#webSocket.pause()
    return true
  }

  resume(): void {
    this.#alive = true
    this.#webSocket.resume()
  }

  close(why: Closing): void {
    const [code, reason] = closings[why]
    this.#webSocket.close(code, reason)
    // Whoever is not read from cannot join in.
    this.#webSocket.resume()
    this.#terminateSoon()
  }

  terminate(): void {
    this.#webSocket.terminate()
  }

  #terminateSoon(): void {
    const timer = setTimeout(() => this.#webSocket.terminate(), closeMs)
    timer.unref()
    this.#webSocket.once('close', () => clearTimeout(timer))
  }
}
