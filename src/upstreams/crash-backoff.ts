// Servers whose connections or children end before their first answer: how long each is left alone.
import type { Clock } from '../base/clock.ts'

interface Crashes {
  readonly revision: number
  readonly count: number
  readonly untilMs: number
}

const firstPauseMs = 250
const maxPauseMs = 30_000

/** By server; pauses double. Registered servers are few, so the map needs no bound of its own. */
export class CrashBackoff {
  readonly #clock: Clock
  readonly #crashes = new Map<string, Crashes>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Milliseconds until the server may be tried again; 0 or less: now. */
  waitMs(serverId: string): number {
    return (this.#crashes.get(serverId)?.untilMs ?? 0) - this.#clock.monotonicMs()
  }

  note({ id, revision }: { readonly id: string; readonly revision: number }): void {
    const count = (this.#crashes.get(id)?.count ?? 0) + 1
    const pauseMs = Math.min(maxPauseMs, firstPauseMs * 2 ** Math.min(count - 1, 10))
    this.#crashes.set(id, { revision, count, untilMs: this.#clock.monotonicMs() + pauseMs })
  }

  /** The server works. */
  forgive(serverId: string): void {
    this.#crashes.delete(serverId)
  }

  /** A change of status is no reason to try sooner, a changed registration is. */
  onRevision(serverId: string, revision: number): void {
    if (this.#crashes.get(serverId)?.revision !== revision) this.#crashes.delete(serverId)
  }
}
