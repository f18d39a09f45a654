// Routes of servers: registering, reading, changing, switching and removing them.
import { z } from 'zod'
import { GatewayError } from '../../../base/errors.ts'
import type { Principal } from '../../../identity/principal.ts'
import { maySee } from '../../../policy/access.ts'
import { may } from '../../../policy/roles.ts'
import type { SeenEras } from '../../../upstreams/seen-eras.ts'
import { serverInput } from '../../../registry/server-input.ts'
import { pageOf, pageQuery } from '../page.ts'
import { defineRoute, type Route } from '../route.ts'
import { getManaged, getSeen } from './server-access.ts'
import { serverCatalogueRoutes, type ServerCatalogueDeps } from './server-catalogue.ts'
import { serverShape, serverStatusShape, showServer, showStatus } from './server-shapes.ts'
import { idParams, pageById } from '../view.ts'

export interface ServerRouteDeps extends ServerCatalogueDeps {
  readonly seenEras: Pick<SeenEras, 'of'>
  /** Ends all open sessions of a server that was removed. */
  closeSessions(serverId: string): Promise<void>
}

/** Any member of a registration, in part or null; the registry reads what comes of it (RFC 7396). */
const serverPatch = z
  .strictObject(
    Object.fromEntries(Object.keys(serverInput.shape).map((name) => [name, z.unknown().optional()])),
  )
  .describe('A JSON merge patch (RFC 7396) of the body of `POST /servers`: null removes, objects merge.')

const statusInput = z.strictObject({ status: z.enum(['active', 'inactive']) })

const path = '/api/v1/servers'
const one = `${path}/{id}`

/** `/servers` and `/servers/{id}`, where `{id}` is an id or a name. */
export function serverRoutes(deps: ServerRouteDeps): Route[] {
  return [
    ...collectionRoutes(deps),
    ...itemRoutes(deps),
    ...statusRoutes(deps),
    ...serverCatalogueRoutes(deps),
  ]
}

function collectionRoutes(deps: ServerRouteDeps): Route[] {
  return [
    defineRoute({
      method: 'POST',
      path,
      summary: 'Registers an MCP server',
      permission: 'servers:register',
      body: serverInput,
      response: serverShape,
      status: 201,
      errors: [403, 409, 422],
      handler: async ({ principal, body, setHeader }) => {
        checkClaims(principal, body)
        const server = await deps.registry.create(body, {
          ownerId: principal.userId,
          allowStdio: may(principal, 'servers:stdio'),
        })
        setHeader('location', `${path}/${server.id}`)
        return showServer(server, principal, deps.seenEras)
      },
    }),
    defineRoute({
      method: 'GET',
      path,
      summary: 'Lists the servers that you may use, oldest first',
      permission: 'signed-in',
      query: z.strictObject(pageQuery),
      response: pageOf(serverShape),
      handler: ({ principal, query }) =>
        pageById(query, {
          fetch: ({ limit, id }) =>
            deps.registry.list({
              limit,
              cursor: id ?? null,
              visible: (server) => maySee(server, principal),
            }).items,
          show: (server) => showServer(server, principal, deps.seenEras),
        }),
    }),
  ]
}

function itemRoutes(deps: ServerRouteDeps): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: one,
      summary: 'Shows a server',
      permission: 'signed-in',
      params: idParams,
      response: serverShape,
      errors: [404],
      handler: ({ principal, params }) =>
        showServer(getSeen(deps.registry, params.id, principal), principal, deps.seenEras),
    }),
    defineRoute({
      method: 'PATCH',
      path: one,
      summary: 'Changes a server',
      permission: 'signed-in',
      params: idParams,
      body: serverPatch,
      response: serverShape,
      errors: [403, 404, 409, 422],
      handler: async ({ principal, params, body }) => {
        const server = getManaged(deps.registry, params.id, principal)
        checkClaims(principal, body, server.publicAccountId)
        const allowStdio = may(principal, 'servers:stdio')
        const patched = await deps.registry.patch(server.id, body, { allowStdio })
        return showServer(patched, principal, deps.seenEras)
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: one,
      summary: 'Removes a server and closes its sessions; its usage stays',
      permission: 'signed-in',
      params: idParams,
      errors: [403, 404],
      handler: async ({ principal, params }) => {
        const { id } = getManaged(deps.registry, params.id, principal)
        await deps.registry.remove(id)
        await deps.closeSessions(id)
        return undefined
      },
    }),
  ]
}

function statusRoutes(deps: ServerRouteDeps): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: `${one}/status`,
      summary: 'Shows how a server is doing',
      permission: 'signed-in',
      params: idParams,
      response: serverStatusShape,
      errors: [404],
      handler: ({ principal, params }) => showStatus(getSeen(deps.registry, params.id, principal), principal),
    }),
    defineRoute({
      method: 'PUT',
      path: `${one}/status`,
      summary: 'Switches a server on or off; an inactive server refuses calls',
      permission: 'signed-in',
      params: idParams,
      body: statusInput,
      response: serverStatusShape,
      errors: [403, 404],
      handler: async ({ principal, params, body }) => {
        const { id } = getManaged(deps.registry, params.id, principal)
        return showStatus(await deps.registry.setStatus(id, body.status), principal)
      },
    }),
  ]
}

/**
 * What a registration may not claim: a name beyond the key that it comes with, or that somebody else's account pays
 * for calls without a credential. An account that stands there already may stay.
 */
function checkClaims(
  principal: Principal,
  claims: { readonly name?: unknown; readonly account?: unknown },
  presentAccount?: string,
): void {
  const { name, account } = claims
  if (typeof name === 'string' && principal.servers && !principal.servers.includes(name))
    throw new GatewayError('forbidden', { detail: 'This key is limited to other servers.' })
  if (typeof account !== 'string' || account === presentAccount || account === principal.accountId) return
  if (!may(principal, 'accounts:manage'))
    throw new GatewayError('forbidden', { detail: 'Only your own account can pay for a server of yours.' })
}
