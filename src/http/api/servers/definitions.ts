// Routes of a server's tool definitions: what is held back and why, what has changed, and approving it.
import { z } from 'zod'
import { GatewayError } from '../../../base/errors.ts'
import { maySee } from '../../../policy/access.ts'
import { holdReasons, type SeenDefinition } from '../../../policy/definitions/definition.ts'
import { changesBetween } from '../../../policy/definitions/changes.ts'
import type { Definitions, ToolState } from '../../../policy/definitions/definitions.ts'
import { flagsOf, type Definition } from '../../../policy/definitions/flags.ts'
import type { Registry } from '../../../registry/servers.ts'
import { defineRoute, type Route } from '../route.ts'
import { getManaged, getSeen } from './server-access.ts'
import { flagsShape, seesInside } from './server-shapes.ts'
import { idParams, isoTime, timeShape } from '../view.ts'

export interface DefinitionRouteDeps {
  readonly registry: Registry
  readonly definitions: Pick<Definitions, 'list' | 'countHeld' | 'approve' | 'withdraw'>
}

const versionShape = z.strictObject({
  hash: z.string().describe('SHA-256 of the canonical JSON, in hex.'),
  at: timeShape.describe('When it was approved, or began to wait.'),
  by: z.string().optional().describe('The user who approved or withdrew it; absent where it was seen first.'),
  definition: z
    .record(z.string(), z.unknown())
    .nullable()
    .describe('As the server lists it; null where it is larger than what is kept.'),
})

const stateShape = z
  .strictObject({
    tool: z.string(),
    held: z
      .enum(holdReasons)
      .nullable()
      .describe('Why it is in no list and cannot be called; null where it is not held back.'),
    approved: versionShape.nullable().describe('The definition that was approved last.'),
    waiting: versionShape
      .nullable()
      .describe('What waits for approval. Null with `held` set: too large ever to be approved.'),
    changes: z
      .array(
        z.strictObject({ at: z.string(), before: z.unknown().optional(), after: z.unknown().optional() }),
      )
      .describe('What waits compared with what was approved; `at` is a JSON pointer. At most 100.'),
    flags: flagsShape,
  })
  .meta({ id: 'ToolDefinition' })

const statesShape = z.strictObject({ items: z.array(stateShape), nextCursor: z.null() })

const toolName = z.string().min(1).max(256)
const approvalBody = z.strictObject({
  tools: z
    .array(
      z.strictObject({
        tool: toolName,
        hash: z
          .string()
          .regex(/^[0-9a-f]{64}$/, 'must be the hash that was shown')
          .describe('Of what was looked at, so that nothing else is approved.'),
      }),
    )
    .min(1)
    .max(1000),
})
const withdrawalBody = z.strictObject({ tools: z.array(toolName).min(1).max(1000) })

const heldShape = z.strictObject({
  items: z.array(z.strictObject({ serverId: z.string(), server: z.string(), held: z.int() })),
  nextCursor: z.null(),
})

const path = '/api/v1/servers/{id}/definitions'

/** `/definitions`, `/servers/{id}/definitions`, `…/approve` and `…/withdraw`. */
export function definitionRoutes({ registry, definitions }: DefinitionRouteDeps): Route[] {
  const show = (serverId: string): z.input<typeof statesShape> => ({
    items: definitions.list(serverId).map(showState),
    nextCursor: null,
  })
  return [
    defineRoute({
      method: 'GET',
      path: '/api/v1/definitions',
      summary: 'Counts the tools that are held back, at each server that you may look into',
      description: 'Servers without any are left out. As of when each server was last asked.',
      permission: 'signed-in',
      response: heldShape,
      handler: ({ principal }) => {
        const items = registry
          .all()
          .filter((server) => maySee(server, principal) && seesInside(server, principal))
          .map((server) => ({
            serverId: server.id,
            server: server.name,
            held: definitions.countHeld(server),
          }))
          .filter(({ held }) => held > 0)
        return { items, nextCursor: null }
      },
    }),
    defineRoute({
      method: 'GET',
      path,
      summary: 'Lists how the tools of a server are described: approved, waiting, and what has changed',
      description: 'As of when the server was last asked; `POST …/test-connection` asks it now.',
      permission: 'signed-in',
      params: idParams,
      response: statesShape,
      errors: [403, 404],
      handler: ({ principal, params }) => {
        const server = getSeen(registry, params.id, principal)
        if (!seesInside(server, principal)) throw new GatewayError('forbidden')
        return show(server.id)
      },
    }),
    defineRoute({
      method: 'POST',
      path: `${path}/approve`,
      summary: 'Approves definitions of tools exactly as they were shown',
      permission: 'signed-in',
      params: idParams,
      body: approvalBody,
      response: statesShape,
      errors: [403, 404, 409],
      handler: async ({ principal, params, body }) => {
        const server = getManaged(registry, params.id, principal)
        await definitions.approve(server.id, body.tools, principal.userId)
        return show(server.id)
      },
    }),
    defineRoute({
      method: 'POST',
      path: `${path}/withdraw`,
      summary: 'Takes approvals back: the tools are held back at once',
      permission: 'signed-in',
      params: idParams,
      body: withdrawalBody,
      response: statesShape,
      errors: [403, 404],
      handler: async ({ principal, params, body }) => {
        const server = getManaged(registry, params.id, principal)
        await definitions.withdraw(server.id, body.tools, principal.userId)
        return show(server.id)
      },
    }),
  ]
}

const parsed = (seen: SeenDefinition | undefined): Definition | undefined =>
  seen?.text === undefined ? undefined : (JSON.parse(seen.text) as Definition)

const showVersion = (seen: SeenDefinition | undefined): z.input<typeof versionShape> | null =>
  seen
    ? {
        hash: seen.hash,
        at: isoTime(seen.atMs),
        ...(seen.by !== undefined && { by: seen.by }),
        definition: parsed(seen) ?? null,
      }
    : null

function showState({ tool, approved, waiting, held }: ToolState): z.input<typeof stateShape> {
  const [before, after] = [parsed(approved), parsed(waiting)]
  const shown = after ?? before
  return {
    tool,
    held: held ?? null,
    approved: showVersion(approved),
    waiting: showVersion(waiting),
    changes: before && after ? changesBetween(before, after) : [],
    flags: shown ? flagsOf(shown) : [],
  }
}
