// Routes of the OAuth clients that act for their user by themselves.
import { z } from 'zod'
import { GatewayError } from '../../../base/errors.ts'
import type { Principal } from '../../../identity/principal.ts'
import type { OwnedClient } from '../../../oauth/client-store.ts'
import { isPublicKey } from '../../../oauth/client.ts'
import type { Clients, Registered } from '../../../oauth/clients.ts'
import type { Grants } from '../../../oauth/grants.ts'
import { may } from '../../../policy/roles.ts'
import { pageOf, pageQuery } from '../page.ts'
import { defineRoute, type Route } from '../route.ts'
import { idParams, isoTime, pageById, readId, timeShape } from '../view.ts'

export interface ClientRouteDeps {
  /** Absent where the authorization server is off. */
  readonly clients?: Clients | undefined
  readonly grants?: Grants | undefined
}

const clientShape = z
  .strictObject({
    id: z.string().describe('The `client_id`.'),
    userId: z.string().describe('For whom it acts, and whose account pays.'),
    name: z.string(),
    authMethod: z.enum(['client_secret_basic', 'private_key_jwt']),
    createdAt: timeShape,
    lastUsedAt: timeShape.optional(),
  })
  .meta({ id: 'OwnClient' })

const newClientShape = clientShape
  .extend({ secret: z.string().optional().describe('The `client_secret`; shown this once.') })
  .meta({ id: 'NewOwnClient' })

const clientInput = z.strictObject({
  name: z
    .string()
    .min(1)
    .max(100)
    .regex(/^[^\p{C}\p{Zl}\p{Zp}]+$/u, 'printable characters only'),
  publicKeys: z
    .array(z.record(z.string(), z.unknown()).refine(isPublicKey, 'must be a public key as a JWK'))
    .min(1)
    .max(10)
    .optional()
    .describe('JWKs that it signs assertions with (`private_key_jwt`); without them it gets a secret.'),
})

const clientView = (client: OwnedClient): z.input<typeof clientShape> => ({
  id: client.id,
  userId: client.ownerId,
  name: client.name,
  authMethod: client.keys ? 'private_key_jwt' : 'client_secret_basic',
  createdAt: isoTime(client.createdAtMs),
  ...(client.lastUsedAtMs !== undefined && { lastUsedAt: isoTime(client.lastUsedAtMs) }),
})

/** `/oauth/clients` and `/oauth/clients/{id}`; who may manage keys manages these, since they too act in one's name. */
export function clientRoutes(deps: ClientRouteDeps): Route[] {
  const path = '/api/v1/oauth/clients'
  const permission = 'keys:manage'
  return [
    defineRoute({
      method: 'POST',
      path,
      summary:
        'Makes an OAuth client that acts for you by itself (client credentials); its secret is shown once',
      permission,
      body: clientInput,
      response: newClientShape,
      status: 201,
      errors: [403, 404, 422],
      handler: async ({ principal, body, setHeader }) => {
        const { name, publicKeys: keys } = body
        const made = await offered(deps).createOwned(principal.userId, { name, keys })
        setHeader('location', `${path}/${made.client.id}`)
        return newClientView(principal, made)
      },
    }),
    defineRoute({
      method: 'GET',
      path,
      summary: 'Lists the OAuth clients that act for you by themselves, oldest first',
      permission,
      query: z.strictObject(pageQuery),
      response: pageOf(clientShape),
      errors: [403],
      handler: ({ principal, query }) =>
        pageById(query, {
          fetch: ({ limit, id }) =>
            deps.clients?.listOwned({ limit, afterId: id, ownerId: principal.userId }) ?? [],
          show: clientView,
        }),
    }),
    defineRoute({
      method: 'DELETE',
      path: `${path}/{id}`,
      summary: 'Removes such a client and ends its tokens, at once',
      description: 'Administrators may remove the clients of others.',
      permission,
      params: idParams,
      errors: [403, 404],
      handler: async ({ principal, params }) => {
        const ownerId = may(principal, 'keys:manage-all') ? undefined : principal.userId
        const id = readId(params.id, 'ocl')
        await offered(deps).deleteOwned(id, ownerId)
        await deps.grants?.revokeOfClient(id)
        return undefined
      },
    }),
  ]
}

function offered({ clients }: ClientRouteDeps): Clients {
  if (!clients) throw new GatewayError('not_found')
  return clients
}

const newClientView = (
  { userId }: Principal,
  { client, secret, issuedAtMs }: Registered,
): z.input<typeof newClientShape> => ({
  ...clientView({ ...client, ownerId: userId, createdAtMs: issuedAtMs, lastUsedAtMs: undefined }),
  ...(secret !== undefined && { secret }),
})
