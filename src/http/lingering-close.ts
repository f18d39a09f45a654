// How a connection ends whose request was answered before it was read: half-closed, read on for a while, then cut.
import {
  ServerResponse,
  STATUS_CODES,
  type IncomingMessage,
  type OutgoingHttpHeader,
  type OutgoingHttpHeaders,
} from 'node:http'
import { Socket } from 'node:net'

export interface LingerLimits {
  /** What is read and thrown away after the answer; more is left to the kernel. */
  readonly maxBytes: number
  /** From the end of the answer; whoever has not closed by then is cut off. */
  readonly maxMs: number
}

/** Enough for what the kernels on both sides hold, and for an answer to go around the world. */
export const usualLinger: LingerLimits = { maxBytes: 8 * 1024 * 1024, maxMs: 2000 }

/**
 * The last answers of connections. One that begins before its request was read to the end says `Connection: close`;
 * once it is written, the connection is closed on our side alone and what still comes is thrown away, within limits.
 * Closing both sides at once would make the kernel reset the connection, and a client that is still sending would
 * lose the answer (RFC 9112, section 9.6).
 */
export class LingeringClose {
  readonly #limits: LingerLimits
  /** What each connection says last, where it has come to that; undefined is a refusal of what was no HTTP. */
  readonly #last = new Map<Socket, ServerResponse | undefined>()
  #stopped = false

  constructor(limits: LingerLimits) {
    this.#limits = limits
  }

  /** What `createServer` takes as its `ServerResponse`. Costs an answer to a whole request one comparison. */
  responseClass(): typeof ServerResponse {
    const closeAfter = (response: ServerResponse): void => this.closeAfter(response)
    return class<Request extends IncomingMessage> extends ServerResponse<Request> {
      override writeHead(status: number, reason?: string | Headers, headers?: Headers): this {
        if (!this.req.complete && hasBody(this.req)) closeAfter(this)
        return super.writeHead(status, reason as string, headers)
      }
    }
  }

  /** Makes an answer, whose head is not written yet, the last one of its connection. */
  closeAfter(response: ServerResponse): void {
    const { socket } = response.req
    if (socket.destroyed || this.#last.has(socket)) return
    this.#remember(socket, response)
    // Said outright: a framework that once removed the header has made Node leave its own out.
    response.setHeader('connection', 'close')
    response.shouldKeepAlive = false
    // Node calls it when the last answer is written, and means to close both sides.
    socket.destroySoon = () => this.#linger(socket)
  }

  /**
   * The listener of `clientError`: refuses what is no HTTP in Node's own words, which without a listener would close
   * at once. Answers nothing where an answer has begun.
   */
  refuse(error: NodeJS.ErrnoException, socket: Socket): void {
    const isSyntax = error.code?.startsWith('HPE_') ?? false
    // Garbage behind a last answer that is on its way must not take it from the client.
    if (isSyntax && this.#last.get(socket)?.writableEnded && socket.writable) return
    if (!socket.writable || answerOn(socket)?.headersSent) {
      socket.destroy(error)
      return
    }
    const status = refusals[error.code ?? ''] ?? 400
    socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\n\r\n`)
    this.#remember(socket, undefined)
    this.#linger(socket)
  }

  /** Whether a request came behind the last one that its connection is to carry, and so must not be run. */
  isOver(request: IncomingMessage): boolean {
    return this.#last.size > 0 && this.#last.has(request.socket)
  }

  /** Cuts every connection that only lingers, and lets none linger from now on. */
  stop(): void {
    this.#stopped = true
    for (const socket of this.#last.keys()) if (socket.writableEnded) closeBothSides(socket)
  }

  #remember(socket: Socket, answer: ServerResponse | undefined): void {
    this.#last.set(socket, answer)
    socket.once('close', () => this.#last.delete(socket))
  }

  #linger(socket: Socket): void {
    if (this.#stopped) return closeBothSides(socket)
    const timer = setTimeout(() => socket.destroy(), this.#limits.maxMs)
    socket.once('close', () => clearTimeout(timer))
    socket.end()
    // The HTTP parser reads from the handle itself. It lets go of a socket that others listen to, but then nobody
    // would start the reading again where it stands still; so it is stopped and started first.
    socket.pause()
    socket.once('resume', () => this.#discard(socket))
    socket.resume()
  }

  /** From here on no byte of the connection is parsed. */
  #discard(socket: Socket): void {
    let bytes = 0
    socket.removeAllListeners('data')
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      // What is not read holds the sender up, and leaves it the rest of the time to see the answer.
      if (bytes >= this.#limits.maxBytes) socket.pause()
    })
  }
}

/** Node's own close, once what was written is with the kernel. */
const closeBothSides = (socket: Socket): void => Socket.prototype.destroySoon.call(socket)

/** What Node answers to faults that the parser or the clock finds; everything else is a 400. */
const refusals: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
}

/** The answer that a connection is busy with. Node has no public name for it. */
const answerOn = (socket: Socket): ServerResponse | undefined =>
  (socket as Socket & { readonly _httpMessage?: ServerResponse | null })._httpMessage ?? undefined

type Headers = OutgoingHttpHeaders | OutgoingHttpHeader[]

/** Whether a request announces a body. One that announces none is as good as read, though Node says so a little later. */
function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers['content-length']
  return (length !== undefined && length !== '0') || headers['transfer-encoding'] !== undefined
}
