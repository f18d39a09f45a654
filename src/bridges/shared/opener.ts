// The one session behind all tenants: opened when it is needed, once for all who wait, and again after it was lost.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '../../base/clock.ts'
import type { Upstream, UpstreamFailure } from '../../upstreams/upstream.ts'
import { failureOf, InnerSession, type InnerSessionOptions, type NotOpened } from './inner.ts'

export type Opening = { readonly inner: InnerSession } | NotOpened

export interface SharedOpenerOptions {
  readonly clock: Clock
  /** A new way to the server, which the session then owns. May throw a GatewayError. */
  readonly open: () => Upstream
  readonly inner: InnerSessionOptions
  /** The longest that a tenant waits for the next attempt; else it is told at once. */
  readonly maxWaitMs: number
  readonly firstBackoffMs: number
  readonly maxBackoffMs: number
  /** The session is open; nothing of a tenant has been sent in it. */
  readonly onOpen: (inner: InnerSession) => void
}

/** A quiet minute forgives earlier losses. */
const forgivenAfterMs = 60_000

export class SharedOpener {
  readonly #options: SharedOpenerOptions
  readonly #closing = new AbortController()
  #current: InnerSession | undefined
  #candidate: InnerSession | undefined
  #opening: Promise<Opening> | undefined
  #attempts = { count: 0, lastMs: 0 }

  constructor(options: SharedOpenerOptions) {
    this.#options = options
  }

  /** The session where it is open. */
  get current(): InnerSession | undefined {
    return this.#current
  }

  /** How long until the next attempt may be made. */
  get pauseMs(): number {
    const { clock, firstBackoffMs, maxBackoffMs } = this.#options
    const { count, lastMs } = this.#attempts
    const agoMs = clock.monotonicMs() - lastMs
    if (count === 0 || agoMs > forgivenAfterMs) return 0
    return Math.max(0, Math.min(firstBackoffMs * 2 ** (count - 1), maxBackoffMs) - agoMs)
  }

  /** Opens the session where it is not open; never rejects. */
  get(): Promise<Opening> {
    if (this.#current) return Promise.resolve({ inner: this.#current })
    return (this.#opening ??= this.#open().finally(() => (this.#opening = undefined)))
  }

  /** Gives a session up that is of no use any more; true where it was the open one. */
  lose(inner: InnerSession): boolean {
    if (this.#current !== inner) return false
    this.#current = undefined
    inner.discard()
    return true
  }

  /** Ends the session, or the one that is being opened. */
  async close(): Promise<void> {
    this.#closing.abort()
    const inner = this.#current ?? this.#candidate
    this.#current = undefined
    await inner?.close()
  }

  async #open(): Promise<Opening> {
    const pauseMs = this.pauseMs
    if (pauseMs > this.#options.maxWaitMs) return { failure: tooOften }
    if (pauseMs > 0) await sleep(pauseMs, undefined, { signal: this.#closing.signal }).catch(() => {})
    if (this.#closing.signal.aborted) return { failure: closed }
    this.#note()
    let inner: InnerSession
    try {
      inner = new InnerSession(this.#options.open(), this.#options.inner)
    } catch (error) {
      return { failure: failureOf(error) }
    }
    this.#candidate = inner
    const notOpened = await inner.initialize()
    this.#candidate = undefined
    if (this.#closing.signal.aborted) {
      await inner.close()
      return { failure: closed }
    }
    if (notOpened) {
      await inner.close()
      // A server that answers is up: it may be asked again at once, as every session of its own would ask it.
      if ('reply' in notOpened) this.#attempts = { count: 0, lastMs: 0 }
      return notOpened
    }
    this.#current = inner
    this.#options.onOpen(inner)
    return { inner }
  }

  #note(): void {
    const nowMs = this.#options.clock.monotonicMs()
    const { count, lastMs } = this.#attempts
    this.#attempts = { count: nowMs - lastMs > forgivenAfterMs ? 1 : count + 1, lastMs: nowMs }
  }
}

const tooOften: UpstreamFailure = {
  stage: 'connect',
  message: 'The session with the server was lost too often; it is opened again after a pause.',
  sent: false,
}

export const closed: UpstreamFailure = {
  stage: 'connect',
  message: 'The session with the server was closed.',
  sent: false,
  gone: true,
}
