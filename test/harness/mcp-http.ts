// Streamable HTTP on a real socket in front of a scripted server, with requests as clients and attackers send them.
import { createServer, request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { LingeringClose, usualLinger } from '../../src/http/lingering-close.ts'
import { StreamableHttp, type StreamableHttpOptions } from '../../src/transports/streamable-http.ts'
import type { Target } from '../../src/transports/target.ts'
import { alice, startCalls, testServer, type Calls } from './calls.ts'

export const maxBodyBytes = 100_000
export const modern = '2026-07-28'
export const meta = {
  'io.modelcontextprotocol/protocolVersion': modern,
  'io.modelcontextprotocol/clientCapabilities': {},
}
export const json = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
export const modernHeaders = {
  ...json,
  'mcp-protocol-version': modern,
  'mcp-method': 'tools/call',
  'mcp-name': 't',
}

export const toolCall = (id: unknown, params: object = {}) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name: 't', arguments: {}, ...params },
})
export const modernCall = (id: unknown, params: object = {}) => toolCall(id, { _meta: meta, ...params })

/** The head of a raw POST. */
export const head = (headers: Record<string, string>): string =>
  `POST / HTTP/1.1\r\nhost: x\r\n${Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}\r\n`

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  readonly json: { id?: unknown; result?: object; error?: { code: number; message: string } }
}

/** A raw connection and everything that comes back on it. */
interface Dialled {
  readonly socket: Socket
  readonly received: () => string
  readonly closed: () => boolean
}

export interface McpHttp {
  readonly calls: Calls
  readonly port: number
  /** Who calls, and more of where to; tests change them. */
  caller: Target['principal']
  target: Partial<Target>
  paramMismatch: StreamableHttpOptions['paramMismatch']
  /** One request over its own connection. */
  send(method: string, headers: Record<string, string>, body?: string | object): Promise<Answer>
  post(body: string | object, headers?: Record<string, string>): Promise<Answer>
  /** Initializes; resolves with the session's token. */
  openSession(): Promise<string>
  dial(): Dialled
  stop(): Promise<void>
}

/** Listens on a free port; the server behind echoes the id of each call until a test scripts it. */
export async function startMcpHttp(): Promise<McpHttp> {
  const calls = await startCalls()
  calls.upstream.script = (up, message) => {
    if (message.method === 'initialize') up.succeed({ protocolVersion: '2025-11-25' }, { sessionId: 'up-1' })
    else if (message.id === undefined) up.head({ status: 202, contentType: 'none' }).end()
    else up.succeed({ echoed: message.id })
  }
  const transport = new StreamableHttp({
    relay: calls.relay,
    sessions: calls.sessions,
    resumption: calls.resumption,
    maxBodyBytes,
    maxDepth: 64,
    paramMismatch: (...of) => mcp.paramMismatch(...of),
  })
  const lingering = new LingeringClose(usualLinger)
  const http = createServer({ ServerResponse: lingering.responseClass() }, (request, response) => {
    const client = { ip: '127.0.0.1', userAgent: 'test' }
    transport.handle(request, response, { principal: mcp.caller, server: testServer, client, ...mcp.target })
  })
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const { port } = http.address() as AddressInfo
  const mcp: McpHttp = {
    calls,
    port,
    caller: alice,
    target: {},
    paramMismatch: () => undefined,
    send: (method, headers, body) => sendTo(port, { method, headers, body }),
    post: (body, headers = {}) => sendTo(port, { method: 'POST', headers: { ...json, ...headers }, body }),
    openSession: async () => {
      const opened = await mcp.post({ jsonrpc: '2.0', id: 0, method: 'initialize', params: {} })
      return String(opened.headers['mcp-session-id'])
    },
    dial: () => dial(port),
    stop: async () => {
      http.closeAllConnections()
      await new Promise((resolve) => http.close(resolve))
      await calls.stop()
    },
  }
  return mcp
}

interface Request {
  readonly method: string
  readonly headers: Record<string, string>
  readonly body?: string | object | undefined
}

function sendTo(port: number, { method, headers, body }: Request): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { port, host: '127.0.0.1', path: '/', method, headers, agent: false }
    const sent = httpRequest(options, (response) => {
      let text = ''
      response.on('data', (chunk: Buffer) => (text += chunk.toString()))
      response.on('end', () => {
        const isJson = response.headers['content-type'] === 'application/json' && text !== ''
        const parsed = (isJson ? JSON.parse(text) : {}) as Answer['json']
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json: parsed })
      })
    })
    sent.on('error', reject)
    sent.end(typeof body === 'object' ? JSON.stringify(body) : body)
  })
}

function dial(port: number): Dialled {
  const socket = connect(port, '127.0.0.1')
  let text = ''
  let closed = false
  socket.on('data', (chunk) => (text += chunk.toString('latin1')))
  socket.on('close', () => (closed = true))
  socket.on('error', () => {})
  return { socket, received: () => text, closed: () => closed }
}
