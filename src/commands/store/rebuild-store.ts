// `rebuild`: makes every sum of a store anew, while no gateway runs on it.
import { systemClock as clock } from '../../base/clock.ts'
import { createLog } from '../../base/log.ts'
import { rebuild, type RebuildResult } from '../../billing/rebuild.ts'
import { rebuildStores } from '../../billing/rebuild-store.ts'
import type { Config } from '../../config/config.ts'
import { openDatabase } from '../../db/open.ts'
import { lockStore } from '../../db/store-lock.ts'

/** Opens the configured store alone, rebuilds it and closes it. Rejects with `store_refused` where a gateway runs on it. */
export async function rebuildStore(config: Config): Promise<RebuildResult> {
  const log = createLog(config.logLevel)
  const { data: dataDir, databaseUrl, durability } = config
  const unlock = await lockStore({ dataDir, databaseUrl, log }, 'alone')
  try {
    const db = await openDatabase({ dataDir, databaseUrl, durability, log })
    try {
      return await rebuild(rebuildStores(db), clock)
    } finally {
      await db.close()
    }
  } finally {
    await unlock()
  }
}
