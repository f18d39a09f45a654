// Documents at well-known addresses: our signing keys, and what an MCP endpoint wants of those who call it.
import { z } from 'zod'
import { GatewayError } from '../../base/errors.ts'
import type { Tokens } from '../../identity/tokens.ts'
import { defineRoute, type Route } from './route.ts'

export interface WellKnownRouteDeps {
  readonly tokens: Pick<Tokens, 'jwks'>
  publicUrl(): string
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
    bearer_methods_supported: z.array(z.literal('header')),
    resource_name: z.string(),
  })
  .meta({ id: 'ProtectedResource' })

const endpointName = /^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$/

/** `/.well-known/…`; for everybody. */
export function wellKnownRoutes(deps: WellKnownRouteDeps): Route[] {
  const metadata = (path: string): z.input<typeof resourceShape> => ({
    resource: `${deps.publicUrl()}${path}`,
    bearer_methods_supported: ['header'],
    resource_name: 'Tollbridge',
  })
  const resourcePath = '/.well-known/oauth-protected-resource/mcp'
  return [
    defineRoute({
      method: 'GET',
      path: '/.well-known/jwks.json',
      summary: 'The public keys of our access tokens (RFC 7517)',
      permission: 'public',
      response: jwksShape,
      handler: () => ({ keys: [...deps.tokens.jwks.keys] }),
    }),
    defineRoute({
      method: 'GET',
      path: resourcePath,
      summary: 'Metadata of the MCP endpoint for all servers (RFC 9728)',
      permission: 'public',
      response: resourceShape,
      handler: () => metadata('/mcp'),
    }),
    defineRoute({
      method: 'GET',
      path: `${resourcePath}/{name}`,
      summary: 'Metadata of an MCP endpoint (RFC 9728)',
      description:
        'Every name that a server could have gets the same answer, whether there is such a server or not.',
      permission: 'public',
      params: z.strictObject({ name: z.string() }),
      response: resourceShape,
      errors: [404],
      handler: ({ params }) => {
        if (!endpointName.test(params.name)) throw new GatewayError('not_found')
        return metadata(`/mcp/${params.name}`)
      },
    }),
  ]
}
