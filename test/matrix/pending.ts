// The cells that cannot hold yet, because a piece of the product is still missing: each with what it waits for.
import { behaviours, cellName, pairs } from './cells.ts'
import { publicCells } from './public-servers.ts'

export interface Pending {
  readonly cells: RegExp
  readonly reason: string
}

/**
 * A pending cell is run like any other, and its test fails once the cell holds: then its line goes. The list must be
 * empty before a release.
 */
const pending: readonly Pending[] = []

export const findPending = (cell: string): Pending | undefined =>
  pending.find(({ cells }) => cells.test(cell))

/** Patterns that name no cell. */
export const stalePending = (): Pending[] => {
  const own = pairs.flatMap((pair) => behaviours.map((behaviour) => cellName(pair, behaviour)))
  const names = [...own, ...publicCells()]
  return pending.filter(({ cells }) => !names.some((name) => cells.test(name)))
}
