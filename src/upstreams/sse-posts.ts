// The messages of one HTTP+SSE connection to its server: a POST for each, once, and nothing overtakes a notification.
import { isNotification } from '../wire/json-rpc.ts'
import type { LinkRefusal } from './link.ts'
import type { UpstreamExchange, UpstreamFailure, UpstreamRequest, UpstreamSink } from './upstream.ts'

export interface SsePostsOptions {
  /** Begins the POST of a message. */
  readonly start: (request: UpstreamRequest, sink: UpstreamSink) => UpstreamExchange
  /** Of messages that the server has not taken yet. */
  readonly maxQueuedBytes: number
  /** How long a server may take to take a message. */
  readonly timeoutMs: number
  /** The server does not know the connection any more. */
  readonly onUnknown: (message: string) => void
}

type Told = (failure?: UpstreamFailure) => void

interface Post {
  readonly request: UpstreamRequest
  readonly told: Told
  exchange: UpstreamExchange | undefined
  timer: NodeJS.Timeout | undefined
  settled: boolean
}

/** A server that does not answer the POST of a notification at once holds later messages up no longer than this. */
const maxHoldUpMs = 2000

export class SsePosts {
  readonly #options: SsePostsOptions
  readonly #running = new Set<Post>()
  /**
   * Messages behind a notification. Two POSTs may arrive in any order, and a server that sees a call before
   * `notifications/initialized` may refuse it.
   */
  #held: Post[] = []
  #barrier: Post | undefined
  #barrierTimer: NodeJS.Timeout | undefined
  #queuedBytes = 0

  constructor(options: SsePostsOptions) {
    this.#options = options
  }

  add(request: UpstreamRequest, told: Told): LinkRefusal | undefined {
    const bytes = this.#queuedBytes + request.body.length
    if (this.#queuedBytes > 0 && bytes > this.#options.maxQueuedBytes)
      return { stage: 'call', message: 'The server does not take its messages; too much is waiting.' }
    this.#queuedBytes = bytes
    const post = { request, told, exchange: undefined, timer: undefined, settled: false }
    if (this.#barrier) this.#held.push(post)
    else this.#start(post)
    return undefined
  }

  /** Gives up on everything without a word. */
  stop(): void {
    clearTimeout(this.#barrierTimer)
    this.#held = []
    for (const post of this.#running) {
      post.settled = true
      this.#leave(post)
      post.exchange?.abort()
    }
  }

  #start(post: Post): void {
    this.#running.add(post)
    if (isNotification(post.request.message)) {
      this.#barrier = post
      this.#barrierTimer = setTimeout(() => this.#lift(post), maxHoldUpMs)
    }
    post.timer = setTimeout(() => this.#onLate(post), this.#options.timeoutMs)
    post.exchange = this.#options.start(post.request, {
      head: ({ status }) => this.#settle(post, failureOf(status)),
      message: () => {},
      end: () => this.#leave(post),
      fail: (failure) => {
        this.#leave(post)
        this.#settle(post, failure)
      },
    })
  }

  #onLate(post: Post): void {
    post.exchange?.abort()
    this.#leave(post)
    this.#settle(post, { stage: 'call', message: 'The server did not take the message in time.', sent: true })
  }

  /** The response has ended, or nobody waits for its end. */
  #leave(post: Post): void {
    clearTimeout(post.timer)
    this.#running.delete(post)
  }

  /** It is known whether the server took it. */
  #settle(post: Post, failure: UpstreamFailure | undefined): void {
    if (post.settled) return
    post.settled = true
    this.#queuedBytes -= post.request.body.length
    post.told(failure)
    if (failure?.gone) this.#options.onUnknown(failure.message)
    else this.#lift(post)
  }

  /** Lets what waits behind a notification go, up to the next one. */
  #lift(post: Post): void {
    if (this.#barrier !== post) return
    clearTimeout(this.#barrierTimer)
    this.#barrier = undefined
    const held = this.#held
    this.#held = []
    for (const [index, next] of held.entries()) {
      this.#start(next)
      if (!this.#barrier) continue
      this.#held = held.slice(index + 1)
      return
    }
  }
}

function failureOf(status: number): UpstreamFailure | undefined {
  if (status < 400) return undefined
  const message = `The server refused the message with HTTP ${status}.`
  if (status !== 404) return { stage: 'call', message, sent: true }
  return {
    stage: 'call',
    message: 'The server no longer knows this connection (HTTP 404).',
    sent: true,
    gone: true,
  }
}
