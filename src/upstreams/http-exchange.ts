// One HTTP exchange with a server: turns the client library's callbacks into head, messages, and one end or failure.
import type { Dispatcher } from 'undici'
import { SseParser, type SseEvent } from '../wire/sse-frame.ts'
import { parseMessage } from './parse-message.ts'
import type { UpstreamExchange, UpstreamFailure, UpstreamHead, UpstreamSink } from './upstream.ts'

const aborted = new Error('aborted')
const empty = Buffer.alloc(0)

/**
 * The state of one request. Nothing is retried, decoded or redirected. The sink is never called before the exchange
 * is in its caller's hands, nor after `abort`, `end` or `fail`.
 */
export class HttpExchange implements Dispatcher.DispatchHandler, UpstreamExchange {
  readonly #sink: UpstreamSink
  readonly #maxBytes: number
  readonly #onDone: () => void
  #controller: Dispatcher.DispatchController | undefined
  /** The request may have left the gateway. */
  #sent = false
  #silent = false
  #paused = false
  #released = false
  #starting = true
  #parser: SseParser | undefined
  #first: Buffer = empty
  #rest: Buffer[] | undefined
  #bytes = 0

  constructor(sink: UpstreamSink, maxBytes: number, onDone: () => void) {
    this.#sink = sink
    this.#maxBytes = maxBytes
    this.#onDone = onDone
  }

  /** The call that dispatches has returned: from here on the sink may be called directly. */
  started(): this {
    this.#starting = false
    return this
  }

  abort(): void {
    if (this.#silent) return
    this.#silent = true
    this.#controller?.abort(aborted)
  }

  pause(): void {
    this.#paused = true
    this.#controller?.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    // The parser is shared by all connections and must not be entered again from inside one of its callbacks.
    queueMicrotask(() => {
      if (!this.#paused) this.#controller?.resume()
    })
  }

  /** Fails without having been dispatched. */
  refuse(failure: UpstreamFailure): this {
    this.#fail(failure)
    return this
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Thrown, not aborted: nothing has been written, so the connection stays usable.
    if (this.#silent) throw aborted
    this.#controller = controller
    this.#sent = true
    if (this.#paused) controller.pause()
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: Headers): void {
    if (status < 200 || this.#silent) return
    const problem = this.#problemOf(status, headers)
    if (problem) {
      this.#breakOff(problem.message, problem.tooLarge)
      return
    }
    const head = readHead(status, headers)
    if (head.contentType === 'event-stream')
      this.#parser = new SseParser(this.#maxBytes, (event) => this.#onEvent(event))
    this.#sink.head(head)
  }

  #problemOf(status: number, headers: Headers): { message: string; tooLarge?: boolean } | undefined {
    if (status < 400 && status >= 300)
      return { message: 'The server answered with a redirect, which is never followed.' }
    const encoding = headers['content-encoding']
    if (encoding !== undefined && encoding !== 'identity')
      return { message: 'The server answered with a compressed body, which was not asked for.' }
    return Number(headers['content-length']) > this.#maxBytes
      ? { message: tooLargeText, tooLarge: true }
      : undefined
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#silent) return
    if (this.#parser) {
      if (!this.#parser.push(chunk)) this.#breakOff(tooLargeText, true)
      return
    }
    this.#bytes += chunk.length
    if (this.#bytes > this.#maxBytes) this.#breakOff(tooLargeText, true)
    else if (this.#first.length === 0) this.#first = chunk
    else (this.#rest ??= [this.#first]).push(chunk)
  }

  #onEvent(event: SseEvent): void {
    if (this.#silent) return
    const bytes = event.data ?? empty
    const message = bytes.length > 0 ? parseMessage(bytes) : undefined
    this.#sink.message({ message, bytes, frame: event.raw })
  }

  onResponseEnd(): void {
    this.#release()
    if (this.#silent) return
    if (this.#parser?.partial) {
      this.#fail({ stage: 'call', message: 'The server broke off in the middle of an event.', sent: true })
      return
    }
    if (this.#bytes > 0) {
      const bytes = this.#rest ? Buffer.concat(this.#rest, this.#bytes) : this.#first
      this.#sink.message({ message: parseMessage(bytes), bytes })
    }
    // The sink may have aborted in `message`.
    if (this.#silent) return
    this.#silent = true
    this.#sink.end()
  }

  onResponseError(_: Dispatcher.DispatchController | null, error: Error): void {
    this.#release()
    if (this.#silent) return
    const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
    const reason = reasonOf(code)
    if (this.#sent)
      this.#fail({ stage: 'call', message: `The server broke off: ${reason}.`, sent: true, cause: error })
    else if (code === 'egress_denied')
      this.#fail({ stage: 'egress', message: 'The server has an address that is not allowed.', sent: false })
    else
      this.#fail({
        stage: 'connect',
        message: `The server cannot be reached: ${reason}.`,
        sent: false,
        cause: error,
      })
  }

  #breakOff(message: string, tooLarge?: boolean): void {
    this.#fail({ stage: 'call', message, sent: true, ...(tooLarge && { tooLarge }) })
    this.#controller?.abort(aborted)
  }

  #fail(failure: UpstreamFailure): void {
    if (this.#starting) {
      queueMicrotask(() => this.#fail(failure))
      this.#starting = false
      return
    }
    if (this.#silent) return
    this.#silent = true
    this.#sink.fail(failure)
  }

  #release(): void {
    if (this.#released) return
    this.#released = true
    this.#onDone()
  }
}

type Headers = Parameters<NonNullable<Dispatcher.DispatchHandler['onResponseStart']>>[2]

const tooLargeText = 'The answer is larger than the limit of this server (limits.maxResponseBytes).'

/** A header that a server sent twice is as good as none. */
const single = (value: string | string[] | undefined): string | undefined =>
  typeof value === 'string' ? value : undefined

function readHead(status: number, headers: Headers): UpstreamHead {
  const text = single(headers['content-type'])
  const sessionId = headers['mcp-session-id']
  return {
    status,
    contentType: kindOf(status, text, single(headers['content-length'])),
    ...(text !== undefined && { contentTypeText: text }),
    // MCP 2025-11-25, "Session Management": visible ASCII only.
    ...(typeof sessionId === 'string' && /^[\x21-\x7e]{1,1024}$/.test(sessionId) && { sessionId }),
  }
}

function kindOf(
  status: number,
  text: string | undefined,
  length: string | undefined,
): UpstreamHead['contentType'] {
  if (status === 202 || status === 204 || length === '0') return 'none'
  if (text === 'application/json') return 'json'
  const type = text?.split(';', 1)[0]?.trim().toLowerCase()
  if (type === 'text/event-stream') return 'event-stream'
  return type === 'application/json' || type?.endsWith('+json') ? 'json' : 'other'
}

/** What an operator needs to know of a transport error; system codes are kept, names of libraries are not. */
function reasonOf(code: string): string {
  if (code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'ETIMEDOUT') return 'the connection timed out'
  if (code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code === 'EPIPE')
    return 'the connection was closed'
  if (code.startsWith('HPE_')) return 'the answer is not valid HTTP'
  if (code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') return 'the body is shorter than announced'
  if (code === 'UND_ERR_HEADERS_OVERFLOW') return 'the headers are too large'
  if (code === 'UND_ERR_CLOSED' || code === 'UND_ERR_DESTROYED')
    return 'its registration has changed or the gateway stops'
  return /^(E|CERT_|DEPTH_|UNABLE_|SELF_|ERR_TLS_)[A-Z0-9_]+$/.test(code) ? code : 'the connection failed'
}
