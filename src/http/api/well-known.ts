// Documents at well-known addresses: our signing keys, what an MCP endpoint wants of its callers, and who gives it to them.
import { z } from 'zod'
import { GatewayError } from '../../base/errors.ts'
import { scopeNames } from '../../identity/scopes.ts'
import type { Tokens } from '../../identity/tokens.ts'
import { authMethods, grantTypes } from '../../oauth/client.ts'
import { issuerAlgorithms } from '../../oauth/issuers/issuer-terms.ts'
import { defineRoute, type Context, type Route } from './route.ts'

export interface WellKnownRouteDeps {
  readonly tokens: Pick<Tokens, 'jwks'>
  publicUrl(): string
  /** Path of the public URL, without a slash at its end; absent where it has none. */
  readonly publicPath?: string
  /** What the authorization server takes; absent where it is off. */
  readonly authorizationServer?: AuthorizationServerFeatures | undefined
  /** Other issuers whose tokens are taken. */
  readonly issuers?: { readonly names: readonly string[] } | undefined
}

export interface AuthorizationServerFeatures {
  readonly registration: boolean
  readonly metadataDocuments: boolean
  /** Whether some issuer's identity assertions are taken. */
  readonly identityAssertions: boolean
}

const jwksShape = z
  .strictObject({
    keys: z.array(
      z.strictObject({
        kty: z.literal('OKP'),
        crv: z.literal('Ed25519'),
        x: z.string(),
        kid: z.string(),
        alg: z.literal('EdDSA'),
        use: z.literal('sig'),
      }),
    ),
  })
  .meta({ id: 'Jwks' })

const resourceShape = z
  .strictObject({
    resource: z.string().describe('URL of the MCP endpoint.'),
    authorization_servers: z.array(z.string()).optional().describe('Issuers whose tokens it takes.'),
    scopes_supported: z.array(z.string()).optional(),
    bearer_methods_supported: z.array(z.literal('header')),
    resource_name: z.string(),
  })
  .meta({ id: 'ProtectedResource' })

const serverShape = z
  .strictObject({
    issuer: z.string(),
    authorization_endpoint: z.string(),
    token_endpoint: z.string(),
    registration_endpoint: z.string().optional(),
    revocation_endpoint: z.string(),
    introspection_endpoint: z.string(),
    jwks_uri: z.string(),
    scopes_supported: z.array(z.string()),
    response_types_supported: z.array(z.literal('code')),
    response_modes_supported: z.array(z.literal('query')),
    grant_types_supported: z.array(z.string()),
    authorization_grant_profiles_supported: z.array(z.string()).optional(),
    token_endpoint_auth_methods_supported: z.array(z.string()),
    token_endpoint_auth_signing_alg_values_supported: z.array(z.string()),
    revocation_endpoint_auth_methods_supported: z.array(z.string()),
    code_challenge_methods_supported: z.array(z.literal('S256')),
    authorization_response_iss_parameter_supported: z.literal(true),
    client_id_metadata_document_supported: z.boolean(),
  })
  .meta({ id: 'AuthorizationServer' })

const endpointName = /^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$/

/** `/.well-known/…`; for everybody, and for the pages of every origin: nothing here depends on who asks. */
export function wellKnownRoutes(deps: WellKnownRouteDeps): Route[] {
  return [...resourceMetadataRoutes(deps), ...serverMetadataRoutes(deps)]
}

/** As the extension for enterprise-managed authorization names it. */
const idJagProfile = 'urn:ietf:params:oauth:grant-profile:id-jag'

const common = { method: 'GET', permission: 'public' } as const
const toEverybody = ({ setHeader }: Pick<Context, 'setHeader'>): void =>
  setHeader('access-control-allow-origin', '*')

/** Our own issuer is named first: clients take the first one that they can use. */
function issuersOf(deps: WellKnownRouteDeps): Partial<z.input<typeof resourceShape>> {
  const names = [...(deps.authorizationServer ? [deps.publicUrl()] : []), ...(deps.issuers?.names ?? [])]
  return names.length === 0 ? {} : { authorization_servers: names, scopes_supported: scopeNames }
}

function resourceMetadataRoutes(deps: WellKnownRouteDeps): Route[] {
  const metadata = (path: string): z.input<typeof resourceShape> => ({
    resource: `${deps.publicUrl()}${path}`,
    ...issuersOf(deps),
    bearer_methods_supported: ['header'],
    resource_name: 'Tollbridge',
  })
  const path = '/.well-known/oauth-protected-resource'
  // The well-known part stands before the resource's path (RFC 9728, section 3.1), also before a proxy's part of it. Who
  // guesses it from the URL of an endpoint's event stream is answered for the endpoint.
  const spellings = (rest: string): string[] =>
    [deps.publicPath ?? '', ''].flatMap((base) =>
      ['', '/sse'].map((leg) => `${path}${base}/mcp${rest}${leg}`),
    )
  const others = (rest: string): string[] => [
    ...new Set(spellings(rest).filter((each) => each !== `${path}/mcp${rest}` && each !== `${path}/mcp/sse`)),
  ]
  return [
    defineRoute({
      ...common,
      path: `${path}/mcp`,
      aliases: others(''),
      summary: 'Metadata of the MCP endpoint for all servers (RFC 9728)',
      response: resourceShape,
      handler: (context) => {
        toEverybody(context)
        return metadata('/mcp')
      },
    }),
    defineRoute({
      ...common,
      path: `${path}/mcp/{name}`,
      aliases: others('/{name}'),
      summary: 'Metadata of an MCP endpoint (RFC 9728)',
      description:
        'Every name that a server could have gets the same answer, whether there is such a server or not.',
      params: z.strictObject({ name: z.string() }),
      response: resourceShape,
      errors: [404],
      handler: (context) => {
        const { name } = context.params
        if (!endpointName.test(name)) throw new GatewayError('not_found')
        toEverybody(context)
        // As in the paths of the endpoints themselves, this is a part of plain /mcp and no name.
        return metadata(name === 'sse' ? '/mcp' : `/mcp/${name}`)
      },
    }),
  ]
}

function serverMetadataRoutes(deps: WellKnownRouteDeps): Route[] {
  const path = '/.well-known/oauth-authorization-server'
  return [
    defineRoute({
      ...common,
      path: '/.well-known/jwks.json',
      summary: 'The public keys of our access tokens (RFC 7517)',
      response: jwksShape,
      handler: (context) => {
        toEverybody(context)
        return { keys: [...deps.tokens.jwks.keys] }
      },
    }),
    defineRoute({
      ...common,
      path,
      aliases: deps.publicPath ? [`${path}${deps.publicPath}`] : [],
      summary: 'Metadata of the authorization server (RFC 8414)',
      response: serverShape,
      errors: [404],
      handler: (context) => {
        if (!deps.authorizationServer) throw new GatewayError('not_found')
        toEverybody(context)
        return serverMetadata(deps.publicUrl(), deps.authorizationServer)
      },
    }),
  ]
}

function serverMetadata(issuer: string, features: AuthorizationServerFeatures): z.input<typeof serverShape> {
  const base = issuer.replace(/\/$/, '')
  return {
    issuer,
    authorization_endpoint: `${base}/oauth/authorize`,
    token_endpoint: `${base}/oauth/token`,
    ...(features.registration && { registration_endpoint: `${base}/oauth/register` }),
    revocation_endpoint: `${base}/oauth/revoke`,
    introspection_endpoint: `${base}/oauth/introspect`,
    jwks_uri: `${base}/.well-known/jwks.json`,
    scopes_supported: scopeNames,
    response_types_supported: ['code'],
    response_modes_supported: ['query'],
    grant_types_supported: [...grantTypes, 'client_credentials'],
    ...(features.identityAssertions && { authorization_grant_profiles_supported: [idJagProfile] }),
    token_endpoint_auth_methods_supported: [...authMethods],
    token_endpoint_auth_signing_alg_values_supported: [...issuerAlgorithms],
    revocation_endpoint_auth_methods_supported: [...authMethods],
    code_challenge_methods_supported: ['S256'],
    authorization_response_iss_parameter_supported: true,
    client_id_metadata_document_supported: features.metadataDocuments,
  }
}
