// Routes that ask a server itself: whether it answers, and which tools it has at which price.
import { z } from 'zod'
import { GatewayError } from '../../../base/errors.ts'
import type { Principal } from '../../../identity/principal.ts'
import { outcomes } from '../../../pricing/price.ts'
import { priceInput } from '../../../pricing/rule-input.ts'
import type { AccessRules } from '../../../policy/access-rules/access-rules.ts'
import { holdReasons } from '../../../policy/definitions/definition.ts'
import type { Definitions } from '../../../policy/definitions/definitions.ts'
import { flagsOf } from '../../../policy/definitions/flags.ts'
import type { Server } from '../../../registry/server.ts'
import type { Registry } from '../../../registry/servers.ts'
import type { PriceTags } from '../../../sessions/price-tags.ts'
import type { Catalogues } from '../../../upstreams/catalogue.ts'
import type { Handshake } from '../../../upstreams/handshake.ts'
import { decodeCursor, makePage, pageOf, pageQuery } from '../page.ts'
import { defineRoute, type Route } from '../route.ts'
import { getManaged, getSeen } from './server-access.ts'
import { flagsShape, seesInside } from './server-shapes.ts'
import { idParams } from '../view.ts'

export interface ServerCatalogueDeps {
  readonly registry: Registry
  readonly catalogues: Pick<Catalogues, 'get' | 'test'>
  readonly priceTags: PriceTags
  readonly accessRules: Pick<AccessRules, 'isPermitted'>
  readonly definitions: Pick<Definitions, 'findHold'>
}

const object = z.record(z.string(), z.unknown())
const toolShape = z.looseObject({
  name: z.string(),
  title: z.string().optional(),
  description: z.string().optional(),
  inputSchema: object.optional(),
  annotations: object.optional(),
})

const handshakeShape = z
  .strictObject({
    ok: z.boolean(),
    era: z.enum(['legacy', 'modern']).optional(),
    protocolVersion: z.string().optional(),
    serverInfo: object.optional(),
    capabilities: object.optional(),
    tools: z.array(toolShape),
    latencyMs: z.number().describe('Until the server had answered the greeting.'),
    error: z.strictObject({ stage: z.string(), message: z.string() }).optional(),
  })
  .meta({ id: 'Handshake' })

const toolPriceShape = z
  .strictObject({
    ruleId: z.string(),
    version: z.int(),
    name: z.string().describe("The rule's name."),
    currency: z.string(),
    price: priceInput,
    billOn: z.array(z.enum(outcomes)).describe('Outcomes that are charged.'),
    text: z.string().describe('The price in one sentence.'),
  })
  .nullable()
  .describe('What a call of yours costs now; null where no rule prices it.')

const pricedToolShape = toolShape
  .extend({
    price: toolPriceShape,
    flags: flagsShape,
    held: z
      .enum(holdReasons)
      .nullable()
      .describe('Why it cannot be called; see `definitions` of the server.'),
  })
  .meta({ id: 'PricedTool' })

/** `/servers/{id}/test-connection` and `/servers/{id}/tools`. */
export function serverCatalogueRoutes(deps: ServerCatalogueDeps): Route[] {
  return [
    defineRoute({
      method: 'POST',
      path: '/api/v1/servers/{id}/test-connection',
      summary: 'Shakes hands with a server, now',
      description: 'What the server gets wrong is in `error`; the answer is 200 all the same.',
      permission: 'signed-in',
      params: idParams,
      response: handshakeShape,
      errors: [403, 404],
      handler: async ({ principal, params }) => {
        const server = getManaged(deps.registry, params.id, principal)
        return handshakeView(await deps.catalogues.test(server, principal))
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/v1/servers/{id}/tools',
      summary: 'Lists the tools of a server with their prices for you',
      permission: 'signed-in',
      params: idParams,
      query: z.strictObject(pageQuery),
      response: pageOf(pricedToolShape),
      errors: [404, 502, 503],
      handler: async ({ principal, params, query }) => {
        const server = getSeen(deps.registry, params.id, principal)
        const from = Number(decodeCursor(query.cursor, 1)?.[0] ?? 0)
        const tools = await listTools(deps, server, principal)
        const around = { tools: tools.map(({ name }) => name), servers: otherServers(deps.registry, server) }
        const rows = tools.map((tool, place) => ({ tool, place })).slice(from, from + query.limit + 1)
        return makePage(rows, query.limit, {
          positionOf: ({ place }) => [place + 1],
          show: ({ tool }) => ({
            ...tool,
            price: priceOf(deps, { server, tool: tool.name, principal }),
            flags: flagsOf({ ...tool }, around),
            held: deps.definitions.findHold(server, tool.name) ?? null,
          }),
        })
      },
    }),
  ]
}

function handshakeView(handshake: Handshake): z.input<typeof handshakeShape> {
  const { tools, latencyMs, ...rest } = handshake
  return { ...rest, tools: [...tools], latencyMs: Math.round(latencyMs * 100) / 100 }
}

async function listTools(
  deps: ServerCatalogueDeps,
  server: Server,
  principal: Principal,
): Promise<Handshake['tools']> {
  if (server.status === 'inactive') throw new GatewayError('server_inactive')
  const { ok, tools, error } = await deps.catalogues.get(server, principal)
  if (ok) {
    const isShown = ({ name: item }: { readonly name: string }): boolean =>
      deps.accessRules.isPermitted(principal, { server: server.name, kind: 'tool', item }) &&
      deps.definitions.findHold(server, item) === undefined
    return seesInside(server, principal) ? tools : tools.filter(isShown)
  }
  const detail = seesInside(server, principal) ? error?.message : undefined
  throw new GatewayError('upstream_unavailable', detail === undefined ? {} : { detail })
}

const otherServers = (registry: Registry, { id }: Server): string[] =>
  registry.all().flatMap((other) => (other.id === id ? [] : other.name))

/** The price that the relay would choose for this call, if it arrived now over Streamable HTTP. */
function priceOf(
  { priceTags }: ServerCatalogueDeps,
  { principal, ...call }: { server: Server; tool: string; principal: Principal },
): z.input<typeof toolPriceShape> {
  const tag = priceTags.of(principal, { ...call, transport: 'streamable-http' })
  if (!tag.priced) return null
  const { rule, currency, price, billOn, text } = tag
  return {
    ruleId: rule.id,
    version: rule.version,
    name: rule.name,
    currency,
    price,
    billOn: [...billOn],
    text,
  }
}
