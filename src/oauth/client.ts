// An OAuth client and its metadata: what is read of it, and which redirect URIs it may have.
import { createPublicKey } from 'node:crypto'
import type { JWK } from 'jose'
import { z } from 'zod'
import { OauthError } from './oauth-error.ts'

export const authMethods = ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'] as const
export type AuthMethod = (typeof authMethods)[number]
/** RFC 7523, section 2.1; here with an assertion of another issuer (ID-JAG). */
export const jwtBearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
/** What a client may do that registers itself. */
export const grantTypes = ['authorization_code', 'refresh_token', jwtBearer] as const
export type GrantType = (typeof grantTypes)[number] | 'client_credentials'

/** What a client says of itself; nobody has checked its name. */
export interface ClientMetadata {
  readonly name: string
  readonly redirectUris: readonly string[]
  readonly grantTypes: readonly GrantType[]
  readonly authMethod: AuthMethod
  /** Public keys that it signs assertions with, where that is how it authenticates. */
  readonly keys?: readonly JWK[]
}

export interface Client extends ClientMetadata {
  /** `ocl_…`, or the URL of its metadata document. */
  readonly id: string
  /** The host that vouches for it; absent where it registered itself. */
  readonly host?: string
  /** The user for whom it acts by itself; absent where users have to consent. */
  readonly ownerId?: string
  /** What is kept of its secret, where it has one. */
  readonly secretMac?: Uint8Array
}

/** `http` for loopback alone, on any port (RFC 8252, section 7.3). */
const loopback = /^(http:\/\/(?:127\.0\.0\.1|\[::1\]|localhost))(:\d{1,5})?(\/.*)?$/

/** Whether text may be a redirect URI: https, or http to this very machine; no fragment, no user name. */
export function isRedirectUri(text: string): boolean {
  if (text.length > 2000 || !/^[\x21-\x7e]+$/.test(text) || /[#\\<>"]/.test(text) || !URL.canParse(text))
    return false
  const url = new URL(text)
  if (url.username !== '' || url.password !== '') return false
  return url.protocol === 'https:' ? /^https:\/\/[^/]/.test(text) : loopback.test(text)
}

/** Whether a redirect URI only reaches a program on the user's own machine, whoever that is. */
export const isLoopbackUri = (uri: string): boolean => loopback.test(uri)

/** Whether a client may be redirected there: character by character what it registered, but for a loopback port. */
export function mayRedirectTo(client: ClientMetadata, uri: string): boolean {
  if (!isRedirectUri(uri)) return false
  const wanted = withoutPort(uri)
  return client.redirectUris.some(
    (registered) => registered === uri || (loopback.test(uri) && withoutPort(registered) === wanted),
  )
}

function withoutPort(uri: string): string {
  const [, host = '', , path = ''] = loopback.exec(uri) ?? []
  return `${host}${path}`
}

const nameShape = z
  .string()
  .min(1)
  .max(100)
  // Nothing that hides, breaks or turns around the text of the consent page.
  .regex(/^[^\p{C}\p{Zl}\p{Zp}]+$/u)

const metadataShape = z.object({
  client_name: nameShape.default('A client without a name'),
  redirect_uris: z.array(z.string()).max(20).default([]),
  grant_types: z.array(z.string()).max(20).default(['authorization_code']),
  response_types: z.array(z.string()).max(20).default(['code']),
  token_endpoint_auth_method: z.string().optional(),
  jwks: z.object({ keys: z.array(z.record(z.string(), z.unknown())).min(1).max(10) }).optional(),
})

/**
 * Reads client metadata (RFC 7591, section 2); what we do not know is ignored, as it asks. Throws OauthError
 * `invalid_redirect_uri` or `invalid_client_metadata` naming the field.
 */
export function readMetadata(json: unknown, usualMethod: AuthMethod): ClientMetadata {
  const parsed = metadataShape.safeParse(json)
  if (!parsed.success) throw refused(parsed.error.issues[0]?.path.map(String).join('.') || 'the document')
  const { data } = parsed
  for (const uri of data.redirect_uris)
    if (!isRedirectUri(uri))
      throw new OauthError(
        'invalid_redirect_uri',
        'Each of redirect_uris must be https, or http to localhost or a loopback address, without a fragment.',
      )
  const known = grantTypes.filter((type) => data.grant_types.includes(type))
  if (!known.includes('authorization_code') && !known.includes(jwtBearer)) throw refused('grant_types')
  if (known.includes('authorization_code')) {
    if (!data.response_types.includes('code')) throw refused('response_types')
    if (data.redirect_uris.length === 0) throw refused('redirect_uris')
  }
  const method = data.token_endpoint_auth_method ?? usualMethod
  const authMethod = authMethods.find((name) => name === method)
  if (!authMethod) throw refused('token_endpoint_auth_method')
  const client = { name: data.client_name, redirectUris: data.redirect_uris, grantTypes: known, authMethod }
  if (authMethod !== 'private_key_jwt') return client
  if (!data.jwks?.keys.every(isPublicKey)) throw refused('jwks')
  return { ...client, keys: data.jwks.keys }
}

/** Whether a JWK is the public half of a pair, and nothing more. */
export function isPublicKey(key: Readonly<Record<string, unknown>>): boolean {
  if ('d' in key || 'k' in key) return false
  try {
    return createPublicKey({ key, format: 'jwk' }).type === 'public'
  } catch {
    return false
  }
}

const refused = (field: string): OauthError =>
  new OauthError('invalid_client_metadata', `The metadata is not usable; see ${field}.`)
