// Builds what callers may use of servers: access rules, and which definitions of tools are held back.
import { systemClock as clock } from '../base/clock.ts'
import type { Lifecycle } from '../base/lifecycle.ts'
import type { Log } from '../base/log.ts'
import type { Database } from '../db/database.ts'
import { AccessRules } from '../policy/access-rules/access-rules.ts'
import { Definitions } from '../policy/definitions/definitions.ts'
import { DefinitionStore } from '../policy/definitions/store.ts'
import { accessRuleStore } from '../policy/named-store.ts'
import { Permissions } from '../policy/permissions.ts'
import type { Registry } from '../registry/servers.ts'
import type { Catalogues } from '../upstreams/catalogue.ts'

interface PolicyParts {
  readonly db: Database
  readonly log: Log
  readonly lifecycle: Lifecycle
  readonly registry: Registry
  readonly catalogues: Catalogues
}

export async function buildPolicy({ db, log, lifecycle, registry, catalogues }: PolicyParts) {
  const accessRules = new AccessRules({ store: accessRuleStore(db), clock })
  const definitions = new Definitions({
    store: new DefinitionStore(db),
    clock,
    log,
    onHeld: (serverId, tool, reason) => {
      const server = registry.findById(serverId)?.name
      log.warn({ server, tool, reason }, 'a tool is held back until its definition is approved')
    },
  })
  await accessRules.load()
  await definitions.load()
  catalogues.onHandshake((server, { ok, tools }) => {
    if (ok) definitions.see(server, tools)
  })
  registry.onChange((change) => {
    if (change.kind === 'removed') definitions.forget(change.id)
  })
  lifecycle.onStop('definitions', () => definitions.flush())
  return { accessRules, definitions, permissions: new Permissions(accessRules, definitions) }
}
