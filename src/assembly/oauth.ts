// Builds the authorization server, where the configuration wants one.
import { systemClock as clock } from '../base/clock.ts'
import type { Keyring } from '../base/keyring.ts'
import type { Log } from '../base/log.ts'
import type { RunnableConfig } from '../commands/settings.ts'
import { hasAuthorizationServer } from '../config/reach.ts'
import type { Database } from '../db/database.ts'
import type { Logins } from '../identity/logins.ts'
import type { Revocations } from '../identity/revocations.ts'
import type { Tokens } from '../identity/tokens.ts'
import { Authorizations } from '../oauth/authorizations.ts'
import { ClientAssertions } from '../oauth/client-assertion.ts'
import { ClientDocuments } from '../oauth/client-documents.ts'
import { ClientStore } from '../oauth/client-store.ts'
import { Clients } from '../oauth/clients.ts'
import type { GrantStore } from '../oauth/grant-store.ts'
import { Grants } from '../oauth/grants.ts'
import type { Egress } from '../upstreams/egress.ts'
import { getVettedJson } from '../upstreams/vetted-get.ts'

const minuteS = 60
const dayMs = 86_400_000
const documentLimits = { timeoutMs: 5000, maxBytes: 16 * 1024 }

interface OauthParts {
  readonly config: RunnableConfig
  readonly db: Database
  readonly log: Log
  readonly keyring: Keyring
  readonly identity: {
    readonly grantStore: GrantStore
    readonly tokens: Tokens
    readonly logins: Logins
    readonly revocations: Revocations
  }
  readonly egress: Egress
  readonly publicUrl: () => string
}

/** Its parts are absent where it is off. */
export function buildOauth({ config, db, log, keyring, identity, egress, publicUrl }: OauthParts) {
  if (!hasAuthorizationServer(config)) return {}
  const { dynamicRegistration: registration, metadataDocuments, maxClients } = config.oauth
  const { registrationsPerHour } = config.oauth
  const identityAssertions = config.oauth.issuers.some((issuer) => issuer.identityAssertions)
  const grants = new Grants({
    ...identity,
    store: identity.grantStore,
    keyring,
    clock,
    log,
    lifetimeS: config.oauth.accessTokenMinutes * minuteS,
    grantMs: config.oauth.grantDays * dayMs,
  })
  const documents = new ClientDocuments({
    fetchJson: (url) => getVettedJson(url, { egress, ...documentLimits }),
    clock,
  })
  const assertions = new ClientAssertions(clock, () => [publicUrl(), `${publicUrl()}/oauth/token`])
  const clients = new Clients({
    store: new ClientStore(db),
    documents,
    keyring,
    clock,
    registration,
    metadataDocuments,
    maxClients,
    registrationsPerHour,
    assertions,
  })
  const authorizations = new Authorizations({
    clients,
    grants,
    logins: identity.logins,
    keyring,
    clock,
    publicUrl,
  })
  return {
    grants,
    clients,
    authorizations,
    authorizationServer: { registration, metadataDocuments, identityAssertions },
  }
}
