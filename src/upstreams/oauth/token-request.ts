// Asks an authorization server for a token of our own or of one caller, where to ask being found from the MCP server itself.
import * as oauth from 'oauth4webapi'
import type { ClientCredentialsAuth, TokenExchangeAuth } from '../../registry/server.ts'
import {
  authorizationServer,
  canonical,
  httpOptions,
  proofOf,
  readToken,
  reasonOf,
  TokenError,
  type FoundServer,
  type Http,
  type IssuedToken,
  type TokenRequestOptions,
} from './authorization-server.ts'

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
  return ask(serverUrl, auth, options, async (server, client, http) => {
    const proof = await proofOf(auth)
    const parameters = parametersOf(server.resource ?? canonical(serverUrl), auth)
    const response = await oauth.clientCredentialsGrantRequest(server, client, proof, parameters, http)
    return readToken(await oauth.processClientCredentialsResponse(server, client, response))
  })
}

/**
 * A token of one caller for the server at `serverUrl`, for the gateway's word of who that is (RFC 8693): `assertionFor`
 * gives a signed note for the authorization server. Rejects with TokenError.
 */
export async function exchangeToken(
  serverUrl: string,
  auth: TokenExchangeAuth,
  { assertionFor, ...options }: TokenRequestOptions & { assertionFor: (audience: string) => string },
): Promise<IssuedToken> {
  return ask(serverUrl, auth, options, async (server, client, http) => {
    const parameters = parametersOf(server.resource ?? canonical(serverUrl), auth)
    parameters.set('subject_token', assertionFor(server.issuer))
    parameters.set('subject_token_type', 'urn:ietf:params:oauth:token-type:jwt')
    parameters.set('requested_token_type', accessTokenType)
    const proof = await proofOf(auth)
    const response = await oauth.genericTokenEndpointRequest(
      server,
      client,
      proof,
      exchangeGrant,
      parameters,
      http,
    )
    return readToken(await oauth.processGenericTokenEndpointResponse(server, client, response))
  })
}

const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange'
const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token'

async function ask(
  serverUrl: string,
  auth: ClientCredentialsAuth | TokenExchangeAuth,
  options: TokenRequestOptions,
  work: (server: FoundServer, client: oauth.Client, http: Http) => Promise<IssuedToken>,
): Promise<IssuedToken> {
  const asked = { host: '' }
  const http = httpOptions(options, asked)
  try {
    const server = await authorizationServer(serverUrl, auth, http)
    return await work(server, { client_id: auth.clientId }, http)
  } catch (error) {
    throw new TokenError(`The authorization server ${asked.host} gave no token: ${reasonOf(error)}.`, {
      cause: error,
    })
  }
}

function parametersOf(
  usual: string,
  { scope, audience, resource }: Pick<ClientCredentialsAuth, 'scope' | 'audience' | 'resource'>,
): URLSearchParams {
  const parameters = new URLSearchParams()
  if (scope !== undefined) parameters.set('scope', scope)
  if (audience !== undefined) parameters.set('audience', audience)
  // MCP asks for it; some authorization servers refuse what they do not know, so an empty one is left out.
  const named = resource ?? usual
  if (named !== '') parameters.set('resource', named)
  return parameters
}
