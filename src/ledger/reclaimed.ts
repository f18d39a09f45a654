// What was taken out of expired and voided grants in memory, on its way to the store.
import type { Transfer } from './account.ts'
import type { LedgerStore } from './store.ts'

/** Transfers wait here until they are durable; those whose commit failed are tried again with the next ones. */
export class Reclaimed {
  readonly #store: LedgerStore
  #waiting: Transfer[] = []
  /** A commit that failed may have reached the disk all the same. */
  #isInDoubt = false

  constructor(store: LedgerStore) {
    this.#store = store
  }

  add(transfer: Transfer): void {
    this.#waiting.push(transfer)
  }

  /** Forgets what waits: the balances are folded from the store anew. */
  clear(): void {
    this.#waiting = []
    this.#isInDoubt = false
  }

  /** Commits what waits; returns how many transfers that were. */
  async write(): Promise<number> {
    if (this.#isInDoubt) {
      const written = await this.#store.listWritten(this.#waiting.map(({ id }) => id))
      this.#waiting = this.#waiting.filter(({ id }) => !written.has(id))
      this.#isInDoubt = false
    }
    const due = [...this.#waiting]
    if (due.length === 0) return 0
    this.#isInDoubt = true
    await this.#store.commitTransfers(due)
    this.#isInDoubt = false
    this.#waiting = []
    return due.length
  }
}
