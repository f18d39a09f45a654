// A client of our own for one short visit: finds a server's era, says hello, lists its tools, and leaves.
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { isObject } from '../base/is-object.ts'
import type { LastFailure, Server } from '../registry/server.ts'
import { legacyVersions, modernVersions } from '../wire/protocol-version.ts'
import { ask, handshakeError, notify, type Reply, type Visit } from './ask.ts'
import { discover, ownMeta, refuseStatus } from './discover.ts'
import type { Upstream } from './upstream.ts'

/** A tool as the server describes it; members that we do not know are kept. */
export interface ToolDescription {
  readonly name: string
  readonly title?: string
  readonly description?: string
  readonly inputSchema?: Readonly<Record<string, unknown>>
  readonly annotations?: Readonly<Record<string, unknown>>
  readonly [member: string]: unknown
}

export interface Handshake {
  readonly ok: boolean
  readonly era?: 'legacy' | 'modern'
  readonly protocolVersion?: string
  readonly serverInfo?: Readonly<Record<string, unknown>>
  readonly capabilities?: Readonly<Record<string, unknown>>
  readonly tools: readonly ToolDescription[]
  /** From the first byte sent to the answer of the greeting. */
  readonly latencyMs: number
  readonly error?: { readonly stage: LastFailure['stage']; readonly message: string }
}

export interface HandshakeOptions {
  readonly clock: Clock
  /** The gateway's own version, which servers see. */
  readonly version: string
  /** For everything together; the server's own time limits apply where they are shorter. */
  readonly maxMs?: number
  readonly maxPages?: number
  readonly maxTools?: number
}

const [legacyVersion] = legacyVersions
const [modernVersion] = modernVersions
/** A server that refuses initialize, and does not answer this soon either, is of no use. */
const maxDiscoverMs = 3000

type Greeting = Pick<Handshake, 'era' | 'protocolVersion' | 'serverInfo' | 'capabilities'> & {
  /** Headers of everything that follows. */
  readonly headers: Readonly<Record<string, string>>
  readonly meta?: Readonly<Record<string, unknown>>
}

/**
 * Visits a server through an upstream that the caller opened and closes. Never rejects: what went wrong is in
 * `error`. Over HTTP `server/discover` is tried first and anything but a modern answer means legacy, as the official
 * SDK decides; a refused credential or a 5xx is no evidence and ends the visit. On a connection `initialize` comes
 * first, since a legacy server may hang or exit on anything else; where it is refused, `server/discover` is tried.
 */
export async function shakeHands(
  upstream: Upstream,
  server: Server,
  options: HandshakeOptions,
): Promise<Handshake> {
  const { clock, maxMs = 30_000, maxPages = 100, maxTools = 10_000 } = options
  const begin = clock.monotonicMs()
  const limitMs = Math.min(maxMs, server.timeouts.connectMs + server.timeouts.callMs)
  const visit: Visit = { upstream, clock, deadlineMs: begin + limitMs, lastId: 0 }
  let latencyMs = 0
  try {
    const clientInfo = { name: 'tollbridge', version: options.version }
    const greeting = await (upstream.multiplexed ? greetConnection : greetHttp)(visit, clientInfo)
    latencyMs = clock.monotonicMs() - begin
    const { headers, meta: _, ...facts } = greeting
    try {
      const tools = facts.capabilities?.tools ? await listTools(visit, greeting, { maxPages, maxTools }) : []
      return { ok: true, ...facts, tools, latencyMs }
    } finally {
      if (headers['mcp-session-id'] !== undefined) await upstream.endSession(headers)
    }
  } catch (error) {
    if (!(error instanceof GatewayError) || error.code !== 'upstream_unavailable') throw error
    const stage = error.data.stage as LastFailure['stage']
    return {
      ok: false,
      tools: [],
      latencyMs: latencyMs || clock.monotonicMs() - begin,
      error: { stage, message: error.message },
    }
  }
}

type ClientInfo = { readonly name: string; readonly version: string }

async function greetHttp(visit: Visit, clientInfo: ClientInfo): Promise<Greeting> {
  return (await greetModern(visit, clientInfo)) ?? initialize(visit, clientInfo)
}

async function greetConnection(visit: Visit, clientInfo: ClientInfo): Promise<Greeting> {
  const refused = await askInitialize(visit, clientInfo)
  if (!refused.message?.error) return welcome(visit, refused)
  const deadlineMs = Math.min(visit.deadlineMs, visit.clock.monotonicMs() + maxDiscoverMs)
  const asked = { ...visit, deadlineMs }
  const modern = await greetModern(asked, clientInfo).catch(() => undefined)
  visit.lastId = asked.lastId
  return modern ?? welcome(visit, refused)
}

/** Undefined where the server is legacy. */
async function greetModern(visit: Visit, { version }: ClientInfo): Promise<Greeting | undefined> {
  const result = await discover(visit, version)
  if (result === false) return undefined
  const serverInfo = asObject(asObject(result._meta)?.['io.modelcontextprotocol/serverInfo'])
  return {
    era: 'modern',
    protocolVersion: modernVersion,
    capabilities: asObject(result.capabilities) ?? {},
    ...(serverInfo && { serverInfo }),
    headers: { 'mcp-protocol-version': modernVersion },
    meta: ownMeta(version),
  }
}

const askInitialize = (visit: Visit, clientInfo: ClientInfo): Promise<Reply> =>
  ask(visit, 'initialize', { protocolVersion: legacyVersion, capabilities: {}, clientInfo }, {})

async function initialize(visit: Visit, clientInfo: ClientInfo): Promise<Greeting> {
  const reply = await askInitialize(visit, clientInfo)
  refuseStatus(reply)
  return welcome(visit, reply)
}

/** Takes the answer of initialize and completes the handshake. */
async function welcome(visit: Visit, reply: Reply): Promise<Greeting> {
  const result = resultOf(reply, 'initialize')
  if (typeof result.protocolVersion !== 'string')
    throw handshakeError('The server answered initialize without a protocol version.')
  const headers = {
    'mcp-protocol-version': result.protocolVersion,
    ...(reply.sessionId !== undefined && { 'mcp-session-id': reply.sessionId }),
  }
  await notify(visit, 'notifications/initialized', headers)
  const serverInfo = asObject(result.serverInfo)
  return {
    era: 'legacy',
    protocolVersion: result.protocolVersion,
    capabilities: asObject(result.capabilities) ?? {},
    ...(serverInfo && { serverInfo }),
    headers,
  }
}

async function listTools(
  visit: Visit,
  { headers, meta }: Greeting,
  limits: { maxPages: number; maxTools: number },
): Promise<ToolDescription[]> {
  const tools: ToolDescription[] = []
  let cursor: unknown
  for (let page = 0; page < limits.maxPages; page++) {
    const params = { ...(typeof cursor === 'string' && { cursor }), ...(meta && { _meta: meta }) }
    const all = meta ? { ...headers, 'mcp-method': 'tools/list' } : headers
    const result = resultOf(await ask(visit, 'tools/list', params, all), 'tools/list')
    if (Array.isArray(result.tools)) tools.push(...result.tools.filter(isTool))
    if (tools.length > limits.maxTools) throw handshakeError('The server lists more tools than are accepted.')
    const next = result.nextCursor
    // A cursor that repeats would never end.
    if (typeof next !== 'string' || next === cursor) return tools
    cursor = next
  }
  throw handshakeError('The list of tools has more pages than are accepted.')
}

function resultOf(reply: Reply, method: string): Readonly<Record<string, unknown>> {
  const { message, status } = reply
  if (message?.result) return message.result
  if (message?.error) throw handshakeError(`The server refused ${method}: ${oneLine(message.error.message)}`)
  if (status >= 300) throw handshakeError(`The server answered ${method} with HTTP ${status}.`)
  throw handshakeError(`The server gave no MCP answer to ${method}; check the URL.`)
}

const oneLine = (text: string): string => text.replace(/[\p{Cc}\p{Cf}]+/gu, ' ').slice(0, 200)

const asObject = (value: unknown): Readonly<Record<string, unknown>> | undefined =>
  isObject(value) ? value : undefined

const isTool = (value: unknown): value is ToolDescription => typeof asObject(value)?.name === 'string'
