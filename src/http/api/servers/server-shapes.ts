// What a server looks like in answers: everything but secrets to who looks after it, the outside of it to who uses it.
import { z } from 'zod'
import type { Principal } from '../../../identity/principal.ts'
import { mayManage } from '../../../policy/access.ts'
import { may } from '../../../policy/roles.ts'
import { captureInput, type Capture } from '../../../registry/capture.ts'
import { definitionFlagKinds } from '../../../registry/definition-policy.ts'
import type { SeenEras } from '../../../upstreams/seen-eras.ts'
import { accessLevels, sharings, type Server } from '../../../registry/server.ts'
import { definitionPolicy, identityNote, usageReport } from '../../../registry/server-input.ts'
import { serverView, statusView } from '../../../registry/server-view.ts'
import { isoTime, timeShape } from '../view.ts'

const insider = 'Only for those who may manage the server, and auditors.'

const secretShape = {
  hasSecret: z.literal(true).optional(),
  last4: z.string().optional(),
  reference: z
    .string()
    .optional()
    .describe('Instead of the two: the secret of the configuration that the value refers to.'),
}
const secrets = z
  .record(z.string(), z.strictObject({ ...secretShape, prefix: z.string().optional() }))
  .optional()

const networkShape = {
  url: z.string().optional(),
  headers: secrets,
  sessionId: z
    .strictObject({ in: z.enum(['query', 'header', 'path']), name: z.string() })
    .optional()
    .describe("Where the server wants the session's id, besides the protocol's own header."),
}

const transportShape = z
  .discriminatedUnion('type', [
    z.strictObject({ type: z.literal('streamable-http'), ...networkShape }),
    z.strictObject({ type: z.literal('sse'), ...networkShape, messageUrl: z.string().optional() }),
    z.strictObject({ type: z.literal('websocket'), ...networkShape }),
    z.strictObject({
      type: z.literal('stdio'),
      command: z.string().optional(),
      args: z.array(z.string()).optional(),
      env: secrets,
      cwd: z.string().optional(),
    }),
  ])
  .describe('The type for everybody; the rest only for those who may manage the server, and auditors.')

const authShape = z
  .discriminatedUnion('type', [
    z.strictObject({ type: z.literal('none') }),
    z.strictObject({
      type: z.literal('api-key'),
      in: z.enum(['header', 'query']),
      name: z.string(),
      ...secretShape,
    }),
    z.strictObject({ type: z.literal('basic'), username: z.string(), ...secretShape }),
    z.strictObject({ type: z.literal('bearer'), ...secretShape }),
    z.strictObject({
      type: z.literal('oauth2'),
      grant: z.enum(['client-credentials', 'authorization-code', 'token-exchange']),
      clientId: z.string().optional(),
      method: z.enum(['basic', 'post', 'private-key-jwt']).optional(),
      algorithm: z.string().optional(),
      tokenUrl: z.string().optional(),
      issuer: z.string().optional(),
      scope: z.string().optional(),
      audience: z.string().optional(),
      resource: z.string().optional(),
      hasSecret: z.literal(true).optional(),
      last4: z.string().optional(),
    }),
  ])
  .describe(`Never holds the secret itself. ${insider}`)

const failureShape = z
  .strictObject({
    stage: z.enum(['egress', 'connect', 'handshake', 'call', 'process']),
    message: z.string(),
    at: timeShape,
    since: timeShape.describe('The first failure in a row.'),
  })
  .describe(`Why the last handshake or call failed. ${insider}`)

const statusWord = z.enum(['registered', 'active', 'inactive', 'error'])

export const serverShape = z
  .strictObject({
    id: z.string(),
    name: z.string(),
    description: z.string().optional(),
    iconUrl: z.string().optional(),
    repositoryUrl: z.string().optional(),
    status: statusWord,
    access: z.enum(accessLevels),
    transport: transportShape,
    eras: z
      .array(z.enum(['legacy', 'modern']))
      .describe('In which it has answered since the gateway started: `initialize`, or each request alone.'),
    createdAt: timeShape,
    updatedAt: timeShape,
    ownerId: z.string().optional().describe(insider),
    auth: authShape.optional(),
    account: z.string().optional().describe(`Pays for calls without a credential. ${insider}`),
    sharing: z.enum(sharings).optional().describe(insider),
    timeouts: z
      .strictObject({ connectMs: z.int(), callMs: z.int(), idleMs: z.int() })
      .optional()
      .describe(insider),
    limits: z
      .strictObject({ maxResponseBytes: z.int(), maxConnections: z.int(), maxSessions: z.int() })
      .optional()
      .describe(insider),
    reportCost: z.boolean().optional().describe(insider),
    showPrices: z.boolean().optional().describe(insider),
    identity: identityNote.optional().describe(`How the server is told who calls. ${insider}`),
    definitions: definitionPolicy.optional().describe(`Which definitions of tools are held back. ${insider}`),
    capture: captureInput
      .partial({ mask: true, maskPatterns: true, maxBytes: true })
      .optional()
      .describe(`What is kept of its calls; absent: nothing. How it is masked: ${insider}`),
    usageReport: usageReport.optional().describe(`Keys of _meta in which it reports its use. ${insider}`),
    lastFailure: failureShape.optional(),
    revision: z.int().optional().describe(insider),
  })
  .meta({ id: 'Server' })
export type ServerShape = z.input<typeof serverShape>

export const serverStatusShape = z
  .strictObject({
    id: z.string(),
    name: z.string(),
    status: statusWord,
    lastFailure: failureShape.optional(),
  })
  .meta({ id: 'ServerStatus' })

export const flagsShape = z
  .array(z.strictObject({ kind: z.enum(definitionFlagKinds), at: z.string(), shown: z.string() }))
  .describe(
    'What to look at in the definition before a model does: where it is, with what does not print escaped.',
  )

/** Whether a caller sees how a server is reached and why it fails. No view holds a secret. */
export const seesInside = (server: Server, principal: Principal): boolean =>
  mayManage(server, principal) || may(principal, 'servers:read-all')

/** A server as this caller may see it. */
export function showServer(server: Server, principal: Principal, seen: Pick<SeenEras, 'of'>): ServerShape {
  const eras = seen.of(server)
  if (seesInside(server, principal)) return { ...(serverView(server) as Omit<ServerShape, 'eras'>), eras }
  const { id, name, description, iconUrl, repositoryUrl, status, access, transport, capture } = server
  return {
    id,
    name,
    ...(description !== undefined && { description }),
    ...(iconUrl !== undefined && { iconUrl }),
    ...(repositoryUrl !== undefined && { repositoryUrl }),
    status,
    access,
    transport: { type: transport.type } as ServerShape['transport'],
    eras,
    // Who calls a server may know what is kept of that.
    ...(capture && { capture: openPartOf(capture) }),
    createdAt: isoTime(server.createdAtMs),
    updatedAt: isoTime(server.updatedAtMs),
  }
}

const openPartOf = ({ tools, arguments: given, results, days }: Capture) => ({
  tools,
  arguments: given,
  results,
  days,
})

/** A server's status; a failure may name addresses, so it is for those who see inside. */
export function showStatus(server: Server, principal: Principal): z.input<typeof serverStatusShape> {
  const { id, name, status } = server
  const view = seesInside(server, principal) ? statusView(server) : { id, name, status }
  return view as z.input<typeof serverStatusShape>
}
