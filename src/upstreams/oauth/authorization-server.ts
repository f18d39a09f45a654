// The authorization server of an MCP server: found by its metadata, asked at vetted addresses, and how we prove ourselves to it.
import { importJWK, importPKCS8, type CryptoKey as Key } from 'jose'
import * as oauth from 'oauth4webapi'
import { z } from 'zod'
import { GatewayError } from '../../base/errors.ts'
import type { ClientCredentialsAuth } from '../../registry/server.ts'
import type { Egress } from '../egress.ts'
import { vettedFetch } from '../vetted-fetch.ts'

/** An access token as the authorization server gave it. */
export interface IssuedToken {
  readonly token: string
  /** Absent where it does not say. */
  readonly expiresInS?: number
  /** It was used before. */
  readonly proven?: boolean
}

/** Why there is no token, in a sentence that holds no secret. */
export class TokenError extends Error {}

/** The user has to say yes before, or again. */
export class ConsentNeeded extends TokenError {
  constructor() {
    super('The user has not let the gateway use this server as them, or has to say so again.')
  }
}

export interface TokenRequestOptions {
  readonly egress: Pick<Egress, 'checkUrl' | 'lookup'>
  /** For each request. */
  readonly timeoutMs: number
}

const maxAnswerBytes = 256 * 1024
const maxTokenChars = 16 * 1024

export type Http = ReturnType<typeof httpOptions>

/** Every address is vetted, whoever named it. */
export function httpOptions({ egress, timeoutMs }: TokenRequestOptions, asked: { host: string }) {
  const ask = (url: string, init: oauth.CustomFetchOptions<string, unknown>): Promise<Response> => {
    asked.host = new URL(url).host
    const given: unknown = init.body
    const body =
      given instanceof URLSearchParams ? given.toString() : typeof given === 'string' ? given : undefined
    const { method, headers } = init
    return vettedFetch(url, { method, headers, body }, { egress, timeoutMs, maxBytes: maxAnswerBytes })
  }
  // The filter for outgoing connections decides which plain HTTP is allowed: what is public is not, see `checkSecure`.
  return { [oauth.customFetch]: ask, [oauth.allowInsecureRequests]: true }
}

/** An authorization server, and what the MCP server says of itself. */
export interface FoundServer extends oauth.AuthorizationServer {
  /** Its identifier as it publishes it (RFC 9728), where it does. */
  readonly resource?: string
  /** What it wants at first: of its challenge, else all that it knows (MCP, "Scope Selection Strategy"). */
  readonly wantedScope?: string
}

export async function authorizationServer(
  serverUrl: string,
  { tokenUrl, issuer }: { readonly tokenUrl?: string | undefined; readonly issuer?: string | undefined },
  http: Http,
): Promise<FoundServer> {
  if (tokenUrl !== undefined) return { issuer: issuer ?? new URL(tokenUrl).origin, token_endpoint: tokenUrl }
  const told = issuer === undefined ? await askServer(serverUrl, http) : { issuer }
  const url = new URL(told.issuer ?? new URL(serverUrl).origin)
  checkSecure(url)
  const server = (await discover(url, http)) ?? (told.issuer === undefined ? oldServer(url) : undefined)
  if (server?.token_endpoint === undefined) throw new TokenError('it names no token endpoint')
  checkSecure(new URL(server.token_endpoint))
  return { ...server, ...told, issuer: server.issuer }
}

/** Before there was metadata, the authorization server was at the origin of the MCP server (MCP 2025-03-26, 2.3.3). */
const oldServer = ({ origin }: URL): oauth.AuthorizationServer => ({
  issuer: origin,
  authorization_endpoint: `${origin}/authorize`,
  token_endpoint: `${origin}/token`,
  registration_endpoint: `${origin}/register`,
})

/** RFC 8414 first, then OpenID Connect Discovery, as MCP asks; undefined where there is neither. */
async function discover(url: URL, http: Http): Promise<oauth.AuthorizationServer | undefined> {
  for (const algorithm of ['oauth2', 'oidc'] as const) {
    const response = await oauth.discoveryRequest(url, { ...http, algorithm })
    if (response.status === 200) return oauth.processDiscoveryResponse(url, response)
  }
  return undefined
}

interface ServerWords {
  readonly issuer?: string
  readonly resource?: string
  readonly wantedScope?: string
}

/** What the MCP server says of itself: where its challenge points, at its own path, or at its origin. */
async function askServer(serverUrl: string, http: Http): Promise<ServerWords> {
  const url = new URL(serverUrl)
  url.hash = ''
  const { resource_metadata: named, scope } = await challengeOf(url, http)
  url.search = ''
  const origin = new URL(url.origin)
  const places = [
    ...(named === undefined ? [] : [() => http[oauth.customFetch](named, plainGet)]),
    () => oauth.resourceDiscoveryRequest(url, http),
    () => oauth.resourceDiscoveryRequest(origin, http),
  ]
  for (const ask of places) {
    const response = await ask()
    if (response.status !== 200) continue
    const {
      authorization_servers: issuers,
      resource,
      scopes_supported: all,
    } = await readResource(url, response)
    const issuer = issuers.find((each) => URL.canParse(each))
    if (issuer === undefined) continue
    const wantedScope = scope ?? all?.join(' ')
    return { issuer, resource, ...(wantedScope && { wantedScope }) }
  }
  return {}
}

const plainGet = {
  method: 'GET',
  headers: { accept: 'application/json' },
  redirect: 'manual',
  body: undefined,
} as const

const resourceShape = z.looseObject({
  resource: z.string(),
  authorization_servers: z.array(z.string()).default([]),
  scopes_supported: z.array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/)).optional(),
})

/** The document has to be this server's, or its origin's or a path's above it (RFC 9728, 3.3; MCP "Resource Identifier"). */
async function readResource(url: URL, response: Response): Promise<z.output<typeof resourceShape>> {
  const read = resourceShape.safeParse(await response.json().catch(() => undefined))
  if (!read.success) throw new TokenError('what the MCP server says of itself cannot be read')
  const { resource } = read.data
  const named = URL.canParse(resource) ? new URL(resource) : undefined
  const path = named?.pathname.replace(/\/$/, '') ?? ''
  const covers = url.pathname === path || url.pathname === `${path}/` || url.pathname.startsWith(`${path}/`)
  if (named?.origin !== url.origin || !covers)
    throw new TokenError('what the MCP server says of itself is about another one')
  return read.data
}

/** A request without a token, for what its refusal says (RFC 6750, 3; RFC 9728, 5.1). */
async function challengeOf(url: URL, http: Http): Promise<{ resource_metadata?: string; scope?: string }> {
  const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
  const body = JSON.stringify({ jsonrpc: '2.0', id: 'tollbridge', method: 'ping' })
  const asked = { method: 'POST', headers, body, redirect: 'manual' } as const
  const response = await http[oauth.customFetch](url.href, asked)
  if (response.status !== 401) return {}
  const { resource_metadata: metadata, scope } = readChallenge(response.headers.get('www-authenticate') ?? '')
  return {
    ...(metadata !== undefined && URL.canParse(metadata) && { resource_metadata: metadata }),
    ...(scope !== undefined && { scope }),
  }
}

/** The parameters of a challenge that matter here (RFC 9110, 11.6.1; RFC 6750, 3; RFC 9728, 5.1). */
export function readChallenge(challenge: string): {
  readonly error?: string
  readonly scope?: string
  readonly resource_metadata?: string
} {
  const found: Record<string, string> = {}
  for (const [, name = '', value = ''] of challenge.slice(0, 8192).matchAll(parameterText))
    found[name.toLowerCase()] ??= value
  return found
}

const parameterText = /(?<=^|[\s,])(error|scope|resource_metadata)="([^"\\]{1,2000})"/gi

/** Credentials travel in the clear to this machine only (OAuth 2.1, 1.5), and nothing but the web is opened. */
export function checkSecure({ protocol, hostname, username, password }: URL): void {
  const local = hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)
  if (username !== '' || password !== '')
    throw new TokenError('it was named with an address that holds a name or password')
  if (protocol !== 'https:' && !(protocol === 'http:' && local))
    throw new TokenError('it was named with an address that is not https')
}

/**
 * RFC 6749, 2.3.1, with nothing encoded that need not be: many servers compare what they get without decoding it.
 */
export const basicProof =
  (secret: string): oauth.ClientAuth =>
  (_server, { client_id: id }, _body, headers) => {
    const encoded = [id, secret].map((text) => encodeURIComponent(text).replaceAll('%20', '+')).join(':')
    headers.set('authorization', `Basic ${Buffer.from(encoded).toString('base64')}`)
  }

/** How a client proves itself; none of it where it is public. */
export type ClientProof = Pick<ClientCredentialsAuth, 'clientSecret' | 'privateKey' | 'method' | 'algorithm'>

export async function proofOf(auth: ClientProof): Promise<oauth.ClientAuth> {
  const {
    clientSecret = '',
    privateKey,
    method = privateKey === undefined ? 'basic' : 'private-key-jwt',
  } = auth
  if (method === 'basic') return basicProof(clientSecret)
  if (method === 'post') return oauth.ClientSecretPost(clientSecret)
  const { key, kid } = await readKey(privateKey ?? '', auth.algorithm)
  return oauth.PrivateKeyJwt(kid === undefined ? key : { key, kid })
}

/** A private key as PKCS #8 in PEM, or as a JWK. Rejects with TokenError. */
async function readKey(text: string, algorithm = 'RS256'): Promise<{ key: Key; kid?: string }> {
  try {
    if (!text.trimStart().startsWith('{')) return { key: await importPKCS8(text, algorithm) }
    const { kid, alg = algorithm, ...jwk } = JSON.parse(text) as { kid?: string; alg?: string; kty: string }
    const key = await importJWK({ ...jwk, alg }, alg)
    if (!(key instanceof CryptoKey) || key.type !== 'private') throw new TypeError('it is not a private key')
    return { key, ...(kid !== undefined && { kid }) }
  } catch (error) {
    throw new TokenError(`the private key cannot be used with ${algorithm}`, { cause: error })
  }
}

/** RFC 8707, section 2, and MCP "Canonical Server URI": no fragment, no slash where there is no path. */
export function canonical(serverUrl: string): string {
  const url = new URL(serverUrl)
  url.hash = ''
  return url.pathname === '/' && url.search === '' ? url.origin : url.href
}

/** Throws TokenError where an answer holds no bearer token that can be sent. */
export function readToken(answer: oauth.TokenEndpointResponse): IssuedToken {
  if (!/^bearer$/i.test(answer.token_type)) throw new TokenError('its tokens are not bearer tokens')
  if (answer.access_token.length > maxTokenChars || !/^[\x21-\x7e]+$/.test(answer.access_token))
    throw new TokenError('its token cannot be sent in a header')
  const { expires_in: expiresInS } = answer
  return { token: answer.access_token, ...(expiresInS !== undefined && { expiresInS }) }
}

/** What came from outside is cut short and has no control characters. */
export function reasonOf(error: unknown): string {
  if (error instanceof oauth.ResponseBodyError) {
    const text = error.error_description ?? ''
    return plain(`${error.status} ${error.error}${text ? `, ${text}` : ''}`)
  }
  if (error instanceof oauth.WWWAuthenticateChallengeError) return `${error.status}`
  if (error instanceof TokenError) return error.message
  if (error instanceof GatewayError)
    return error.code === 'egress_denied' ? 'its address is not allowed' : 'its address cannot be used'
  if (error instanceof oauth.OperationProcessingError || error instanceof oauth.UnsupportedOperationError)
    return 'its answer is not what OAuth asks for'
  const { code, name } = error as NodeJS.ErrnoException
  return name === 'TimeoutError' || name === 'AbortError'
    ? 'it did not answer in time'
    : (code ?? 'it cannot be asked')
}

const plain = (text: string): string => text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 200)
