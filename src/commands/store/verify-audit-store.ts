// `audit verify --offline`: looks whether the audit log of a store is as it was written, without a gateway.
import { AuditStore } from '../../audit/store.ts'
import { verifyAudit, type AuditVerification } from '../../audit/verify.ts'
import type { ChainPlace } from '../../audit/chain.ts'
import { openDataKeys } from '../../assembly/secrets.ts'
import { systemClock as clock } from '../../base/clock.ts'
import { createLog } from '../../base/log.ts'
import { openDatabase } from '../../db/open.ts'
import type { RunnableConfig } from '../settings.ts'

/** Opens the configured store with its master secret, verifies its audit log and closes it. */
export async function verifyAuditStore(
  config: RunnableConfig,
  expected: readonly ChainPlace[],
): Promise<AuditVerification> {
  const log = createLog(config.logLevel)
  const { data: dataDir, databaseUrl, durability } = config
  const db = await openDatabase({ dataDir, databaseUrl, durability, log })
  try {
    const { keyring } = await openDataKeys({ config, db, clock, log })
    const mac = (text: string) => keyring.auditMac(text)
    return await verifyAudit({ store: new AuditStore(db), mac, expected })
  } finally {
    await db.close()
  }
}
