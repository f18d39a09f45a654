// Brings the configured store's schema up to date, outside of a running gateway.
import { createLog } from '../../base/log.ts'
import type { Config } from '../../config/config.ts'
import { migrate } from '../../db/migrate.ts'
import { openStore } from '../../db/open.ts'

/** Names of the steps that were applied. Rejects with GatewayError where the store is not ours to change. */
export async function migrateStore(config: Config): Promise<string[]> {
  const log = createLog(config.logLevel)
  const { data: dataDir, databaseUrl, durability } = config
  const database = await openStore({ dataDir, databaseUrl, durability, log })
  try {
    return await migrate(database, { log })
  } finally {
    await database.close()
  }
}
