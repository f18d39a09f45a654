// Makes everything that is a sum anew: rollups out of records, cubes out of rollups, balances out of transfers.
import type { Clock } from '../base/clock.ts'
import { CubeWriter } from '../usage/cube-writer.ts'
import { rollupMs } from '../usage/record.ts'
import { dayMs } from '../usage/retention-store.ts'
import type { RebuildStores } from './rebuild-store.ts'

export interface RebuildResult {
  /** Quarter-hours that were compared with their records, and those that were replaced. */
  readonly quarters: number
  readonly rollups: number
  /** Running totals of ledger accounts that were put right. */
  readonly balances: number
  /** Stretches of cubes that were summed up; what is not over yet is left to the gateway. */
  readonly cubes: number
}

/**
 * Replaces what differs, one transaction a quarter of an hour, and sums all cubes up again. Days whose records were
 * dropped keep their rollups: nothing else knows of those calls any more. No gateway may run on the store.
 */
export async function rebuild(stores: RebuildStores, clock: Clock): Promise<RebuildResult> {
  const { audit, usage, balances, cubes } = stores
  const dropped = new Set((await audit.sums.dropped()).map(({ day }) => day))
  let [quarters, rollups] = [0, 0]
  for (let next = await audit.nextBucket(0); next !== undefined; next = await audit.nextBucket(next + 1)) {
    if (dropped.has(Math.floor((next * rollupMs) / dayMs))) continue
    quarters++
    if ((await audit.rollupDifferences(next, 1)).length === 0) continue
    await usage.replaceRollups(next)
    rollups++
  }
  const changed = await balances.rebuild()
  await cubes.markAll()
  return { quarters, rollups, balances: changed, cubes: await new CubeWriter(cubes, clock).run() }
}
