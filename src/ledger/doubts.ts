// Changes whose commit may or may not have reached the disk, until that is known.
import { GatewayError } from '../base/errors.ts'

/** More than these are forgotten, the oldest first; they count with the next fold. */
const maxDoubts = 1000
/** By then a commit whose connection was lost has ended one way or the other. */
const certainAfterMs = 60_000

interface Doubt {
  /** What is on disk where the change is: one of its transfers, or a grant that is void. */
  readonly sign: { readonly transfer: bigint } | { readonly voided: string }
  readonly grantId?: string
  readonly atMs: number
  /** Makes the change in memory; to be called where the store has it. */
  readonly apply?: () => void
  /** Takes back what was done in memory already; to be called where the store will never have it. */
  readonly revert?: () => void
}

/** What the store says: which of these transfers it has, and which of these grants are void there. */
interface Disk {
  listWritten(transfers: readonly bigint[]): Promise<ReadonlySet<bigint>>
  listVoided(grants: readonly string[]): Promise<ReadonlySet<string>>
}

const isRefused = (error: unknown): boolean =>
  error instanceof GatewayError && (error.code === 'conflict' || error.code === 'internal')

/** A fold of the store settles every doubt: `clear`. */
export class Doubts {
  #doubts: Doubt[] = []

  add(doubt: Doubt): void {
    this.#doubts.push(doubt)
    if (this.#doubts.length > maxDoubts) this.#doubts.shift()
  }

  /** Waits for a commit; where it fails, the change is in doubt unless the store says that it refused it. */
  async watch<Result>(doubt: Doubt, commit: Promise<Result>): Promise<Result> {
    try {
      return await commit
    } catch (error) {
      if (isRefused(error)) doubt.revert?.()
      else this.add(doubt)
      throw error
    }
  }

  /** To be called for a grant that is on disk: makes the change, should it be in doubt. */
  settleGrant(grantId: string): void {
    const doubt = this.#doubts.find((each) => each.grantId === grantId)
    if (!doubt) return
    this.#doubts = this.#doubts.filter((each) => each !== doubt)
    doubt.apply?.()
  }

  /** Asks the store, makes the changes that it has, and forgets those that it will never have. */
  async settle(disk: Disk, nowMs: number): Promise<void> {
    if (this.#doubts.length === 0) return
    const signs = this.#doubts.map(({ sign }) => sign)
    const written = await disk.listWritten(
      signs.flatMap((sign) => ('transfer' in sign ? [sign.transfer] : [])),
    )
    const voided = await disk.listVoided(signs.flatMap((sign) => ('voided' in sign ? [sign.voided] : [])))
    const isThere = ({ sign }: Doubt): boolean =>
      'transfer' in sign ? written.has(sign.transfer) : voided.has(sign.voided)
    const settled = this.#doubts.filter(isThere)
    const lost = this.#doubts.filter((doubt) => !isThere(doubt) && nowMs - doubt.atMs >= certainAfterMs)
    this.#doubts = this.#doubts.filter((doubt) => !settled.includes(doubt) && !lost.includes(doubt))
    for (const { apply } of settled) apply?.()
    for (const { revert } of lost) revert?.()
  }

  clear(): void {
    this.#doubts = []
  }
}
