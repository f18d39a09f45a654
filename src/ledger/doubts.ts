// Changes whose commit may or may not have reached the disk, until that is known.

/** More than these are forgotten, the oldest first; they count with the next fold. */
const maxDoubts = 1000
/** By then a commit whose connection was lost has ended one way or the other. */
const certainAfterMs = 60_000

interface Doubt {
  /** A transfer of the change: it is there where the change is. */
  readonly transfer: bigint
  readonly grantId?: string
  readonly atMs: number
  /** Makes the change in memory. */
  readonly apply: () => void
}

/** What the store says: which of these transfers it has. */
type ListWritten = (ids: readonly bigint[]) => Promise<ReadonlySet<bigint>>

/** A fold of the store settles every doubt: `clear`. */
export class Doubts {
  #doubts: Doubt[] = []

  add(doubt: Doubt): void {
    this.#doubts.push(doubt)
    if (this.#doubts.length > maxDoubts) this.#doubts.shift()
  }

  /** Runs a commit; where it fails, the change is in doubt unless it broke a rule of the store. */
  async watch<Result>(doubt: Doubt, commit: Promise<Result>): Promise<Result> {
    try {
      return await commit
    } catch (error) {
      if ((error as { code?: string }).code !== 'conflict') this.add(doubt)
      throw error
    }
  }

  /** To be called for a grant that is on disk: makes the change, should it be in doubt. */
  settleGrant(grantId: string): void {
    const doubt = this.#doubts.find((each) => each.grantId === grantId)
    if (!doubt) return
    this.#doubts = this.#doubts.filter((each) => each !== doubt)
    doubt.apply()
  }

  /** Asks the store, makes the changes that it has, and forgets those that it will never have. */
  async settle(listWritten: ListWritten, nowMs: number): Promise<void> {
    if (this.#doubts.length === 0) return
    const written = await listWritten(this.#doubts.map(({ transfer }) => transfer))
    const settled = this.#doubts.filter(({ transfer }) => written.has(transfer))
    this.#doubts = this.#doubts.filter(
      ({ transfer, atMs }) => !written.has(transfer) && nowMs - atMs < certainAfterMs,
    )
    for (const { apply } of settled) apply()
  }

  clear(): void {
    this.#doubts = []
  }
}
