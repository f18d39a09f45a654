// Who the gateway is as a client of an authorization server: as configured, by its metadata document, or as it registered.
import * as oauth from 'oauth4webapi'
import { z } from 'zod'
import type { Clock } from '../../base/clock.ts'
import type { AuthorizationCodeAuth, Server } from '../../registry/server.ts'
import { basicProof, proofOf, TokenError, type Http } from './authorization-server.ts'
import type { RegisteredClient, UserTokenStore } from './user-token-store.ts'

export interface GatewayClientOptions {
  readonly store: Pick<UserTokenStore, 'findClient' | 'putClient'>
  readonly clock: Clock
  readonly publicUrl: () => string
}

export interface KnownClient {
  readonly client: oauth.Client
  readonly proof: oauth.ClientAuth
}

export const callbackPath = '/oauth/upstream/callback'
export const documentPath = '/.well-known/oauth-client'

/** Our metadata as a client (MCP "Client ID Metadata Documents", RFC 7591). */
export const clientMetadata = (publicUrl: string) => ({
  client_name: 'Tollbridge',
  redirect_uris: [`${publicUrl}${callbackPath}`],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  token_endpoint_auth_method: 'none',
  // OpenID Connect Registration, section 2: only a native application may be sent back to http on its own machine.
  application_type: publicUrl.startsWith('https:') ? 'web' : 'native',
})

/**
 * In the order that MCP asks for: what was registered beforehand, a metadata document where both sides can, registration
 * where the server offers it. Rejects with TokenError where there is no way.
 */
export async function gatewayClient(
  { server, auth }: { server: Pick<Server, 'id'>; auth: AuthorizationCodeAuth },
  authorizationServer: oauth.AuthorizationServer,
  { http, store, clock, publicUrl }: GatewayClientOptions & { readonly http: Http },
): Promise<KnownClient> {
  if (auth.clientId !== undefined) return known(auth.clientId, await proofOfConfigured(auth))
  const url = publicUrl()
  if (authorizationServer['client_id_metadata_document_supported'] === true && url.startsWith('https:'))
    return known(`${url}${documentPath}`, oauth.None())
  const { issuer } = authorizationServer
  const registered =
    (await store.findClient(server.id, issuer)) ??
    (await register(authorizationServer, { http, metadata: clientMetadata(url) }))
  await store.putClient(server.id, issuer, registered, clock.now())
  return known(registered.clientId, proofOfRegistered(registered))
}

/** As the server said, or RFC 7591's default: `client_secret_basic`. */
function proofOfRegistered({ clientSecret, method }: RegisteredClient): oauth.ClientAuth {
  if (clientSecret === undefined || method === 'none') return oauth.None()
  return method === 'client_secret_post' ? oauth.ClientSecretPost(clientSecret) : basicProof(clientSecret)
}

const known = (clientId: string, proof: oauth.ClientAuth): KnownClient => ({
  client: { client_id: clientId },
  proof,
})

const proofOfConfigured = async (auth: AuthorizationCodeAuth): Promise<oauth.ClientAuth> =>
  auth.clientSecret === undefined && auth.privateKey === undefined ? oauth.None() : proofOf(auth)

async function register(
  authorizationServer: oauth.AuthorizationServer,
  { http, metadata }: { http: Http; metadata: ReturnType<typeof clientMetadata> },
): Promise<RegisteredClient> {
  if (authorizationServer.registration_endpoint === undefined)
    throw new TokenError('it registers no clients; give auth.clientId')
  const response = await oauth.dynamicClientRegistrationRequest(authorizationServer, metadata, http)
  // Many servers leave out what RFC 7591 asks for beside the id, such as the end of a secret that has none.
  const read = registrationShape.safeParse(await response.json().catch(() => undefined))
  if (!response.ok || !read.success) throw new TokenError(`it does not register us (${response.status})`)
  const { client_id: clientId, client_secret: clientSecret, token_endpoint_auth_method: method } = read.data
  return { clientId, ...(clientSecret && { clientSecret }), ...(method !== undefined && { method }) }
}

const registrationShape = z.looseObject({
  client_id: z.string().min(1).max(2048),
  client_secret: z.string().max(8192).nullish(),
  token_endpoint_auth_method: z.string().max(100).optional(),
})
