// Who is calling: the verified answer of authentication, valid until it expires or is revoked.

export const roles = ['admin', 'operator', 'auditor', 'member'] as const
export type Role = (typeof roles)[number]

/** A verified caller. Immutable: a change of the user makes a new one. */
export interface Principal {
  readonly userId: string
  readonly username: string
  readonly roles: readonly Role[]
  /** The account that pays for this caller's calls. */
  readonly accountId: string
  /** `token` may manage; `key` may call and read but not manage keys, users or roles; `public` has no credential. */
  readonly via: 'token' | 'key' | 'public'
  /** Set where an API key was used. */
  readonly keyId?: string
  /** Set where an access token was used: the login that it came from, which a logout ends. */
  readonly loginId?: string
  /** Names of the servers that the key is limited to; absent means all that the user may use. */
  readonly servers?: readonly string[]
  /** Wall time at which the credential ends, where it does. */
  readonly expiresAtMs?: number
}
