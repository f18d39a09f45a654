// Builds what takes the tokens of other issuers, where the configuration names some.
import { systemClock as clock } from '../base/clock.ts'
import type { Keyring } from '../base/keyring.ts'
import type { Log } from '../base/log.ts'
import type { RunnableConfig } from '../commands/settings.ts'
import type { Database } from '../db/database.ts'
import type { Users } from '../identity/users.ts'
import { ExternalUserStore } from '../oauth/issuers/external-user-store.ts'
import { IssuerKeys } from '../oauth/issuers/issuer-keys.ts'
import { Issuers } from '../oauth/issuers/issuers.ts'
import { OidcLogins } from '../oauth/issuers/oidc-logins.ts'
import type { Egress } from '../upstreams/egress.ts'
import { httpOptions } from '../upstreams/oauth/authorization-server.ts'
import { getVettedJson } from '../upstreams/vetted-get.ts'

const limits = { timeoutMs: 5000, maxBytes: 256 * 1024 }

interface IssuerParts {
  readonly config: RunnableConfig
  readonly db: Database
  readonly log: Log
  readonly users: Users
  readonly egress: Egress
  readonly publicUrl: () => string
}

export function buildIssuers({
  config,
  db,
  log,
  users,
  egress,
  publicUrl,
}: IssuerParts): Issuers | undefined {
  if (config.oauth.issuers.length === 0) return undefined
  const fetchJson = (url: string) => getVettedJson(url, { egress, ...limits })
  const issuers = config.oauth.issuers.map((terms) => {
    const { issuer, jwksUri } = terms
    return { ...terms, keys: new IssuerKeys({ issuer, jwksUri, fetchJson, clock, log }) }
  })
  return new Issuers({ issuers, store: new ExternalUserStore(db), users, clock, log, publicUrl })
}

interface OidcParts {
  readonly config: RunnableConfig
  readonly keyring: Keyring
  readonly issuers: Issuers | undefined
  readonly egress: Egress
  readonly publicUrl: () => string
  readonly adminUrl: () => string
}

/** Logins at the issuers that have a client for it; undefined where none has. */
export function buildOidcLogins({
  config,
  keyring,
  issuers,
  egress,
  publicUrl,
  adminUrl,
}: OidcParts): OidcLogins | undefined {
  const providers = config.oauth.issuers.flatMap(({ issuer, login }) =>
    login ? [{ ...login, issuer, title: login.title ?? login.name }] : [],
  )
  if (providers.length === 0 || !issuers) return undefined
  const http = httpOptions({ egress, timeoutMs: limits.timeoutMs }, { host: '' })
  const urls = { session: adminUrl, page: publicUrl }
  return new OidcLogins({ providers, issuers, http, sealer: keyring, clock, urls })
}
