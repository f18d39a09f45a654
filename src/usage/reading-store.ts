// Everything that questions about usage read from, over one store.
import type { Database } from '../db/database.ts'
import type { UsageStores } from './adder.ts'
import { CubeStore } from './cube-store.ts'
import { UsageQueryStore } from './query-store.ts'
import { RetentionStore } from './retention-store.ts'
import { SumStore } from './sum-store.ts'

export const usageStores = (db: Database): UsageStores & { readonly cubes: CubeStore } => ({
  records: new UsageQueryStore(db),
  sums: new SumStore(db),
  cubes: new CubeStore(db),
  retention: new RetentionStore(db),
})
