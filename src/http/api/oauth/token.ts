// Routes that OAuth clients call: tokens, their end, what a token is worth, and the registration of clients.
import { z } from 'zod'
import { GatewayError } from '../../../base/errors.ts'
import type { Authenticator } from '../../../identity/authenticate.ts'
import type { Principal } from '../../../identity/principal.ts'
import { isScope } from '../../../identity/scopes.ts'
import type { Client } from '../../../oauth/client.ts'
import type { ClientProof, Clients, Registered } from '../../../oauth/clients.ts'
import type { Grants, TokenAnswer } from '../../../oauth/grants.ts'
import { OauthError } from '../../../oauth/oauth-error.ts'
import { may } from '../../../policy/roles.ts'
import { defineRoute, type Context, type Route } from '../route.ts'
import { answerOauth, formShape, readBasic, readParams, type Params } from './form.ts'

export interface TokenRouteDeps {
  /** Absent where the authorization server is off. */
  readonly clients?: Clients | undefined
  readonly grants?: Grants | undefined
  readonly authenticator: Pick<Authenticator, 'authenticate'>
}

const tokenShape = z
  .strictObject({
    access_token: z.string(),
    token_type: z.literal('Bearer'),
    expires_in: z.int().describe('Seconds.'),
    refresh_token: z.string().optional().describe('Good for one exchange.'),
    scope: z.string(),
  })
  .meta({ id: 'OauthToken' })

const clientShape = z
  .strictObject({
    client_id: z.string(),
    client_secret: z.string().optional().describe('Shown this once.'),
    client_id_issued_at: z.int(),
    client_secret_expires_at: z.int().optional(),
    client_name: z.string(),
    redirect_uris: z.array(z.string()),
    grant_types: z.array(z.string()),
    response_types: z.array(z.string()),
    token_endpoint_auth_method: z.string(),
  })
  .meta({ id: 'OauthClient' })

const introspectionShape = z
  .strictObject({
    active: z.boolean(),
    scope: z.string().optional(),
    client_id: z.string().optional(),
    username: z.string().optional(),
    sub: z.string().optional(),
    aud: z.string().optional(),
    exp: z.int().optional(),
    token_type: z.literal('Bearer').optional(),
  })
  .meta({ id: 'OauthIntrospection' })

const form = { method: 'POST', form: true, body: formShape, maxBodyBytes: 32 * 1024 } as const

/** `/oauth/token`, `/oauth/revoke`, `/oauth/introspect` and `/oauth/register`. */
export function tokenRoutes(deps: TokenRouteDeps): Route[] {
  return [
    defineRoute({
      ...form,
      path: '/oauth/token',
      summary: 'Exchanges a code or a refresh token for an access token (RFC 6749, RFC 7636, RFC 8707)',
      permission: 'public',
      response: tokenShape,
      errors: [400, 401, 404],
      handler: (context) => answerOauth(async () => exchange(deps, context)),
    }),
    defineRoute({
      ...form,
      path: '/oauth/revoke',
      summary: 'Ends the grant behind a token, with all its tokens and what they have open (RFC 7009)',
      permission: 'public',
      status: 200,
      errors: [400, 401, 404],
      handler: (context) => answerOauth(async () => revoke(deps, context)),
    }),
    defineRoute({
      ...form,
      path: '/oauth/introspect',
      summary: 'Tells what an access token is worth (RFC 7662)',
      description:
        'For tokens of your own; administrators and auditors see those of all. Any other is not active.',
      permission: 'signed-in',
      response: introspectionShape,
      errors: [400],
      handler: (context) => answerOauth(async () => introspect(deps, context)),
    }),
    defineRoute({
      method: 'POST',
      path: '/oauth/register',
      summary: 'Registers an OAuth client (RFC 7591)',
      description:
        'Members of its metadata that are not known here are ignored. What nobody uses is forgotten.',
      permission: 'public',
      body: z.record(z.string(), z.unknown()),
      maxBodyBytes: 32 * 1024,
      response: clientShape,
      status: 201,
      errors: [400, 404, 429],
      handler: ({ body, clientIp }) =>
        answerOauth(
          async () => registeredView(await offered(deps).clients.register(body, { ip: clientIp })),
          201,
        ),
    }),
  ]
}

function offered({ clients, grants }: TokenRouteDeps): { clients: Clients; grants: Grants } {
  if (!clients || !grants) throw new GatewayError('not_found')
  return { clients, grants }
}

type Asking = Pick<Context, 'headers' | 'clientIp' | 'body'>

/** Who the client says it is, and what it shows for it: in the header or in the form, never in both. */
function proofOf(params: Params, authorization: string | undefined): ClientProof {
  const { client_id: clientId, client_secret: secret } = params
  if (authorization === undefined) {
    if (clientId === undefined) throw new OauthError('invalid_client', 'Send client_id.')
    return { clientId, secret, method: secret === undefined ? 'none' : 'client_secret_post' }
  }
  const basic = readBasic(authorization)
  if (!basic || secret !== undefined || (clientId !== undefined && clientId !== basic.id))
    throw new OauthError('invalid_client', 'Authenticate in one way, by HTTP Basic or in the form.')
  return { clientId: basic.id, secret: basic.secret, method: 'client_secret_basic' }
}

async function exchange(deps: TokenRouteDeps, { headers, clientIp, body }: Asking): Promise<TokenAnswer> {
  const { clients, grants } = offered(deps)
  const params = readParams(body)
  const type = params['grant_type']
  if (type !== 'authorization_code' && type !== 'refresh_token')
    throw new OauthError(
      'unsupported_grant_type',
      'The grant_type must be authorization_code or refresh_token.',
    )
  const client = await clients.authenticate(proofOf(params, headers.authorization), { ip: clientIp })
  if (!client.grantTypes.includes(type))
    throw new OauthError('unauthorized_client', 'The client did not register this grant_type.')
  const resource = params['resource']?.replace(/\/$/, '')
  if (type === 'authorization_code')
    return grants.exchange(params['code'] ?? '', {
      clientId: client.id,
      resource,
      redirectUri: params['redirect_uri'],
      verifier: params['code_verifier'],
      refreshable: client.grantTypes.includes('refresh_token'),
    })
  const scopes = params['scope']?.split(' ').filter(isScope)
  return grants.refresh(params['refresh_token'] ?? '', { clientId: client.id, resource, scopes })
}

/** A token that is not known, or not this client's, is as good as revoked (RFC 7009, section 2.2). */
async function revoke(deps: TokenRouteDeps, { headers, clientIp, body }: Asking): Promise<undefined> {
  const { clients, grants } = offered(deps)
  const params = readParams(body)
  const { token } = params
  const client = await clients.authenticate(proofOf(params, headers.authorization), { ip: clientIp })
  if (token === undefined) throw new OauthError('invalid_request', 'Send token.')
  const grantId = await findGrantId(deps, client, token)
  if (grantId !== undefined) await grants.revoke(grantId)
}

async function findGrantId(deps: TokenRouteDeps, client: Client, token: string): Promise<string | undefined> {
  const { grants } = offered(deps)
  const byRefresh = await grants.findByRefreshToken(token)
  const id = byRefresh?.id ?? (await deps.authenticator.authenticate(token))?.grantId
  const grant = byRefresh ?? (id === undefined ? undefined : await grants.find(id))
  return grant?.clientId === client.id ? grant.id : undefined
}

async function introspect(
  deps: TokenRouteDeps,
  { principal, body }: { principal: Principal; body: unknown },
): Promise<z.input<typeof introspectionShape>> {
  const { grants } = offered(deps)
  const { token } = readParams(body)
  if (token === undefined) throw new OauthError('invalid_request', 'Send token.')
  const found = await deps.authenticator.authenticate(token)
  const grant = found?.grantId === undefined ? undefined : await grants.find(found.grantId)
  if (!found || !grant) return { active: false }
  if (found.userId !== principal.userId && !may(principal, 'users:read')) return { active: false }
  return {
    active: true,
    scope: (found.scopes ?? []).join(' '),
    client_id: grant.clientId,
    username: found.username,
    sub: found.userId,
    aud: grant.resource,
    ...(found.expiresAtMs !== undefined && { exp: Math.floor(found.expiresAtMs / 1000) }),
    token_type: 'Bearer',
  }
}

function registeredView({ client, secret, issuedAtMs }: Registered): z.input<typeof clientShape> {
  return {
    client_id: client.id,
    ...(secret !== undefined && { client_secret: secret, client_secret_expires_at: 0 }),
    client_id_issued_at: Math.floor(issuedAtMs / 1000),
    client_name: client.name,
    redirect_uris: [...client.redirectUris],
    grant_types: [...client.grantTypes],
    response_types: ['code'],
    token_endpoint_auth_method: client.authMethod,
  }
}
