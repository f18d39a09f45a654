// A stateful legacy server on the official SDK 1.x over Streamable HTTP, for the tests of bridges.
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { McpServer, ResourceTemplate } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import {
  CreateMessageResultSchema,
  ElicitResultSchema,
  ListRootsResultSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
  type CallToolResult,
} from '@modelcontextprotocol/sdk/types.js'
import { z } from 'zod'

export interface Sdk1Server {
  readonly url: string
  /** Sessions that are open. */
  readonly sessions: ReadonlyMap<string, StreamableHTTPServerTransport>
  /** Tools that were called, in order; a cancelled one adds `NAME cancelled`. */
  readonly ran: string[]
  /** URIs that are subscribed to, of all sessions. */
  readonly subscribed: ReadonlySet<string>
  /** Forgets every session without a word, as a restart does. */
  forgetSessions(): void
  closeConnections(): void
  /** Tells every session that a resource and the list of tools have changed. */
  announce(uri: string): Promise<void>
  stop(): Promise<void>
}

const said = (text: string): CallToolResult => ({ content: [{ type: 'text', text }] })
const nameSchema = { type: 'object' as const, properties: { name: { type: 'string' as const } } }

interface Ran {
  readonly ran: string[]
  readonly subscribed: Set<string>
}

function registerTools(server: McpServer, { ran }: Ran): void {
  server.registerTool('echo', { inputSchema: { text: z.string() } }, ({ text }) => {
    ran.push('echo')
    return said(text)
  })
  server.registerTool('steps', { inputSchema: { count: z.number() } }, async ({ count }, extra) => {
    const progressToken = extra._meta?.progressToken
    if (progressToken === undefined) return said('no steps')
    for (let progress = 1; progress <= count; progress++)
      await extra.sendNotification({
        method: 'notifications/progress',
        params: { progressToken, progress, total: count },
      })
    return said(`${count} steps`)
  })
  server.registerTool('hang', {}, async (extra) => {
    ran.push('hang')
    await new Promise<void>((resolve) => extra.signal.addEventListener('abort', () => resolve()))
    ran.push('hang cancelled')
    return said('cancelled')
  })
  server.registerTool('logs', {}, async (extra) => {
    for (const level of ['debug', 'error'] as const)
      await extra.sendNotification({ method: 'notifications/message', params: { level, data: level } })
    return said('logged')
  })
}

function registerQuestions(server: McpServer, { ran }: Ran): void {
  server.registerTool('greet', {}, async (extra) => {
    ran.push('greet')
    const params = { message: 'Your name?', requestedSchema: nameSchema }
    const { action, content } = await extra.sendRequest(
      { method: 'elicitation/create', params },
      ElicitResultSchema,
    )
    return said(`${action} ${String(content?.['name'])}`)
  })
  server.registerTool('ask-all', {}, async (extra) => {
    const messages = [{ role: 'user' as const, content: { type: 'text' as const, text: 'say hi' } }]
    const [elicited, sampled, rooted] = await Promise.all([
      extra.sendRequest(
        { method: 'elicitation/create', params: { message: 'Your name?', requestedSchema: nameSchema } },
        ElicitResultSchema,
      ),
      extra.sendRequest(
        { method: 'sampling/createMessage', params: { messages, maxTokens: 5 } },
        CreateMessageResultSchema,
      ),
      extra.sendRequest({ method: 'roots/list' }, ListRootsResultSchema),
    ])
    return said(JSON.stringify([elicited.content, sampled.content, rooted.roots]))
  })
  // As many servers do it: without saying which call the question belongs to, so that it goes to the GET stream.
  server.registerTool('greet-unrelated', {}, async () => {
    const { content } = await server.server.elicitInput({
      message: 'Your name?',
      requestedSchema: nameSchema,
    })
    return said(`hello ${String(content?.['name'])}`)
  })
}

function newServer(state: Ran): McpServer {
  const server = new McpServer(
    { name: 'sdk1', version: '1.0.0' },
    {
      capabilities: {
        logging: {},
        resources: { subscribe: true, listChanged: true },
        tools: { listChanged: true },
      },
      instructions: 'Ask nicely.',
    },
  )
  registerTools(server, state)
  registerQuestions(server, state)
  server.registerResource('files', new ResourceTemplate('test://{name}', { list: undefined }), {}, (uri) => ({
    contents: [{ uri: uri.href, text: 'content' }],
  }))
  server.registerPrompt('hello', {}, () => ({
    messages: [{ role: 'user', content: { type: 'text', text: 'hello' } }],
  }))
  server.server.setRequestHandler(SubscribeRequestSchema, ({ params }) => {
    state.subscribed.add(params.uri)
    return {}
  })
  server.server.setRequestHandler(UnsubscribeRequestSchema, ({ params }) => {
    state.subscribed.delete(params.uri)
    return {}
  })
  return server
}

/** Starts it on any free port; `stop` closes every session and connection. */
export async function startSdk1Server(): Promise<Sdk1Server> {
  const sessions = new Map<string, StreamableHTTPServerTransport>()
  const servers = new Map<string, McpServer>()
  const state: Ran = { ran: [], subscribed: new Set() }

  async function open(): Promise<StreamableHTTPServerTransport> {
    const server = newServer(state)
    const transport: StreamableHTTPServerTransport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (id) => {
        sessions.set(id, transport)
        servers.set(id, server)
      },
      onsessionclosed: (id) => {
        sessions.delete(id)
        servers.delete(id)
      },
    })
    await server.connect(transport)
    return transport
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const id = request.headers['mcp-session-id']
    const known = typeof id === 'string' ? sessions.get(id) : undefined
    if (id !== undefined && !known) {
      response.writeHead(404, { 'content-type': 'application/json' })
      const error = { code: -32001, message: 'Session not found' }
      response.end(JSON.stringify({ jsonrpc: '2.0', id: null, error }))
      return
    }
    await (known ?? (await open())).handleRequest(request, response)
  }

  const http = createServer((request, response) => void answer(request, response))
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`,
    sessions,
    ran: state.ran,
    subscribed: state.subscribed,
    forgetSessions: () => sessions.clear(),
    closeConnections: () => http.closeAllConnections(),
    announce: async (uri) => {
      for (const server of servers.values()) {
        await server.server.sendResourceUpdated({ uri })
        server.sendToolListChanged()
      }
    },
    stop: async () => {
      http.closeAllConnections()
      await new Promise<void>((resolve) => http.close(() => resolve()))
    },
  }
}
