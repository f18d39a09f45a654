// A breaker for each server: after failures in a row its calls fail at once, and single ones find out when it is back.
import type { Clock } from '../base/clock.ts'
import type { UpstreamFailure } from '../upstreams/upstream.ts'

export interface BreakerOptions {
  readonly clock: Clock
  /** Failures in a row, without an answer between them, after which calls are held off. */
  readonly failuresToOpen: number
  /** The first pause; it doubles with each failed try, up to the longest. */
  readonly firstPauseMs: number
  readonly maxPauseMs: number
}

/** Of a registered server, as far as breakers care. */
interface Guarded {
  readonly id: string
  /** A changed registration is a reason to try again. */
  readonly revision: number
  readonly timeouts: { readonly callMs: number }
}

interface Breaker {
  readonly revision: number
  readonly failures: number
  /** Calls are held off until then; 0 while the breaker is closed. */
  openUntilMs: number
  /** A call was let through after the pause, and its end is awaited. */
  probing: boolean
  readonly pauseMs: number
}

/** Holds servers with recent failures only, so it is as large as the trouble. */
export class Breakers {
  readonly #options: BreakerOptions
  readonly #breakers = new Map<string, Breaker>()

  constructor(options: BreakerOptions) {
    this.#options = options
  }

  /**
   * Milliseconds until a call may be tried; 0 where it may go now. After a pause one call goes as the probe, and the
   * others wait for what becomes of it, for the time that a call may take at most.
   */
  holdOffMs({ id, revision, timeouts }: Guarded): number {
    const breaker = this.#breakers.get(id)
    if (!breaker || breaker.openUntilMs === 0 || breaker.revision !== revision) return 0
    const now = this.#options.clock.monotonicMs()
    const waitMs = breaker.openUntilMs - now
    if (waitMs > 0) return waitMs
    breaker.openUntilMs = now + timeouts.callMs
    breaker.probing = true
    return 0
  }

  /**
   * A call failed. What says nothing of the server's health is not counted: a refused credential, a huge answer, and the
   * end of a session's own child or connection, which are started again with pauses of their own.
   */
  failed({ id, revision }: Guarded, { stage, tooLarge, gone }: UpstreamFailure): void {
    if (tooLarge || gone || stage === 'handshake' || stage === 'egress') return
    const { clock, failuresToOpen, firstPauseMs, maxPauseMs } = this.#options
    const known = this.#breakers.get(id)
    const current = known?.revision === revision ? known : undefined
    // Many calls were on their way when the server went: only the first of them, and later the probe, tell something new.
    if (current && current.openUntilMs > 0 && !current.probing) return
    const failures = (current?.failures ?? 0) + 1
    const pauseMs = current?.probing ? Math.min(current.pauseMs * 2, maxPauseMs) : firstPauseMs
    const openUntilMs = failures >= failuresToOpen ? clock.monotonicMs() + pauseMs : 0
    this.#breakers.set(id, { revision, failures, openUntilMs, pauseMs, probing: false })
  }

  /** The server answered, whatever it said. */
  answered({ id }: Guarded): void {
    if (this.#breakers.size > 0) this.#breakers.delete(id)
  }

  /** The server is gone. */
  forget(id: string): void {
    this.#breakers.delete(id)
  }

  /** Servers with failures that no answer has followed. */
  get size(): number {
    return this.#breakers.size
  }
}
