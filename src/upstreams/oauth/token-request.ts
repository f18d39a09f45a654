// Asks an authorization server for a token by client credentials, where to ask being found from the MCP server itself.
import { importJWK, importPKCS8, type CryptoKey as Key } from 'jose'
import * as oauth from 'oauth4webapi'
import { GatewayError } from '../../base/errors.ts'
import type { ClientCredentialsAuth } from '../../registry/server.ts'
import type { Egress } from '../egress.ts'
import { vettedFetch } from '../vetted-fetch.ts'

/** An access token as the authorization server gave it. */
export interface IssuedToken {
  readonly token: string
  /** Absent where it does not say. */
  readonly expiresInS?: number
}

/** Why there is no token, in a sentence that holds no secret. */
export class TokenError extends Error {}

export interface TokenRequestOptions {
  readonly egress: Pick<Egress, 'checkUrl' | 'lookup'>
  /** For each request. */
  readonly timeoutMs: number
}

const maxAnswerBytes = 256 * 1024
const maxTokenChars = 16 * 1024

/**
 * A token for the server at `serverUrl` (RFC 6749, 4.4; RFC 8707, resource indicators; RFC 7523 where the client has a
 * key). Without `tokenUrl` the authorization server is the one that the MCP server names (RFC 9728, RFC 8414). Rejects
 * with TokenError.
 */
export async function requestToken(
  serverUrl: string,
  auth: ClientCredentialsAuth,
  options: TokenRequestOptions,
): Promise<IssuedToken> {
  const asked = { host: '' }
  const http = httpOptions(options, asked)
  try {
    const server = await authorizationServer(serverUrl, auth, http)
    const client: oauth.Client = { client_id: auth.clientId }
    const response = await oauth.clientCredentialsGrantRequest(
      server,
      client,
      await proofOf(auth),
      parametersOf(serverUrl, auth),
      http,
    )
    const answer = await oauth.processClientCredentialsResponse(server, client, response)
    if (!/^bearer$/i.test(answer.token_type)) throw new TokenError('its tokens are not bearer tokens')
    if (answer.access_token.length > maxTokenChars || !/^[\x21-\x7e]+$/.test(answer.access_token))
      throw new TokenError('its token cannot be sent in a header')
    const { expires_in: expiresInS } = answer
    return { token: answer.access_token, ...(expiresInS !== undefined && { expiresInS }) }
  } catch (error) {
    throw new TokenError(`The authorization server ${asked.host} gave no token: ${reasonOf(error)}.`, {
      cause: error,
    })
  }
}

type Http = ReturnType<typeof httpOptions>

/** Every address is vetted, whoever named it. */
function httpOptions({ egress, timeoutMs }: TokenRequestOptions, asked: { host: string }) {
  const ask = (url: string, init: oauth.CustomFetchOptions<string, unknown>): Promise<Response> => {
    asked.host = new URL(url).host
    const body = init.body instanceof URLSearchParams ? init.body.toString() : undefined
    const { method, headers } = init
    return vettedFetch(url, { method, headers, body }, { egress, timeoutMs, maxBytes: maxAnswerBytes })
  }
  // The filter for outgoing connections decides which plain HTTP is allowed: what is public is not, see `checkSecure`.
  return { [oauth.customFetch]: ask, [oauth.allowInsecureRequests]: true }
}

async function authorizationServer(
  serverUrl: string,
  { tokenUrl, issuer }: ClientCredentialsAuth,
  http: Http,
): Promise<oauth.AuthorizationServer> {
  if (tokenUrl !== undefined) return { issuer: issuer ?? new URL(tokenUrl).origin, token_endpoint: tokenUrl }
  const url = new URL(issuer ?? (await namedIssuer(serverUrl, http)))
  checkSecure(url)
  const server = await discover(url, http)
  if (server.token_endpoint === undefined) throw new TokenError('it names no token endpoint')
  checkSecure(new URL(server.token_endpoint))
  return server
}

/** RFC 8414 first, then OpenID Connect Discovery, as MCP asks. */
async function discover(url: URL, http: Http): Promise<oauth.AuthorizationServer> {
  const response = await oauth.discoveryRequest(url, { ...http, algorithm: 'oauth2' })
  if (response.status === 200) return oauth.processDiscoveryResponse(url, response)
  return oauth.processDiscoveryResponse(
    url,
    await oauth.discoveryRequest(url, { ...http, algorithm: 'oidc' }),
  )
}

/** What the MCP server says of itself: at its own path, or at its origin. */
async function namedIssuer(serverUrl: string, http: Http): Promise<string> {
  const url = new URL(serverUrl)
  url.search = ''
  url.hash = ''
  for (const resource of [url, new URL(url.origin)]) {
    const response = await oauth.resourceDiscoveryRequest(resource, http)
    if (response.status !== 200) continue
    const { authorization_servers: issuers } = await oauth.processResourceDiscoveryResponse(
      resource,
      response,
    )
    const [issuer] = issuers ?? []
    if (issuer !== undefined && URL.canParse(issuer)) return issuer
  }
  throw new TokenError('the MCP server does not name one; give auth.tokenUrl or auth.issuer')
}

/** Credentials travel in the clear to this machine only (OAuth 2.1, 1.5). */
function checkSecure({ protocol, hostname }: URL): void {
  const local = hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)
  if (protocol !== 'https:' && !local) throw new TokenError('it was named with an address that is not https')
}

async function proofOf(auth: ClientCredentialsAuth): Promise<oauth.ClientAuth> {
  const {
    clientSecret = '',
    privateKey,
    method = privateKey === undefined ? 'basic' : 'private-key-jwt',
  } = auth
  if (method === 'basic') return oauth.ClientSecretBasic(clientSecret)
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

function parametersOf(
  serverUrl: string,
  { scope, audience, resource }: ClientCredentialsAuth,
): URLSearchParams {
  const parameters = new URLSearchParams()
  if (scope !== undefined) parameters.set('scope', scope)
  if (audience !== undefined) parameters.set('audience', audience)
  // MCP asks for it; some authorization servers refuse what they do not know, so an empty one is left out.
  const named = resource ?? canonical(serverUrl)
  if (named !== '') parameters.set('resource', named)
  return parameters
}

/** RFC 8707, section 2, and MCP "Canonical Server URI": no fragment, no slash where there is no path. */
function canonical(serverUrl: string): string {
  const url = new URL(serverUrl)
  url.hash = ''
  return url.pathname === '/' && url.search === '' ? url.origin : url.href
}

/** What came from outside is cut short and has no control characters. */
function reasonOf(error: unknown): string {
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
