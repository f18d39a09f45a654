// One change after another on this node, and again from the start where another node was faster.
import { GatewayError } from '../base/errors.ts'

/** What a change refuses for good, although it is a `conflict` too: trying again would not help. */
export class Refusal extends GatewayError {
  constructor(detail: string, data: Readonly<Record<string, unknown>> = {}) {
    super('conflict', { detail, data })
  }
}

export class Turns {
  readonly #limits: { readonly maxWaiting: number; readonly maxAttempts: number }
  #turn: Promise<unknown> = Promise.resolve()
  #waiting = 0

  constructor(limits: { maxWaiting: number; maxAttempts: number }) {
    this.#limits = limits
  }

  /**
   * Runs `work` when all before it is done. It reads the state and commits with the next event's number; where that was
   * taken, the store rejects with `conflict`, nothing was written, and it runs again. Throws `overloaded` where too
   * many wait.
   */
  async run<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#waiting >= this.#limits.maxWaiting) throw new GatewayError('overloaded', { retryAfterS: 1 })
    this.#waiting++
    const mine = this.#turn.then(() => this.#attempts(work))
    this.#turn = mine.catch(() => {})
    try {
      return await mine
    } finally {
      this.#waiting--
    }
  }

  async #attempts<Result>(work: () => Promise<Result>): Promise<Result> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work()
      } catch (error) {
        const crossed =
          error instanceof GatewayError && error.code === 'conflict' && !(error instanceof Refusal)
        if (!crossed || attempt === this.#limits.maxAttempts) throw error
      }
    }
  }
}
