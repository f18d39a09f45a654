// HTTP+SSE servers for the tests: one that is scripted to the byte, and one of the official SDK.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Server } from '@modelcontextprotocol/sdk/server/index.js'
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js'
import { CallToolRequestSchema, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import type { Server as RegisteredServer, SseTransport } from '../../src/registry/server.ts'
import type { SseServer } from '../../src/upstreams/sse-pool.ts'
import type { StubMessage } from './recorder.ts'
import { cleanups, serverAt } from './http-stub.ts'

export interface SseHit {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly message: StubMessage | undefined
}

export interface SseScript {
  /** What the first event says; `null`: there is none. */
  readonly endpoint?: string | null
  /** In place of the stream. */
  readonly get?: (response: ServerResponse) => void
  /** A message came; `say` writes to the stream. Answers 202 unless it answers itself or returns 'hold'. */
  readonly post?: (message: StubMessage, say: (message: unknown) => void, response: ServerResponse) => unknown
}

export const event = (message: unknown, name = 'message'): string =>
  `event: ${name}\ndata: ${typeof message === 'string' ? message : JSON.stringify(message)}\n\n`

/** A server whose every byte is the test's; it has one stream at a time for all messages. */
export async function sseStub(script: SseScript = {}) {
  const hits: SseHit[] = []
  const streams = new Set<ServerResponse>()
  let last: ServerResponse | undefined
  const say = (message: unknown): void => void last?.write(event(message))
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { method = '', url = '', headers } = request
      const text = Buffer.concat(chunks).toString()
      const message = text === '' ? undefined : (JSON.parse(text) as StubMessage)
      hits.push({ method, url, headers, message })
      if (method === 'POST') {
        const held = script.post?.(message ?? {}, say, response) === 'hold'
        if (!held && !response.writableEnded && !response.headersSent) response.writeHead(202).end('Accepted')
        return
      }
      if (script.get) return script.get(response)
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      last = response
      streams.add(response)
      response.once('close', () => streams.delete(response))
      const { endpoint = '/messages?sessionId=1' } = script
      response.write(endpoint === null ? ': hello\n\n' : event(endpoint, 'endpoint'))
    })
    request.on('error', () => {})
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  cleanups.push(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return {
    port,
    hits,
    posts: () => hits.filter(({ method }) => method === 'POST'),
    streams,
    say,
    write: (text: string) => void last?.write(text),
    end: () => void last?.end(),
    server,
  }
}

export const sseServerAt = (
  port: number,
  overrides: Partial<RegisteredServer> = {},
  transport: Partial<SseTransport> = {},
): SseServer => ({
  ...serverAt(port, overrides),
  transport: { type: 'sse', url: `http://127.0.0.1:${port}/sse`, ...transport },
})

/** A server of the official SDK (1.x) with one tool, `echo`, that tells its progress if asked. */
export async function startSdkSse() {
  const open = new Map<string, SSEServerTransport>()
  const http = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://localhost')
    if (request.method === 'GET') {
      const transport = new SSEServerTransport('/sdk/message', response)
      open.set(transport.sessionId, transport)
      response.once('close', () => open.delete(transport.sessionId))
      void sdkServer().connect(transport)
      return
    }
    const transport = open.get(url.searchParams.get('sessionId') ?? '')
    if (transport) void transport.handlePostMessage(request, response).catch(() => {})
    else response.writeHead(404).end()
  })
  await new Promise<void>((listening) => http.listen(0, '127.0.0.1', listening))
  cleanups.push(() => {
    http.closeAllConnections()
    http.close()
  })
  return { port: (http.address() as AddressInfo).port, open }
}

function sdkServer(): Server {
  const server = new Server({ name: 'sdk', version: '1' }, { capabilities: { tools: {} } })
  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: [{ name: 'echo', inputSchema: { type: 'object' } }],
  }))
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, { sendNotification }) => {
    const progressToken = params._meta?.progressToken
    if (progressToken !== undefined)
      await sendNotification({ method: 'notifications/progress', params: { progressToken, progress: 1 } })
    return { content: [{ type: 'text', text: JSON.stringify(params.arguments) }] }
  })
  return server
}
