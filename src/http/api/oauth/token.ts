// Routes that OAuth clients call: tokens, their end, what a token is worth, and the registration of clients.
import { z } from 'zod'
import type { Authenticator } from '../../../identity/authenticate.ts'
import type { Principal } from '../../../identity/principal.ts'
import type { Client } from '../../../oauth/client.ts'
import type { Registered } from '../../../oauth/clients.ts'
import { OauthError } from '../../../oauth/oauth-error.ts'
import { may } from '../../../policy/roles.ts'
import { defineRoute, type Route } from '../route.ts'
import { clientOf, exchange, offered, type Asking, type ExchangeDeps } from './exchange.ts'
import { answerOauth, formShape, readParams } from './form.ts'

export interface TokenRouteDeps extends ExchangeDeps {
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

// Who the client is may stand in a header, and secrets come back: no answer is kept for whoever repeats a body.
const post = { method: 'POST', keyless: true, maxBodyBytes: 32 * 1024 } as const
const form = { ...post, form: true, body: formShape } as const

/** `/oauth/token`, `/oauth/revoke`, `/oauth/introspect` and `/oauth/register`. */
export function tokenRoutes(deps: TokenRouteDeps): Route[] {
  return [
    defineRoute({
      ...form,
      path: '/oauth/token',
      summary:
        'Exchanges a code, a refresh token, a client or an assertion for an access token (RFC 6749, RFC 7523)',
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
      audit: false,
      summary: 'Tells what an access token is worth (RFC 7662)',
      description:
        'For tokens of your own; administrators and auditors see those of all. Any other is not active.',
      permission: 'signed-in',
      response: introspectionShape,
      errors: [400],
      handler: (context) => answerOauth(async () => introspect(deps, context)),
    }),
    defineRoute({
      ...post,
      path: '/oauth/register',
      summary: 'Registers an OAuth client (RFC 7591)',
      description:
        'Members of its metadata that are not known here are ignored. What nobody uses is forgotten.',
      permission: 'public',
      body: z.record(z.string(), z.unknown()),
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

/** A token that is not known, or not this client's, is as good as revoked (RFC 7009, section 2.2). */
async function revoke(deps: TokenRouteDeps, asking: Asking): Promise<undefined> {
  const { grants } = offered(deps)
  const params = readParams(asking.body)
  const { token } = params
  const client = await clientOf(deps, params, asking)
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
