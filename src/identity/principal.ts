// Who is calling: the verified answer of authentication, valid until it expires or is revoked.
import type { Scope } from './scopes.ts'

export const roles = ['admin', 'operator', 'auditor', 'member'] as const
export type Role = (typeof roles)[number]

/** A verified caller. Immutable: a change of the user makes a new one. */
export interface Principal {
  readonly userId: string
  readonly username: string
  readonly roles: readonly Role[]
  /** Absent where there are none. */
  readonly groups?: readonly string[]
  /** The account that pays for this caller's calls. */
  readonly accountId: string
  /**
   * `token` may manage; `key` may call and read but not manage keys, users or roles; `oauth` may use the one MCP
   * endpoint that its token is for; `public` has no credential.
   */
  readonly via: 'token' | 'key' | 'oauth' | 'public'
  /** Set where an API key was used. */
  readonly keyId?: string
  /** Set where an access token was used: the login that it came from, which a logout ends. */
  readonly loginId?: string
  /** Set where an OAuth token was used: the user's consent that it comes from. */
  readonly grantId?: string
  /** URL of the one MCP endpoint that an OAuth token is for (RFC 8707); absent means everywhere. */
  readonly resource?: string
  /** What an OAuth token allows; absent means all that the user may do. */
  readonly scopes?: readonly Scope[]
  /** Names of the servers that the key is limited to; absent means all that the user may use. */
  readonly servers?: readonly string[]
  /** Wall time at which the credential ends, where it does. */
  readonly expiresAtMs?: number
}
