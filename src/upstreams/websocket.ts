// WebSocket towards one server: subprotocol `mcp`, and one JSON-RPC message in each text frame.
import { isIP } from 'node:net'
import { WebSocket } from 'ws'
import { GatewayError } from '../base/errors.ts'
import type { Server, WebSocketTransport } from '../registry/server.ts'
import { addressOf } from './address.ts'
import type { Egress } from './egress.ts'
import type { Link, LinkEnd, LinkEvents, LinkOpening, LinkRefusal } from './link.ts'
import type { UpstreamFailure, UpstreamRequest } from './upstream.ts'

/** A registered server that is reached over WebSocket. */
export type WebSocketServer = Server & { readonly transport: WebSocketTransport }

export interface WebSocketOptions {
  readonly egress: Egress
  /** What stands at the server's `sessionId` place. */
  readonly sessionId?: string | undefined
  /** Of messages that are not on the wire yet. */
  readonly maxQueuedBytes: number
  /** Between saying good-bye and closing the socket. */
  readonly killGraceMs: number
  readonly pingMs?: number
  /** How long the answer to a ping may take. */
  readonly pongMs?: number
}

const subprotocol = 'mcp'
/** RFC 6455, section 7.4.1. */
const normalClosure = 1000
const unsupportedData = 1003
const maxFragments = 4096

export class WebSocketLink implements Link {
  opening: LinkOpening | undefined = { stage: 'connect', awaited: 'the WebSocket handshake' }
  readonly #options: WebSocketOptions
  readonly #events: LinkEvents
  readonly #socket: WebSocket
  readonly #ended = Promise.withResolvers<void>()
  #end: LinkEnd | undefined
  #paused = false
  #pingTimer: NodeJS.Timeout | undefined
  #pongTimer: NodeJS.Timeout | undefined
  #closeTimer: NodeJS.Timeout | undefined

  /** Throws `egress_denied` where the server's address is not allowed. */
  constructor(server: WebSocketServer, options: WebSocketOptions, events: LinkEvents) {
    this.#options = options
    this.#events = events
    const { egress, sessionId } = options
    const checkUrl = (text: string): URL => egress.checkUrl(text.replace(/^ws/i, 'http'))
    const { url, target, headers } = addressOf(server, { checkUrl, sessionId })
    const host = url.hostname.replace(/^\[|\]$/g, '')
    const secure = url.protocol === 'https:'
    this.#socket = new WebSocket(new URL(target, url), [subprotocol], {
      headers: Object.fromEntries(headers),
      followRedirects: false,
      perMessageDeflate: false,
      maxPayload: server.limits.maxResponseBytes,
      maxFragments,
      // Every address that a name stands for is vetted, and the socket connects to what was vetted.
      lookup: egress.lookup,
      ...(secure && isIP(host) === 0 && { servername: host.replace(/\.$/, '') }),
      ...(secure && { ALPNProtocols: ['http/1.1'] }),
    })
    this.#listen()
  }

  get alive(): boolean {
    return this.#end === undefined
  }

  get ended(): Promise<void> {
    return this.#ended.promise
  }

  write({ body }: UpstreamRequest, told: (failure?: UpstreamFailure) => void): LinkRefusal | undefined {
    if (this.#end) return { stage: 'call', gone: true, message: this.#end.message }
    const waiting = this.#socket.bufferedAmount
    if (waiting > 0 && waiting + body.length > this.#options.maxQueuedBytes)
      return { stage: 'call', message: 'The server does not read its messages; too much is waiting.' }
    this.#socket.send(body, { binary: false })
    queueMicrotask(told)
    return undefined
  }

  pause(): void {
    this.#paused = true
    this.#socket.pause()
  }

  resume(): void {
    this.#paused = false
    this.#socket.resume()
  }

  close(end: LinkEnd): void {
    if (this.#end) return
    this.#breakOff(end, normalClosure)
  }

  killNow(): void {
    this.#end ??= { stage: 'call', message: 'The connection was closed.' }
    this.#socket.terminate()
  }

  #listen(): void {
    const socket = this.#socket
    // A server that selects no subprotocol is taken to mean the one that was offered; another one is refused.
    socket.on('upgrade', ({ headers }) => (headers['sec-websocket-protocol'] ??= subprotocol))
    socket.on('unexpected-response', (request, { statusCode = 0 }) => {
      request.destroy()
      this.#breakOff({ stage: 'handshake', message: refusalText(statusCode) })
    })
    socket.on('open', () => this.#onOpen())
    socket.on('message', (data, isBinary) => {
      if (this.#end) return
      if (isBinary) this.#breakOff(binaryEnd, unsupportedData)
      else this.#events.message(data as Buffer)
    })
    socket.on('pong', () => this.#onPong())
    socket.on('error', (error) => (this.#end ??= this.#endOf(error)))
    socket.on('close', (code) => this.#onClose(code))
  }

  #onOpen(): void {
    this.opening = undefined
    if (this.#end) return
    if (this.#paused) this.#socket.pause()
    this.#pingTimer = setInterval(() => this.#ping(), this.#options.pingMs ?? 30_000)
    this.#events.opened()
  }

  /** A peer that vanished without a word is found out; while reading is paused, its pongs cannot be seen. */
  #ping(): void {
    if (this.#paused || this.#pongTimer) return
    this.#socket.ping()
    this.#pongTimer = setTimeout(() => {
      this.#pongTimer = undefined
      if (this.#paused) return
      this.#end ??= { stage: 'call', message: 'The server does not answer pings any more.' }
      this.#socket.terminate()
    }, this.#options.pongMs ?? 10_000)
  }

  #onPong(): void {
    clearTimeout(this.#pongTimer)
    this.#pongTimer = undefined
  }

  #breakOff(end: LinkEnd, code?: number): void {
    this.#end ??= end
    // The peer's own close frame has to be read.
    this.resume()
    if (code === undefined || this.opening) this.#socket.terminate()
    else this.#socket.close(code)
    this.#closeTimer ??= setTimeout(() => this.#socket.terminate(), this.#options.killGraceMs)
  }

  #onClose(code: number): void {
    clearInterval(this.#pingTimer)
    clearTimeout(this.#pongTimer)
    clearTimeout(this.#closeTimer)
    this.#end ??= { stage: 'call', message: `The server closed the connection (code ${code}).` }
    this.#ended.resolve()
    this.#events.gone(this.#end)
  }

  #endOf(error: Error & { code?: string }): LinkEnd {
    const { code = '' } = error
    const stage = this.opening ? 'connect' : 'call'
    if (error instanceof GatewayError && error.code === 'egress_denied')
      return { stage: 'egress', message: 'The server has an address that is not allowed.' }
    if (code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH')
      return {
        stage,
        message: 'The message is larger than the limit of this server (limits.maxResponseBytes).',
        tooLarge: true,
      }
    if (code.startsWith('WS_ERR_'))
      return { stage, message: 'The server sent something that is not valid WebSocket.', cause: error }
    if (/subprotocol/.test(error.message))
      return {
        stage: 'handshake',
        message: 'The server selected another subprotocol than mcp.',
        cause: error,
      }
    if (!/^(E|CERT_|DEPTH_|UNABLE_|SELF_|ERR_TLS_)[A-Z0-9_]+$/.test(code))
      return this.opening
        ? {
            stage: 'handshake',
            message: 'The server does not answer as a WebSocket; check the URL.',
            cause: error,
          }
        : { stage, message: 'The connection broke off.', cause: error }
    const what = this.opening ? 'The server cannot be reached' : 'The connection broke off'
    return { stage, message: `${what}: ${code}.`, cause: error }
  }
}

const binaryEnd: LinkEnd = {
  stage: 'call',
  message: 'The server sent a binary frame, where MCP over WebSocket has text only.',
}

function refusalText(status: number): string {
  if (status === 401 || status === 403)
    return `The server refused our credential (HTTP ${status}); check auth.`
  if (status >= 300 && status < 400) return 'The server answered with a redirect, which is never followed.'
  return `The server answered the WebSocket handshake with HTTP ${status}; check the URL.`
}
