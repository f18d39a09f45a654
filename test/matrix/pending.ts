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
const pending: readonly Pending[] = [
  {
    cells: /, (2024-11-05 → 2025|2025-03-26 → 2025-(06|11)|2025-06-18 → 2025-11)\S*: open$/,
    reason:
      'a newer server of the same era is not brought down to the revision that its client asked for yet',
  },
  {
    cells: /, (2024-11-05 → 2025|2025-03-26 → 2025-(06|11))\S*: content$/,
    reason: "kinds of content that came after the client's revision still reach it inside the legacy era",
  },
  {
    cells: /(, 202[45]\S+ → 2026|^streamable-http × \S+, 2026\S+ → 202[45])\S*: bill$/,
    reason: "records of notifications and streams over a bridge name the client's era as the server's",
  },
]

export const findPending = (cell: string): Pending | undefined =>
  pending.find(({ cells }) => cells.test(cell))

/** Patterns that name no cell. */
export const stalePending = (): Pending[] => {
  const own = pairs.flatMap((pair) => behaviours.map((behaviour) => cellName(pair, behaviour)))
  const names = [...own, ...publicCells()]
  return pending.filter(({ cells }) => !names.some((name) => cells.test(name)))
}
