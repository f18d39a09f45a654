// Whether credentials that were used before are still good, without the credentials themselves.
import type { Clock } from '../base/clock.ts'
import type { Grant, GrantReader } from './grant.ts'
import type { KeyStore, KeyWithUser } from './key-store.ts'
import type { LoginStore, StoredLogin } from './login-store.ts'
import type { Principal } from './principal.ts'
import { principalOf } from './tokens.ts'
import { callerOf } from './user-store.ts'

/** What a principal was authenticated by. */
export interface CredentialReference {
  readonly userId: string
  readonly keyId: string | undefined
  readonly loginId: string | undefined
  readonly grantId?: string | undefined
}

export interface CredentialCheckOptions {
  readonly keyStore: KeyStore
  readonly loginStore: LoginStore
  /** Consents to OAuth clients; absent where there are none. */
  readonly grants?: Pick<GrantReader, 'findMany'>
  readonly clock: Clock
}

export class CredentialCheck {
  readonly #options: CredentialCheckOptions

  constructor(options: CredentialCheckOptions) {
    this.#options = options
  }

  /**
   * The callers as they are now, in the order of the references; undefined where the key, the login, the grant or the user has
   * ended or may not log in. Asks the store a few times, however many there are.
   */
  async findPrincipals(references: readonly CredentialReference[]): Promise<(Principal | undefined)[]> {
    const { keyStore, loginStore, grants } = this.#options
    const [keys, logins, granted] = await Promise.all([
      keyStore.findManyWithUsers(distinct(references.map(({ keyId }) => keyId))),
      loginStore.findMany(distinct(references.map(({ loginId }) => loginId))),
      grants?.findMany(distinct(references.map(({ grantId }) => grantId))),
    ])
    return references.map(({ userId, keyId, loginId, grantId }) => {
      const principal =
        keyId !== undefined
          ? this.#ofKey(keys.get(keyId))
          : grantId !== undefined
            ? this.#ofGrant(granted?.get(grantId))
            : this.#ofLogin(logins.get(loginId ?? ''))
      return principal?.userId === userId ? principal : undefined
    })
  }

  #ofKey(found: KeyWithUser | undefined): Principal | undefined {
    if (!found || found.user.disabled) return undefined
    const { id, servers, expiresAtMs, suspendedBy } = found.stored.key
    if (suspendedBy !== undefined) return undefined
    if (expiresAtMs !== undefined && this.#options.clock.now() >= expiresAtMs) return undefined
    return {
      ...callerOf(found.user),
      via: 'key',
      keyId: id,
      ...(servers !== undefined && { servers }),
      ...(expiresAtMs !== undefined && { expiresAtMs }),
    }
  }

  #ofLogin(login: StoredLogin | undefined): Principal | undefined {
    if (!login || login.revoked || login.user.disabled) return undefined
    if (this.#options.clock.now() >= login.expiresAtMs) return undefined
    return { ...callerOf(login.user), via: 'token', loginId: login.id, expiresAtMs: login.expiresAtMs }
  }

  #ofGrant(grant: Grant | undefined): Principal | undefined {
    if (!grant || grant.revoked || grant.user.disabled) return undefined
    return this.#options.clock.now() >= grant.expiresAtMs ? undefined : principalOf(grant)
  }
}

const distinct = (ids: readonly (string | undefined)[]): string[] => [
  ...new Set(ids.filter((id) => id !== undefined)),
]
