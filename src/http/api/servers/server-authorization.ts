// Routes of what a caller has let the gateway do for them at a server: how it stands, the way there, and taking it back.
import { z } from 'zod'
import { GatewayError } from '../../../base/errors.ts'
import type { Principal } from '../../../identity/principal.ts'
import type { Registry } from '../../../registry/servers.ts'
import type { Consents } from '../../../upstreams/oauth/consents.ts'
import {
  findConsentServer,
  type ConsentServer,
  type UserTokens,
} from '../../../upstreams/oauth/user-tokens.ts'
import { defineRoute, type Route } from '../route.ts'
import { getUsable } from './server-access.ts'
import { idParams, isoTime, timeShape } from '../view.ts'

export interface ServerAuthorizationDeps {
  readonly registry: Registry
  readonly userTokens: Pick<UserTokens, 'find' | 'forget'>
  readonly consents: Pick<Consents, 'linkFor'>
}

const stateShape = z
  .strictObject({
    authorized: z.boolean().describe('Whether you have let the gateway use this server as you.'),
    issuer: z.string().optional().describe('Who gave the token.'),
    since: timeShape.optional(),
    expiresAt: timeShape.optional().describe('Of the token in hand; it is renewed where that is possible.'),
  })
  .meta({ id: 'ServerAuthorization' })

const linkShape = z
  .strictObject({ url: z.string().describe('To be opened by you: you log in there. Good for half an hour.') })
  .meta({ id: 'AuthorizationLink' })

const path = '/api/v1/servers/{id}/authorization'

/** `/servers/{id}/authorization`; each caller sees and changes only what is their own. */
export function serverAuthorizationRoutes({
  registry,
  userTokens,
  consents,
}: ServerAuthorizationDeps): Route[] {
  const common = { path, permission: 'signed-in', params: idParams, errors: [403, 404, 422] } as const
  const serverOf = (id: string, principal: Principal): ConsentServer => {
    const server = findConsentServer(getUsable(registry, id, principal))
    if (server) return server
    throw new GatewayError('unprocessable', { detail: 'This server does not want a token of each user.' })
  }
  return [
    defineRoute({
      ...common,
      method: 'GET',
      summary: 'Says whether you have let the gateway use a server as you',
      response: stateShape,
      handler: ({ principal, params }) => {
        const grant = userTokens.find(serverOf(params.id, principal), principal.userId)
        if (!grant) return { authorized: false }
        const { issuer, createdAtMs, expiresAtMs } = grant
        return {
          authorized: true,
          issuer,
          since: isoTime(createdAtMs),
          ...(expiresAtMs !== undefined && { expiresAt: isoTime(expiresAtMs) }),
        }
      },
    }),
    defineRoute({
      ...common,
      method: 'POST',
      audit: 'servers.authorization.ask',
      summary: 'Makes a link at which you let the gateway use a server as you',
      body: z.strictObject({}).optional(),
      keyless: true,
      response: linkShape,
      handler: ({ principal, params }) => ({
        url: consents.linkFor(serverOf(params.id, principal).id, principal.userId),
      }),
    }),
    defineRoute({
      ...common,
      method: 'DELETE',
      summary: 'Takes that back: the token is forgotten, and revoked where it came from',
      handler: async ({ principal, params }) => {
        const found = await userTokens.forget(serverOf(params.id, principal), principal.userId)
        if (!found) throw new GatewayError('not_found')
        return undefined
      },
    }),
  ]
}
