// Routes of grants: what a user consented to, and its end.
import { z } from 'zod'
import { GatewayError } from '../../../base/errors.ts'
import type { Principal } from '../../../identity/principal.ts'
import { scopeNames } from '../../../identity/scopes.ts'
import type { StoredGrant } from '../../../oauth/grant-store.ts'
import type { Grants } from '../../../oauth/grants.ts'
import { may } from '../../../policy/roles.ts'
import { pageOf, pageQuery } from '../page.ts'
import { defineRoute, type Route } from '../route.ts'
import { idParams, isoTime, pageById, readId, timeShape } from '../view.ts'

export interface GrantRouteDeps {
  /** Absent where the authorization server is off. */
  readonly grants?: Grants | undefined
}

const grantShape = z
  .strictObject({
    id: z.string(),
    userId: z.string(),
    clientId: z.string(),
    clientName: z.string().describe('As the client calls itself.'),
    redirectUri: z.string(),
    resource: z.string().describe('URL of the one MCP endpoint that the client may use.'),
    scopes: z.array(z.enum(scopeNames)),
    createdAt: timeShape,
    lastUsedAt: timeShape.optional().describe('When the client last got a token.'),
    expiresAt: timeShape,
  })
  .meta({ id: 'OauthGrant' })

const grantView = (grant: StoredGrant): z.input<typeof grantShape> => ({
  id: grant.id,
  userId: grant.user.id,
  clientId: grant.clientId,
  clientName: grant.clientName,
  redirectUri: grant.redirectUri,
  resource: grant.resource,
  scopes: [...grant.scopes],
  createdAt: isoTime(grant.createdAtMs),
  ...(grant.lastUsedAtMs !== undefined && { lastUsedAt: isoTime(grant.lastUsedAtMs) }),
  expiresAt: isoTime(grant.expiresAtMs),
})

/** `/oauth/grants` and `/oauth/grants/{id}`; who may manage keys manages these, since they too act in one's name. */
export function grantRoutes(deps: GrantRouteDeps): Route[] {
  const path = '/api/v1/oauth/grants'
  return [
    defineRoute({
      method: 'GET',
      path,
      summary: 'Lists the OAuth clients that you allowed to act for you, oldest first',
      permission: 'keys:manage',
      query: z.strictObject({
        ...pageQuery,
        user: z
          .string()
          .regex(/^(\*|usr_[0-9a-z]{26})$/, 'a user id, or *')
          .optional()
          .describe('For administrators: a user id, or `*` for everybody.'),
      }),
      response: pageOf(grantShape),
      errors: [403],
      handler: ({ principal, query }) => {
        const userId = listedUser(principal, query.user)
        return pageById(query, {
          fetch: ({ limit, id }) =>
            deps.grants?.list({ limit, afterId: id, ...(userId !== undefined && { userId }) }) ?? [],
          show: grantView,
        })
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: `${path}/{id}`,
      summary: 'Takes back what you allowed an OAuth client, at once',
      description: 'Administrators may take back what others allowed.',
      permission: 'keys:manage',
      params: idParams,
      errors: [403, 404],
      handler: async ({ principal, params }) => {
        const userId = may(principal, 'keys:manage-all') ? undefined : principal.userId
        const revoked = await deps.grants?.revoke(readId(params.id, 'ogr'), { userId })
        if (revoked !== true) throw new GatewayError('not_found')
        return undefined
      },
    }),
  ]
}

/** The user whose grants are listed: the caller, unless it asks for others and may see them; undefined is everybody. */
function listedUser(principal: Principal, user: string | undefined): string | undefined {
  if (user === undefined || user === principal.userId) return principal.userId
  if (!may(principal, 'keys:manage-all')) throw new GatewayError('forbidden')
  return user === '*' ? undefined : user
}
