// HTTP+SSE towards one server (MCP 2024-11-05): an event stream from it, and a POST for each message to it.
import { newId } from '../base/id.ts'
import type { Address } from './address.ts'
import type { Link, LinkEnd, LinkEvents, LinkOpening, LinkRefusal } from './link.ts'
import type { SsePool, SseServer } from './sse-pool.ts'
import { SsePosts } from './sse-posts.ts'
import type { UpstreamExchange, UpstreamFailure, UpstreamHead, UpstreamMessage } from './upstream.ts'
import type { UpstreamRequest } from './upstream.ts'

export interface SseOptions {
  /** The pool's server with the secrets that it refers to, where it does. */
  readonly server?: SseServer
  /** What stands at the server's `sessionId` place. */
  readonly sessionId?: string | undefined
  /** Of messages that the server has not taken yet. */
  readonly maxQueuedBytes: number
}

/** How long a server with a registered `messageUrl` may take to name its session in an `endpoint` event. */
const endpointGraceMs = 1000
const maxEndpointBytes = 8192

export class SseLink implements Link {
  opening: LinkOpening | undefined = { stage: 'connect', awaited: 'the event stream' }
  readonly #pool: SsePool
  readonly #events: LinkEvents
  readonly #sessionId: string
  readonly #server: SseServer
  readonly #address: Address
  /** Where messages go, as registered. */
  readonly #messages: Address | undefined
  readonly #stream: UpstreamExchange
  readonly #posts: SsePosts
  readonly #ended = Promise.withResolvers<void>()
  /** How every POST begins; known once the link is open. */
  #postHead = ''
  #paused = false
  #graceTimer: NodeJS.Timeout | undefined
  #end: LinkEnd | undefined

  /** Throws `egress_denied` where an address of the server is not allowed. */
  constructor(pool: SsePool, options: SseOptions, events: LinkEvents) {
    this.#pool = pool
    this.#events = events
    this.#sessionId = options.sessionId ?? newId('ses')
    this.#server = options.server ?? pool.server
    const { stream, messages } = pool.addresses(this.#sessionId, this.#server)
    this.#address = stream
    this.#messages = messages
    this.#posts = new SsePosts({
      start: (request, sink) => pool.startPost(this.#postHead, request, sink),
      maxQueuedBytes: options.maxQueuedBytes,
      timeoutMs: pool.server.timeouts.callMs,
      onUnknown: (message) => this.close({ stage: 'call', message }),
    })
    pool.acquire()
    this.#stream = pool.startStream(stream, {
      head: (head) => this.#onHead(head),
      message: (message) => this.#onEvent(message),
      end: () => this.close({ stage: 'call', message: 'The server ended its event stream.' }),
      fail: (failure) => this.#onFailure(failure),
    })
  }

  get alive(): boolean {
    return this.#end === undefined
  }

  get ended(): Promise<void> {
    return this.#ended.promise
  }

  write(request: UpstreamRequest, told: (failure?: UpstreamFailure) => void): LinkRefusal | undefined {
    if (this.#end) return { stage: 'call', gone: true, message: this.#end.message }
    return this.#posts.add(request, told)
  }

  /** Before the link is open the stream is read on: it has to say where messages go. */
  pause(): void {
    this.#paused = true
    if (!this.opening) this.#stream.pause()
  }

  resume(): void {
    this.#paused = false
    this.#stream.resume()
  }

  /** There are no good-byes in HTTP+SSE: the stream and what is being posted are broken off. */
  close(end: LinkEnd): void {
    if (this.#end) return
    this.#end = end
    clearTimeout(this.#graceTimer)
    this.#stream.abort()
    this.#posts.stop()
    queueMicrotask(() => {
      this.#pool.release()
      this.#ended.resolve()
      this.#events.gone(end)
    })
  }

  killNow(): void {
    this.close({ stage: 'call', message: 'The connection was closed.' })
  }

  #onHead({ status, contentType }: UpstreamHead): void {
    if (status === 401 || status === 403)
      return this.#fail(`The server refused our credential (HTTP ${status}); check auth.`)
    if (status !== 200) return this.#fail(`The server answered with HTTP ${status}; check the URL.`)
    if (contentType !== 'event-stream')
      return this.#fail('The server answered with something else than an event stream; check the URL.')
    this.opening = { stage: 'handshake', awaited: "the server's endpoint event" }
    if (this.#messages) this.#graceTimer = setTimeout(() => this.#open(this.#messages?.url), endpointGraceMs)
  }

  #onEvent({ event, bytes, message }: UpstreamMessage): void {
    if (this.#end) return
    if (event === 'endpoint') {
      if (this.opening) this.#onEndpoint(bytes)
    } else if ((event === undefined || event === 'message') && bytes.length > 0 && !this.opening)
      this.#events.message(bytes as Buffer, message)
  }

  /**
   * Takes the address that the server names, where it is of the stream's own origin: any other could be made to point
   * at what only the gateway can reach (trust: SSRF by endpoint event). A registered `messageUrl` goes before it; then
   * only its query is taken, which names the session.
   */
  #onEndpoint(bytes: Uint8Array): void {
    const text = Buffer.from(bytes).toString()
    const base = this.#address.url
    const url =
      bytes.length <= maxEndpointBytes && URL.canParse(text, base.href) ? new URL(text, base) : undefined
    if (this.#messages) {
      const registered = new URL(this.#messages.url)
      registered.search = url?.search ?? ''
      return this.#open(registered)
    }
    if (!url) return this.#fail('The endpoint event of the server holds no address.')
    if (url.origin !== base.origin || url.username !== '' || url.password !== '')
      return this.#fail(
        'The endpoint event of the server names another origin, which is refused; if it is right, register it as messageUrl.',
      )
    this.#open(url)
  }

  #open(url: URL | undefined): void {
    if (!url || !this.opening || this.#end) return
    clearTimeout(this.#graceTimer)
    const { headers } = this.#messages ?? this.#address
    const head = this.#pool.postHead(url, headers, { server: this.#server, sessionId: this.#sessionId })
    if (head === undefined) return this.#fail('The endpoint event of the server holds no usable address.')
    this.#postHead = head
    this.opening = undefined
    if (this.#paused) this.#stream.pause()
    this.#events.opened()
  }

  #onFailure({ stage, message, tooLarge, cause }: UpstreamFailure): void {
    this.close({
      stage: this.opening && stage === 'call' ? 'handshake' : stage,
      message,
      ...(tooLarge && { tooLarge }),
      ...(cause !== undefined && { cause }),
    })
  }

  #fail(message: string): void {
    this.close({ stage: 'handshake', message })
  }
}
