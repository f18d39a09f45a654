// What the gateway shows a server, as it is typed: sealed by the gateway, and never shown again.
import type { Operations } from '../../api/types.ts'

type Auth = NonNullable<Operations['POST /servers']['body']['auth']>

export const credentialKinds = {
  none: 'none',
  bearer: 'Bearer token',
  'api-key': 'API key in a header',
  basic: 'User name and password',
  oauth2: 'OAuth client credentials',
} as const
export type CredentialKind = keyof typeof credentialKinds

export interface TypedCredential {
  readonly kind: CredentialKind
  /** Of the header, the user, or the OAuth client. */
  readonly name: string
  readonly secret: string
  /** Where tokens come from, for OAuth; found out from the server where it is empty. */
  readonly tokenUrl: string
  readonly scope: string
}

export const noCredential: TypedCredential = { kind: 'none', name: '', secret: '', tokenUrl: '', scope: '' }

export function authOf({ kind, name, secret, tokenUrl, scope }: TypedCredential): Auth {
  if (kind === 'bearer') return { type: 'bearer', token: secret }
  if (kind === 'api-key') return { type: 'api-key', in: 'header', name, value: secret }
  if (kind === 'basic') return { type: 'basic', username: name, password: secret }
  if (kind === 'none') return { type: 'none' }
  return {
    type: 'oauth2',
    grant: 'client-credentials',
    clientId: name,
    clientSecret: secret,
    ...(tokenUrl !== '' && { tokenUrl }),
    ...(scope !== '' && { scope }),
  }
}
