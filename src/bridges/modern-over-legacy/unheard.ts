// What a server says during a call while its caller is away answering a question.
import type { Said } from './session.ts'

/** A caller is away for a moment; what is said at length meanwhile is told in part. */
const maxCount = 100
const maxBytes = 256 * 1024

/** Notifications in the order in which they came, the oldest given up where there are too many. */
export class Unheard {
  #kept: { readonly said: Said; readonly bytes: number }[] = []
  #bytes = 0

  keep(said: Said): void {
    const bytes = Buffer.byteLength(JSON.stringify(said.written))
    this.#kept.push({ said, bytes })
    this.#bytes += bytes
    while (this.#kept.length > maxCount || this.#bytes > maxBytes)
      this.#bytes -= this.#kept.shift()?.bytes ?? 0
  }

  /** All of it, once. */
  take(): readonly Said[] {
    const all = this.#kept.map(({ said }) => said)
    this.#kept = []
    this.#bytes = 0
    return all
  }
}
