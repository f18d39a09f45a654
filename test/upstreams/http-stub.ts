// Stub HTTP servers and a recorder of exchanges, for the tests of HTTP upstreams.
import { createServer, type IncomingMessage, type Server as NodeServer, type ServerResponse } from 'node:http'
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net'
import { Egress } from '../../src/upstreams/egress.ts'
import type { Server } from '../../src/registry/server.ts'
import { HttpUpstream, type HttpServer } from '../../src/upstreams/streamable-http.ts'
import type {
  Upstream,
  UpstreamExchange,
  UpstreamFailure,
  UpstreamHead,
  UpstreamMessage,
  UpstreamRequest,
} from '../../src/upstreams/upstream.ts'

export const cleanups: (() => unknown)[] = []

/** Stops what the test started, the newest first; for `afterEach`. */
export async function cleanUp(): Promise<void> {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
}

export type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void

export async function stub(handler: Handler) {
  const requests: { method: string; url: string; headers: IncomingMessage['headers']; body: string }[] = []
  const server: NodeServer = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString()
      requests.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body })
      handler(request, response, body)
    })
    request.on('error', () => {})
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  cleanups.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, requests, server }
}

/** A server that speaks raw bytes. */
export async function rawStub(onRequest: (socket: Socket, nth: number) => void) {
  let hits = 0
  const sockets = new Set<Socket>()
  const server = createTcpServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', () => onRequest(socket, ++hits))
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, hits: () => hits }
}

export function serverAt(port: number, overrides: Partial<Server> & { path?: string } = {}): HttpServer {
  const { path = '/mcp', ...rest } = overrides
  return {
    id: 'srv_1',
    name: 'stub',
    ownerId: 'usr_1',
    auth: { type: 'none' },
    access: 'private',
    sharing: 'session',
    timeouts: { connectMs: 1000, callMs: 1000, idleMs: 1000 },
    limits: { maxResponseBytes: 1 << 20, maxConnections: 4, maxSessions: 4 },
    reportCost: false,
    status: 'active',
    createdAtMs: 0,
    updatedAtMs: 0,
    revision: 1,
    ...rest,
    transport: {
      type: 'streamable-http',
      url: `http://127.0.0.1:${port}${path}`,
      headers: { 'x-own': 'yes' },
    },
  }
}

export function upstreamTo(server: HttpServer, maxQueued = 1000): HttpUpstream {
  const upstream = new HttpUpstream(server, { egress: new Egress(['loopback']), maxQueued })
  cleanups.push(() => upstream.destroy())
  return upstream
}

export const call = (body = '{"jsonrpc":"2.0","id":1,"method":"tools/call"}'): UpstreamRequest => ({
  body: Buffer.from(body),
  message: JSON.parse(body),
  headers: { 'mcp-session-id': 's1' },
})

export interface Heard {
  head?: UpstreamHead
  messages: UpstreamMessage[]
  ended: boolean
  failure?: UpstreamFailure
}

/** Runs one exchange to its end. */
export function run(
  upstream: Upstream,
  request = call(),
  onMessage: (heard: Heard, exchange: UpstreamExchange) => void = () => {},
): Promise<Heard> {
  return new Promise((resolve) => {
    const heard: Heard = { messages: [], ended: false }
    const exchange = upstream.send(request, {
      head: (head) => (heard.head = head),
      message: (message) => {
        heard.messages.push(message)
        onMessage(heard, exchange)
      },
      end: () => {
        heard.ended = true
        resolve(heard)
      },
      fail: (failure) => {
        heard.failure = failure
        resolve(heard)
      },
    })
  })
}

export const answerJson: Handler = (_, response) => {
  response.setHeader('content-type', 'application/json').end('{"jsonrpc":"2.0","id":1,"result":{}}')
}
