// Builds what knows the callers: users, keys, tokens and logins.
import { type Clock } from '../base/clock.ts'
import { Keyring } from '../base/keyring.ts'
import { type Log } from '../base/log.ts'
import type { RunnableConfig } from '../commands/settings.ts'
import type { Database } from '../db/database.ts'
import { Authenticator } from '../identity/authenticate.ts'
import { BrowserSessions } from '../identity/browser-sessions.ts'
import { CredentialCheck } from '../identity/credential-check.ts'
import { KeyStore } from '../identity/key-store.ts'
import { Keys } from '../identity/keys.ts'
import { Lockout } from '../identity/lockout.ts'
import { LoginStore } from '../identity/login-store.ts'
import { Logins } from '../identity/logins.ts'
import { Passkeys } from '../identity/passkeys/passkeys.ts'
import { PasskeyStore } from '../identity/passkeys/store.ts'
import { Passwords } from '../identity/passwords.ts'
import { Revocations } from '../identity/revocations.ts'
import { Tokens } from '../identity/tokens.ts'
import { UserStore } from '../identity/user-store.ts'
import { Users } from '../identity/users.ts'
import { GrantStore } from '../oauth/grant-store.ts'
import { Ledger } from '../ledger/ledger.ts'
import type { Egress } from '../upstreams/egress.ts'
import { buildIssuers, buildOidcLogins } from './issuers.ts'

const hourMs = 3_600_000

interface IdentityParts {
  readonly config: RunnableConfig
  readonly db: Database
  readonly clock: Clock
  readonly log: Log
  readonly keyring: Keyring
  readonly ledger: Ledger
  readonly egress: Egress
  readonly publicUrl: () => string
  /** Where browsers log in. */
  readonly adminUrl: () => string
}

export function buildIdentity({ adminUrl, publicUrl, ...parts }: IdentityParts) {
  const { config, db, clock, log, keyring, ledger, egress } = parts
  const revocations = new Revocations(log)
  const userStore = new UserStore(db)
  const loginStore = new LoginStore(db)
  const grantStore = new GrantStore(db)
  const passwords = new Passwords()
  const opened = new Map<string, () => void>()
  const users = new Users({
    store: userStore,
    passwords,
    revocations,
    clock,
    endGrants: (userId, atMs) => [grantStore.endOfUser(userId, atMs)],
    openAccount: ({ accountId, userId, username }) => {
      const { statements, added } = ledger.newAccount({
        id: accountId,
        kind: 'user',
        name: username,
        ownerId: userId,
      })
      opened.set(accountId, added)
      return statements
    },
    onCreated: ({ accountId }) => {
      opened.get(accountId)?.()
      opened.delete(accountId)
    },
  })
  const keyStore = new KeyStore(db)
  const keys = new Keys({ store: keyStore, keyring, revocations, clock, log })
  const tokens = new Tokens({
    store: loginStore,
    grants: grantStore,
    keyring,
    clock,
    publicUrl,
    lifetimeS: config.auth.accessTokenMinutes * 60,
  })
  const issuers = buildIssuers({ config, db, log, users, egress, publicUrl })
  const browserSessions = new BrowserSessions({
    store: loginStore,
    keyring,
    clock,
    lifetimeMs: config.auth.sessionHours * hourMs,
  })
  const authenticator = new Authenticator({ tokens, keys, issuers, browserSessions, revocations, clock })
  const oidcLogins = buildOidcLogins({ config, keyring, issuers, egress, publicUrl, adminUrl })
  const logins = new Logins({
    store: loginStore,
    userStore,
    users,
    passwords,
    tokens,
    keyring,
    lockout: new Lockout(clock),
    revocations,
    clock,
    log,
    registration: config.auth.registration,
    lifetimeMs: config.auth.refreshTokenDays * 24 * hourMs,
  })
  const credentials = new CredentialCheck({ keyStore, loginStore, grants: grantStore, clock })
  return {
    revocations,
    grantStore,
    issuers,
    users,
    keys,
    tokens,
    authenticator,
    browserSessions,
    oidcLogins,
    passkeys: new Passkeys({
      store: new PasskeyStore(db),
      users,
      sealer: keyring,
      clock,
      publicUrl: adminUrl,
    }),
    logins,
    credentials,
  }
}
