// The stores that a rebuild reads and writes, over one database.
import type { Database } from '../db/database.ts'
import { BalanceRebuildStore } from '../ledger/rebuild-store.ts'
import { CubeStore } from '../usage/cube-store.ts'
import { RollupRebuildStore } from '../usage/rebuild-store.ts'
import { AuditStore } from './store.ts'

export const rebuildStores = (db: Database) => ({
  audit: new AuditStore(db),
  usage: new RollupRebuildStore(db),
  balances: new BalanceRebuildStore(db),
  cubes: new CubeStore(db),
})

export type RebuildStores = ReturnType<typeof rebuildStores>
