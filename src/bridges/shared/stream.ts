// A tenant's standing stream: what the server says unasked, in a bounded queue while the tenant does not read.
import type {
  UpstreamExchange,
  UpstreamFailure,
  UpstreamMessage,
  UpstreamSink,
} from '../../upstreams/upstream.ts'

export interface TenantStreamOptions {
  readonly maxMessages: number
  readonly maxBytes: number
}

/**
 * Messages of one `topic` say "look again", so the newest replaces those that wait. While nobody listens only such
 * messages wait, the oldest giving way; a listener that does not keep up loses its stream rather than a message.
 */
export class TenantStream {
  readonly #options: TenantStreamOptions
  /** By topic, or by a number of its own; in the order in which they go out. */
  readonly #waiting = new Map<string | number, UpstreamMessage>()
  #waitingBytes = 0
  #lastNumber = 0
  #sink: UpstreamSink | undefined
  #headed = false
  #paused = false

  constructor(options: TenantStreamOptions) {
    this.#options = options
  }

  get open(): boolean {
    return this.#sink !== undefined
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /** At most one sink at a time; a further one fails. */
  attach(sink: UpstreamSink): UpstreamExchange {
    if (this.#sink) return refuse(sink, 'This session already has a stream.')
    this.#sink = sink
    this.#headed = false
    this.#paused = false
    queueMicrotask(() => {
      if (this.#sink !== sink) return
      sink.head({ status: 200, contentType: 'event-stream' })
      this.#headed = true
      this.#flush()
    })
    return {
      abort: () => this.#sink === sink && this.#detach(),
      pause: () => {
        if (this.#sink === sink) this.#paused = true
      },
      resume: () => {
        if (this.#sink !== sink) return
        this.#paused = false
        this.#flush()
      },
    }
  }

  push(message: UpstreamMessage, topic?: string): void {
    if (!this.#sink && topic === undefined) return
    const key = topic ?? ++this.#lastNumber
    this.#drop(key)
    this.#waiting.set(key, message)
    this.#waitingBytes += message.bytes.length
    this.#flush()
    while (this.#waiting.size > this.#options.maxMessages || this.#waitingBytes > this.#options.maxBytes) {
      if (this.#sink) return this.fail(tooSlow)
      const [oldest] = this.#waiting.keys()
      if (oldest !== undefined) this.#drop(oldest)
    }
  }

  fail(failure: UpstreamFailure): void {
    const sink = this.#sink
    this.#detach()
    this.#waiting.clear()
    this.#waitingBytes = 0
    sink?.fail(failure)
  }

  #flush(): void {
    for (const [key, message] of this.#waiting) {
      if (!this.#sink || !this.#headed || this.#paused) return
      this.#drop(key)
      this.#sink.message(message)
    }
  }

  #drop(key: string | number): void {
    this.#waitingBytes -= this.#waiting.get(key)?.bytes.length ?? 0
    this.#waiting.delete(key)
  }

  #detach(): void {
    this.#sink = undefined
    // What has no topic was meant for this stream.
    for (const key of this.#waiting.keys()) if (typeof key === 'number') this.#drop(key)
  }
}

const tooSlow: UpstreamFailure = {
  stage: 'call',
  message: 'The stream is read too slowly; too much is waiting. Open it again.',
  sent: true,
}

/** An exchange that fails without having been sent. */
export function refuse(sink: UpstreamSink, message: string): UpstreamExchange {
  let silent = false
  queueMicrotask(() => {
    if (!silent) sink.fail({ stage: 'call', message, sent: false })
  })
  return { abort: () => (silent = true), pause: () => {}, resume: () => {} }
}
