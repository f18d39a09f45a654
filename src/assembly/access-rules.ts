// Builds the access rules: who may use which tools, prompts and resources.
import { systemClock as clock } from '../base/clock.ts'
import type { Database } from '../db/database.ts'
import { AccessRules } from '../policy/access-rules/access-rules.ts'
import { accessRuleStore } from '../policy/named-store.ts'

export async function buildAccessRules(db: Database): Promise<AccessRules> {
  const accessRules = new AccessRules({ store: accessRuleStore(db), clock })
  await accessRules.load()
  return accessRules
}
