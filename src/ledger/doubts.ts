// Grants whose commit may or may not have reached the disk, until that is known.
import type { Grant } from './account.ts'

/** More than these are forgotten, the oldest first; they become spendable with the next fold. */
const maxDoubts = 1000

/** A fold of the store settles every doubt: `clear`. */
export class Doubts {
  readonly #grants = new Map<string, Grant>()

  add(grant: Grant): void {
    this.#grants.set(grant.id, grant)
    const [oldest] = this.#grants.keys()
    if (this.#grants.size > maxDoubts && oldest !== undefined) this.#grants.delete(oldest)
  }

  /** The grant, which is in doubt no more; undefined where it was not. */
  take(grantId: string): Grant | undefined {
    const grant = this.#grants.get(grantId)
    this.#grants.delete(grantId)
    return grant
  }

  clear(): void {
    this.#grants.clear()
  }
}
