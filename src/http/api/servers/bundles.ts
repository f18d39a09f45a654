// Routes of bundles: one endpoint over several servers, made, read, changed and removed.
import { z } from 'zod'
import { GatewayError } from '../../../base/errors.ts'
import type { Principal } from '../../../identity/principal.ts'
import { mayManage, maySee } from '../../../policy/access.ts'
import { may } from '../../../policy/roles.ts'
import type { Bundle } from '../../../registry/bundle.ts'
import { bundleInput } from '../../../registry/bundle-input.ts'
import { aggregateServer } from '../../../registry/bundle-server.ts'
import type { Bundles } from '../../../registry/bundles.ts'
import { accessLevels } from '../../../registry/server.ts'
import { pageOf, pageQuery } from '../page.ts'
import { defineRoute, type Route } from '../route.ts'
import { idParams, isoTime, pageById, timeShape } from '../view.ts'

export interface BundleRouteDeps {
  readonly bundles: Bundles
  /** Ends all open sessions of a bundle that was removed. */
  closeSessions(bundleId: string): Promise<void>
}

const insider = 'Only for those who may manage the bundle, and auditors.'

const bundleShape = z
  .strictObject({
    id: z.string(),
    name: z.string(),
    description: z.string().optional(),
    access: z.enum(accessLevels),
    members: z.array(
      z.strictObject({
        server: z.string().describe("The server's name."),
        include: z.array(z.string()).optional().describe(insider),
        exclude: z.array(z.string()).optional().describe(insider),
        rename: z.record(z.string(), z.string()).optional().describe(insider),
      }),
    ),
    createdAt: timeShape,
    updatedAt: timeShape,
    ownerId: z.string().optional().describe(insider),
    account: z.string().optional().describe(`Pays for calls without a credential. ${insider}`),
    revision: z.int().optional().describe(insider),
  })
  .meta({ id: 'Bundle' })

/** Any member of a bundle, or null; the registry reads what comes of it (RFC 7396). */
const bundlePatch = z
  .strictObject(
    Object.fromEntries(Object.keys(bundleInput.shape).map((name) => [name, z.unknown().optional()])),
  )
  .describe('A JSON merge patch (RFC 7396) of the body of `POST /bundles`: null removes, lists are replaced.')

const path = '/api/v1/bundles'
const one = `${path}/{id}`

/** `/bundles` and `/bundles/{id}`, where `{id}` is an id or a name. */
export function bundleRoutes(deps: BundleRouteDeps): Route[] {
  return [...collectionRoutes(deps), ...itemRoutes(deps)]
}

function collectionRoutes({ bundles }: BundleRouteDeps): Route[] {
  return [
    defineRoute({
      method: 'POST',
      path,
      summary: 'Makes a bundle: one endpoint over several servers',
      permission: 'servers:register',
      body: bundleInput,
      response: bundleShape,
      status: 201,
      errors: [403, 409, 422],
      handler: async ({ principal, body, setHeader }) => {
        checkClaims(principal, body)
        const bundle = await bundles.create(body, {
          ownerId: principal.userId,
          maySee: (server) => maySee(server, principal),
        })
        setHeader('location', `${path}/${bundle.id}`)
        return showBundle(bundles, bundle, principal)
      },
    }),
    defineRoute({
      method: 'GET',
      path,
      summary: 'Lists the bundles that you may use, oldest first',
      permission: 'signed-in',
      query: z.strictObject(pageQuery),
      response: pageOf(bundleShape),
      handler: ({ principal, query }) =>
        pageById(query, {
          fetch: ({ limit, id }) =>
            bundles.list({
              limit,
              after: id,
              visible: (bundle) => maySee(aggregateServer(bundle), principal),
            }),
          show: (bundle) => showBundle(bundles, bundle, principal),
        }),
    }),
  ]
}

function itemRoutes(deps: BundleRouteDeps): Route[] {
  const { bundles } = deps
  return [
    defineRoute({
      method: 'GET',
      path: one,
      summary: 'Shows a bundle',
      permission: 'signed-in',
      params: idParams,
      response: bundleShape,
      errors: [404],
      handler: ({ principal, params }) =>
        showBundle(bundles, getSeen(bundles, params.id, principal), principal),
    }),
    defineRoute({
      method: 'PATCH',
      path: one,
      summary: 'Changes a bundle',
      permission: 'signed-in',
      params: idParams,
      body: bundlePatch,
      response: bundleShape,
      errors: [403, 404, 409, 422],
      handler: async ({ principal, params, body }) => {
        const { id, publicAccountId } = getManaged(bundles, params.id, principal)
        checkClaims(principal, body, publicAccountId)
        const changed = await bundles.patch(id, body, { maySee: (server) => maySee(server, principal) })
        return showBundle(bundles, changed, principal)
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: one,
      summary: 'Removes a bundle and closes its sessions; its servers and its usage stay',
      permission: 'signed-in',
      params: idParams,
      errors: [403, 404],
      handler: async ({ principal, params }) => {
        const { id } = getManaged(bundles, params.id, principal)
        await bundles.remove(id)
        await deps.closeSessions(id)
        return undefined
      },
    }),
  ]
}

/** A bundle as this caller may see it: of its members those that the caller may see by themselves. */
function showBundle(bundles: Bundles, bundle: Bundle, principal: Principal): z.input<typeof bundleShape> {
  const { id, name, description, access, ownerId, publicAccountId, revision } = bundle
  const seesInside = mayManage(aggregateServer(bundle), principal) || may(principal, 'servers:read-all')
  const members = bundles.membersOf(bundle)
  return {
    id,
    name,
    ...(description !== undefined && { description }),
    access,
    members: members
      .filter(({ server }) => seesInside || maySee(server, principal))
      .map(({ server, include, exclude, rename }) => ({
        server: server.name,
        ...(seesInside && include && { include: [...include] }),
        ...(seesInside && exclude && { exclude: [...exclude] }),
        ...(seesInside && rename && { rename }),
      })),
    createdAt: isoTime(bundle.createdAtMs),
    updatedAt: isoTime(bundle.updatedAtMs),
    ...(seesInside && { ownerId, revision }),
    ...(seesInside && publicAccountId !== undefined && { account: publicAccountId }),
  }
}

/** The bundle with this id or name; `not_found` where there is none or the caller may not know of it. */
function getSeen(bundles: Bundles, idOrName: string, principal: Principal): Bundle {
  const bundle = bundles.find(idOrName)
  if (!bundle || !maySee(aggregateServer(bundle), principal)) throw new GatewayError('not_found')
  return bundle
}

/** As `getSeen`, and `forbidden` where the caller sees the bundle but may not manage it. */
function getManaged(bundles: Bundles, idOrName: string, principal: Principal): Bundle {
  const bundle = getSeen(bundles, idOrName, principal)
  if (!mayManage(aggregateServer(bundle), principal))
    throw new GatewayError('forbidden', { detail: 'This bundle is not yours to manage; ask its owner.' })
  return bundle
}

/** As for servers: no name beyond the key that it comes with, and nobody else's account. */
function checkClaims(
  principal: Principal,
  { name, account }: { readonly name?: unknown; readonly account?: unknown },
  presentAccount?: string,
): void {
  if (typeof name === 'string' && principal.servers && !principal.servers.includes(name))
    throw new GatewayError('forbidden', { detail: 'This key is limited to other servers.' })
  if (typeof account !== 'string' || account === presentAccount || account === principal.accountId) return
  if (!may(principal, 'accounts:manage'))
    throw new GatewayError('forbidden', { detail: 'Only your own account can pay for a bundle of yours.' })
}
