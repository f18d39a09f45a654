// The answers to a batch on a channel: put together into one array, unless they grow too large for that.
import { joinBatch } from '../batch-body.ts'

/** Answers are kept for the array up to here; then each goes out for itself (MCP 2025-03-26 allows both). */
const maxKeptBytes = 1024 * 1024

export class BatchAnswers {
  readonly #send: (bytes: Uint8Array) => void
  readonly #answers: Uint8Array[] = []
  #keptBytes = 0
  #open: number

  /** `size` is how many messages the batch has. */
  constructor(size: number, send: (bytes: Uint8Array) => void) {
    this.#open = size
    this.#send = send
  }

  /** One message is done with; `answer` is absent where it has none. */
  done(answer: Uint8Array | undefined): void {
    this.#open--
    if (answer) this.#keep(answer)
    if (this.#open === 0 && this.#answers.length > 0) this.#send(joinBatch(this.#answers))
  }

  #keep(answer: Uint8Array): void {
    this.#keptBytes += answer.length
    if (this.#keptBytes <= maxKeptBytes) {
      this.#answers.push(answer)
      return
    }
    for (const kept of this.#answers.splice(0)) this.#send(kept)
    this.#send(answer)
  }
}
