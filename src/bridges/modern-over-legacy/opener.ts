// The one session of a conversation: opened when it is first needed, opened again after it was lost, closed once.
import type { Clock } from '../../base/clock.ts'
import { OpeningError, type LegacySession } from './session.ts'

export interface OpenerOptions {
  readonly clock: Clock
  /** Opens a session and readies it; rejects with `OpeningError`. */
  readonly open: () => Promise<LegacySession>
}

const firstBackoffMs = 250
const maxBackoffMs = 30_000

/** Everybody who needs the session while it is being opened waits for the same attempt. */
export class Opener {
  readonly #options: OpenerOptions
  #current: LegacySession | undefined
  #opening: Promise<LegacySession> | undefined
  #failed: { readonly error: OpeningError; readonly count: number; readonly untilMs: number } | undefined
  #closed = false

  constructor(options: OpenerOptions) {
    this.#options = options
  }

  /** The session as it stands; undefined before it is open and after it was lost. */
  get current(): LegacySession | undefined {
    return this.#current
  }

  /** Rejects with `OpeningError`: for a while after a failure with the same one, without trying again. */
  get(): Promise<LegacySession> {
    if (this.#closed) return Promise.reject(closedError())
    if (this.#current) return Promise.resolve(this.#current)
    if (this.#failed && this.#failed.untilMs > this.#options.clock.monotonicMs())
      return Promise.reject(this.#failed.error)
    return (this.#opening ??= this.#open())
  }

  /** This session is of no use any more; true where it was the current one. */
  drop(session: LegacySession): boolean {
    if (this.#current !== session) return false
    this.#current = undefined
    return true
  }

  /** Ends the session, or the one that is being opened as soon as it is there. */
  async close(): Promise<void> {
    this.#closed = true
    const session = this.#current
    this.#current = undefined
    await session?.end()
  }

  async #open(): Promise<LegacySession> {
    try {
      const session = await this.#options.open()
      if (this.#closed) {
        session.end().catch(() => {})
        throw closedError()
      }
      this.#current = session
      this.#failed = undefined
      return session
    } catch (thrown) {
      if (thrown instanceof OpeningError) this.#note(thrown)
      throw thrown
    } finally {
      this.#opening = undefined
    }
  }

  #note(error: OpeningError): void {
    const count = (this.#failed?.count ?? 0) + 1
    const pauseMs = Math.min(maxBackoffMs, firstBackoffMs * 2 ** Math.min(count - 1, 10))
    this.#failed = { error, count, untilMs: this.#options.clock.monotonicMs() + pauseMs }
  }
}

const closedError = (): OpeningError =>
  new OpeningError({ stage: 'connect', message: 'The conversation with the server was closed.', sent: false })
