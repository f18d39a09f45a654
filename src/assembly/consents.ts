// Builds what users let the gateway do for them at servers: their tokens, and the way to their consent.
import { systemClock as clock } from '../base/clock.ts'
import type { Keyring } from '../base/keyring.ts'
import type { Log } from '../base/log.ts'
import type { Database } from '../db/database.ts'
import type { Registry } from '../registry/servers.ts'
import type { Egress } from '../upstreams/egress.ts'
import { Consents } from '../upstreams/oauth/consents.ts'
import type { SecretReader } from '../upstreams/secrets/server-secrets.ts'
import { UserTokenStore } from '../upstreams/oauth/user-token-store.ts'
import { findConsentServer, UserTokens } from '../upstreams/oauth/user-tokens.ts'

interface ConsentParts {
  readonly db: Database
  readonly log: Log
  readonly keyring: Keyring
  readonly egress: Egress
  readonly registry: Registry
  readonly publicUrl: () => string
  readonly secrets: SecretReader
}

export async function buildConsents(parts: ConsentParts) {
  const { db, log, keyring, egress, registry, publicUrl, secrets } = parts
  const store = new UserTokenStore(db, keyring)
  const userTokens = new UserTokens({ store, egress, clock, log, publicUrl, secrets })
  await userTokens.load()
  registry.onChange((change) => {
    if (change.kind !== 'removed') return
    userTokens
      .forgetServer(change.id)
      .catch((err: unknown) => log.warn({ err }, 'tokens of a server that is gone could not be removed'))
  })
  const consents = new Consents({
    tokens: userTokens,
    sealer: keyring,
    clock,
    publicUrl,
    findServer: (id) => {
      const server = registry.findById(id)
      return server && findConsentServer(server)
    },
  })
  return { userTokens, consents }
}
