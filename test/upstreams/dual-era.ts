// A conformant MCP server of both eras on the official SDK, for tests: sessions for legacy clients, stateless for modern.
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseArgs } from 'node:util'
import {
  localhostHostValidation,
  localhostOriginValidation,
  NodeStreamableHTTPServerTransport,
  toNodeHandler,
} from '@modelcontextprotocol/node'
import {
  classifyInboundRequest,
  createMcpHandler,
  isInitializeRequest,
  McpServer,
} from '@modelcontextprotocol/server'
import {
  registerAskingPrompt,
  registerPushingTools,
  registerSingleRoundTools,
  registerStatefulRoundTools,
  roundStates,
} from './dual-era-questions.ts'
import { registerPrompts, registerResources, registerSettings } from './dual-era-resources.ts'
import {
  registerChangeTools,
  registerContentTools,
  registerSchemaTools,
  registerStreamingTools,
} from './dual-era-tools.ts'
import type { ListChanges } from './dual-era-tools.ts'
import { MemoryEventStore } from './event-store.ts'

/** Which revisions the fixture speaks: up to 2025-11-25, from 2026-07-28, or both on one URL. */
export type FixtureEra = 'both' | 'legacy' | 'modern'

export interface DualEraOptions {
  /** 0, the default, takes any free port. */
  readonly port?: number
  /** 127.0.0.1 by default. */
  readonly host?: string
  readonly era?: FixtureEra
}

export interface DualEra {
  /** The MCP endpoint, `http://HOST:PORT/mcp`. */
  readonly url: string
  /** Closes every session and connection. */
  stop(): Promise<void>
}

const maxBodyBytes = 4 * 1024 * 1024

function createFixtureServer(changes: ListChanges): McpServer {
  const server = new McpServer(
    { name: 'dual-era-fixture', version: '1.0.0' },
    {
      capabilities: {
        tools: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        prompts: { listChanged: true },
        logging: {},
        completions: {},
      },
      requestState: { verify: (state, context) => roundStates.verify(state, context) },
    },
  )
  registerContentTools(server)
  registerStreamingTools(server)
  registerSchemaTools(server)
  registerChangeTools(server, changes)
  registerPushingTools(server)
  registerSingleRoundTools(server)
  registerStatefulRoundTools(server)
  registerResources(server)
  registerPrompts(server)
  registerAskingPrompt(server)
  registerSettings(server)
  return server
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBodyBytes) return undefined
    chunks.push(chunk)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString())
  } catch {
    return undefined
  }
}

function refuse(response: ServerResponse, status: number, error: { code: number; message: string }): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ jsonrpc: '2.0', id: null, error }))
}

const headerOf = (request: IncomingMessage, name: string): string | undefined => {
  const value = request.headers[name]
  return Array.isArray(value) ? value[0] : value
}

/** The legacy half: one server and one transport a session, with resumable streams. */
class LegacySessions {
  readonly #transports = new Map<string, NodeStreamableHTTPServerTransport>()
  readonly #servers = new Set<McpServer>()
  readonly #changes: ListChanges

  constructor(changes: ListChanges) {
    this.#changes = changes
  }

  async handle(request: IncomingMessage, response: ServerResponse, body: unknown): Promise<void> {
    const id = headerOf(request, 'mcp-session-id')
    const transport = id === undefined ? undefined : this.#transports.get(id)
    if (transport) return transport.handleRequest(request, response, body)
    if (id !== undefined) return refuse(response, 404, { code: -32001, message: 'Session not found' })
    if (request.method === 'POST' && isInitializeRequest(body)) return this.#open(request, response, body)
    refuse(response, 400, { code: -32000, message: 'Bad Request: Session ID required' })
  }

  async #open(request: IncomingMessage, response: ServerResponse, body: unknown): Promise<void> {
    const server = createFixtureServer(this.#changes)
    this.#servers.add(server)
    const transport: NodeStreamableHTTPServerTransport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      eventStore: new MemoryEventStore(),
      retryInterval: 500,
      onsessioninitialized: (id) => void this.#transports.set(id, transport),
    })
    transport.onclose = () => {
      this.#servers.delete(server)
      if (transport.sessionId !== undefined) this.#transports.delete(transport.sessionId)
    }
    await server.connect(transport)
    await transport.handleRequest(request, response, body)
  }

  /** Tells every session on its GET stream, where it has one. */
  announce(say: (server: McpServer) => void): void {
    for (const server of this.#servers) say(server)
  }

  async close(): Promise<void> {
    await Promise.all([...this.#transports.values()].map((transport) => transport.close()))
  }
}

/** Starts the fixture; it checks Host and Origin against localhost names as the specification asks of local servers. */
export async function startDualEra(options: DualEraOptions = {}): Promise<DualEra> {
  const { port = 0, host = '127.0.0.1', era = 'both' } = options
  const changes: ListChanges = {
    toolsChanged() {
      modern.notify.toolsChanged()
      legacy.announce((one) => one.sendToolListChanged())
    },
    promptsChanged() {
      modern.notify.promptsChanged()
      legacy.announce((one) => one.sendPromptListChanged())
    },
  }
  const modern = createMcpHandler(() => createFixtureServer(changes), { legacy: 'reject' })
  const answerModern = toNodeHandler(modern)
  const legacy = new LegacySessions(changes)
  const hostAllowed = localhostHostValidation()
  const originAllowed = localhostOriginValidation()

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!hostAllowed(request, response) || !originAllowed(request, response)) return
    if (request.url?.split('?')[0] !== '/mcp') return void response.writeHead(404).end()
    const method = request.method ?? ''
    if (!['POST', 'GET', 'DELETE'].includes(method))
      return void response.writeHead(405, { allow: 'GET, POST, DELETE' }).end()
    const body = method === 'POST' ? await readJson(request) : undefined
    if (method === 'POST' && body === undefined)
      return refuse(response, 400, { code: -32700, message: 'Parse error' })
    if (era !== 'legacy') {
      const { kind } = classifyInboundRequest({
        httpMethod: method,
        protocolVersionHeader: headerOf(request, 'mcp-protocol-version'),
        mcpMethodHeader: headerOf(request, 'mcp-method'),
        body,
      })
      if (era === 'modern' || kind !== 'legacy') return answerModern(request, response, body)
    }
    await legacy.handle(request, response, body)
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      console.error('fixture:', error)
      if (response.headersSent) response.destroy()
      else refuse(response, 500, { code: -32603, message: 'Internal server error' })
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  return {
    url: `http://${host}:${(server.address() as AddressInfo).port}/mcp`,
    async stop() {
      await Promise.all([legacy.close(), modern.close()])
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
    },
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { port: { type: 'string' }, host: { type: 'string' }, era: { type: 'string' } },
  })
  const fixture = await startDualEra({
    port: Number(values.port ?? 0),
    host: values.host,
    era: values.era as FixtureEra | undefined,
  })
  console.log(`ready ${fixture.url}`)
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => void fixture.stop().then(() => process.exit(0)))
}
