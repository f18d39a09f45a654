// What the configuration says of another issuer whose tokens are taken.
import type { Role } from '../../identity/principal.ts'

/** Signatures by a key of which we see the public half only. */
export const issuerAlgorithms = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'] as const

export interface IssuerTerms {
  readonly issuer: string
  /** What stands for the whole gateway in `aud`; absent means that a token is for one MCP endpoint only. */
  readonly audience?: string | undefined
  /** Whether its identity assertions (ID-JAG) are taken for grants. */
  readonly identityAssertions: boolean
  readonly algorithms: readonly (typeof issuerAlgorithms)[number][]
  readonly usernameClaim: string
  readonly groupsClaim: string
  /** What membership in a group makes of a user; where this is empty, roles are managed here. */
  readonly roles: Readonly<Record<string, Role>>
  /** Whether a user's groups follow those of its newest token. */
  readonly keepsGroups: boolean
}
