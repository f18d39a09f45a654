// The fixture as a program on the network: every revision over Streamable HTTP, HTTP+SSE and WebSocket, on one port.
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseArgs } from 'node:util'
import { NodeStreamableHTTPServerTransport, toNodeHandler } from '@modelcontextprotocol/node'
import { createMcpHandler, isInitializeRequest } from '@modelcontextprotocol/server'
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js'
import { WebSocketServer } from 'ws'
import { createFixture, handleSubscriptions, journalTo, Updates } from './fixture-server.ts'
import { serveConnection } from './fixture-stdio.ts'
import { eraOf, revisions, type Revision } from './revisions.ts'
import { WebSocketWire } from './web-socket-wire.ts'

type Handler = (request: IncomingMessage, response: ServerResponse, body: unknown) => void | Promise<void>
type Journal = (line: string) => void

function refuse(response: ServerResponse, status: number, error: { code: number; message: string }): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ jsonrpc: '2.0', id: null, error }))
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return JSON.parse(Buffer.concat(chunks).toString())
}

/** Streamable HTTP of the legacy era: a server and a transport for each session. */
function legacyHttp(revision: Revision, journal: Journal, updates: Updates): Handler {
  const open = new Map<string, NodeStreamableHTTPServerTransport>()
  return async (request, response, body) => {
    const id = request.headers['mcp-session-id']
    const known = typeof id === 'string' ? open.get(id) : undefined
    if (known) return known.handleRequest(request, response, body)
    if (id !== undefined) return refuse(response, 404, { code: -32001, message: 'Session not found' })
    if (request.method !== 'POST' || !isInitializeRequest(body))
      return refuse(response, 400, { code: -32000, message: 'Bad Request: Server not initialized' })
    const transport: NodeStreamableHTTPServerTransport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (session) => void open.set(session, transport),
      onsessionclosed: (session) => void open.delete(session),
    })
    const server = createFixture(revision, { journal, updated: (uri) => updates.publish(uri) })
    handleSubscriptions(server, updates)
    await server.connect(transport)
    await transport.handleRequest(request, response, body)
  }
}

/** Streamable HTTP of the modern era: stateless, and nothing else is answered. */
function modernHttp(revision: Revision, journal: Journal): Handler {
  const handler = createMcpHandler(
    () =>
      createFixture(revision, {
        journal,
        updated: (uri) => handler.notify.resourceUpdated(uri),
      }),
    { legacy: 'reject' },
  )
  return toNodeHandler(handler)
}

/** HTTP+SSE: a GET is a connection, its messages are posted to where its first event says. */
function sse(revision: Revision, journal: Journal, updates: Updates): Handler {
  const open = new Map<string, SSEServerTransport>()
  return async (request, response, body) => {
    const url = new URL(request.url ?? '', 'http://localhost')
    if (request.method === 'GET') {
      const transport = new SSEServerTransport(`/${revision}/message`, response)
      open.set(transport.sessionId, transport)
      response.once('close', () => open.delete(transport.sessionId))
      const server = createFixture(revision, { journal, updated: (uri) => updates.publish(uri) })
      handleSubscriptions(server, updates)
      return server.connect(transport)
    }
    const transport = open.get(url.searchParams.get('sessionId') ?? '')
    if (!transport) return refuse(response, 404, { code: -32001, message: 'Session not found' })
    await transport.handlePostMessage(request, response, body)
  }
}

const { values } = parseArgs({ options: { journal: { type: 'string' } } })
const journal = journalTo(values.journal ?? '/dev/null')
const updates = new Map(revisions.map((revision) => [revision, new Updates()]))
const handlers = new Map<string, Handler>()
for (const [revision, own] of updates)
  if (eraOf(revision) === 'modern') handlers.set(`/${revision}/mcp`, modernHttp(revision, journal))
  else {
    handlers.set(`/${revision}/mcp`, legacyHttp(revision, journal, own))
    const handler = sse(revision, journal, own)
    handlers.set(`/${revision}/sse`, handler)
    handlers.set(`/${revision}/message`, handler)
  }

const server = createServer((request, response) => {
  const handler = handlers.get(request.url?.split('?')[0] ?? '')
  const answer = async (): Promise<void> => {
    if (!handler) return void response.writeHead(404).end()
    await handler(request, response, request.method === 'POST' ? await readJson(request) : undefined)
  }
  answer().catch((error: unknown) => {
    console.error('fixture:', error)
    response.destroy()
  })
})
const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'mcp' })
server.on('upgrade', (request, socket, head) => {
  const revision = /^\/([\d-]+)\/ws$/.exec(request.url ?? '')?.[1] as Revision | undefined
  const own = revision && updates.get(revision)
  if (!own) {
    socket.destroy()
    return
  }
  sockets.handleUpgrade(request, socket, head, (opened) =>
    serveConnection(revision, { journal, updates: own, transport: new WebSocketWire(opened) }),
  )
})
server.listen(0, '127.0.0.1', () => {
  console.log(`ready http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
process.once('SIGTERM', () => process.exit(0))
// Does not outlive whoever started it.
process.stdin.resume().once('end', () => process.exit(0))
