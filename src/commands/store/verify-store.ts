// `verify --offline`: compares records, rollups and ledger of a store that no gateway runs on.
import { buildAudit } from '../../assembly/audit.ts'
import { createLog } from '../../base/log.ts'
import { systemClock as clock } from '../../base/clock.ts'
import { verify, type VerifyResult } from '../../billing/verify.ts'
import type { Config } from '../../config/config.ts'
import { openDatabase } from '../../db/open.ts'
import { RuleBook } from '../../pricing/rules.ts'
import { RuleStore } from '../../pricing/store.ts'

/** Opens the configured store, verifies it and closes it. Rejects where it cannot be opened. */
export async function verifyStore(config: Config): Promise<VerifyResult> {
  const log = createLog(config.logLevel)
  const { data: dataDir, databaseUrl, durability } = config
  const db = await openDatabase({ dataDir, databaseUrl, durability, log })
  try {
    const rules = await RuleBook.open({ store: new RuleStore(db), clock })
    return await verify({ ...buildAudit(db), rules })
  } finally {
    await db.close()
  }
}
