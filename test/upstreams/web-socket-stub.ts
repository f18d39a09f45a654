// A scripted WebSocket server for the tests.
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { WebSocketServer, type WebSocket } from 'ws'
import type { Server as RegisteredServer, WebSocketTransport } from '../../src/registry/server.ts'
import type { WebSocketServer as RegisteredWebSocketServer } from '../../src/upstreams/websocket.ts'
import type { StubMessage } from './recorder.ts'
import { cleanups, serverAt } from './http-stub.ts'

export interface SocketScript {
  /** What is selected; `mcp` by default, `none` selects nothing. */
  readonly subprotocol?: string
  /** In place of the handshake. */
  readonly refuse?: { readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  /** Further lines of the handshake's answer. */
  readonly headers?: readonly string[]
  readonly open?: (socket: WebSocket) => void
  /** A message came; `say` answers on its connection. */
  readonly message?: (message: StubMessage, say: (message: unknown) => void, socket: WebSocket) => void
}

export async function webSocketStub(script: SocketScript = {}) {
  const handshakes: Pick<IncomingMessage, 'url' | 'headers'>[] = []
  const frames: string[] = []
  const http = createServer()
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => script.subprotocol ?? 'mcp' })
  sockets.on('headers', (lines) => lines.push(...(script.headers ?? [])))
  http.on('upgrade', (request, socket, head) => {
    handshakes.push({ url: request.url, headers: request.headers })
    socket.on('error', () => {})
    if (script.refuse) {
      const { status, headers = {} } = script.refuse
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
      socket.end(`HTTP/1.1 ${status} x\r\nconnection: close\r\n${lines.join('')}\r\n`)
      return
    }
    // A server that knows no subprotocols does not see the offer.
    if (script.subprotocol === 'none') delete request.headers['sec-websocket-protocol']
    sockets.handleUpgrade(request, socket, head, (opened) => {
      opened.on('error', () => {})
      script.open?.(opened)
      opened.on('message', (data: Buffer) => {
        frames.push(data.toString())
        const say = (message: unknown): void => opened.send(JSON.stringify(message))
        script.message?.(JSON.parse(data.toString()) as StubMessage, say, opened)
      })
    })
  })
  await new Promise<void>((listening) => http.listen(0, '127.0.0.1', listening))
  cleanups.push(() => {
    for (const socket of sockets.clients) socket.terminate()
    http.closeAllConnections()
    http.close()
  })
  return { port: (http.address() as AddressInfo).port, handshakes, frames, clients: sockets.clients, http }
}

export const webSocketServerAt = (
  port: number,
  overrides: Partial<RegisteredServer> = {},
  transport: Partial<WebSocketTransport> = {},
): RegisteredWebSocketServer => ({
  ...serverAt(port, overrides),
  transport: { type: 'websocket', url: `ws://127.0.0.1:${port}/ws`, ...transport },
})
