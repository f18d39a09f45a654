// The obvious gateway: the official SDK's server towards clients, its client towards the server, nothing else.
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseArgs } from 'node:util'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { Server } from '@modelcontextprotocol/sdk/server/index.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { CallToolRequestSchema, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js'

const { values } = parseArgs({ options: { target: { type: 'string' }, port: { type: 'string' } } })
const target = values.target ?? ''
const info = { name: 'sdk-proxy', version: '1.0.0' }
const transports = new Map<string, StreamableHTTPServerTransport>()

/** A session: one SDK server joined to one SDK client. The answers have the form (JSON or SSE) of the upstream's. */
async function openSession(path: string): Promise<StreamableHTTPServerTransport> {
  const client = new Client(info)
  await client.connect(new StreamableHTTPClientTransport(new URL(target + path)))
  const server = new Server(info, { capabilities: { tools: {} } })
  server.setRequestHandler(ListToolsRequestSchema, ({ params }) => client.listTools(params))
  server.setRequestHandler(CallToolRequestSchema, ({ params }) => client.callTool(params))
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: () => randomUUID(),
    enableJsonResponse: path.startsWith('/json'),
    onsessioninitialized: (id) => void transports.set(id, transport),
  })
  await server.connect(transport)
  return transport
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const id = request.headers['mcp-session-id']
  const transport =
    typeof id === 'string' ? transports.get(id) : await openSession(request.url ?? '/').catch(() => undefined)
  if (!transport) return void response.writeHead(404).end()
  await transport.handleRequest(request, response)
}

const server = createServer((request, response) => {
  answer(request, response).catch(() => response.destroy())
})
server.listen(Number(values.port ?? 0), '127.0.0.1', () =>
  console.log(`ready http://127.0.0.1:${(server.address() as AddressInfo).port}`),
)
