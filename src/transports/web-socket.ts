// WebSocket towards clients, both eras: subprotocol `mcp`, one JSON-RPC message a text frame.
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import { asGatewayError, GatewayError } from '../base/errors.ts'
import { Channel, type ChannelOptions } from './channel/channel.ts'
import type { Channels } from './channel/channels.ts'
import { rpcError } from './rpc-error.ts'
import type { Target } from './target.ts'
import { WebSocketLine } from './channel/web-socket-line.ts'

export interface WebSocketsOptions extends ChannelOptions {
  readonly channels: Channels
  /** How often a client is pinged; one that has not answered by the next ping is cut off. */
  readonly pingMs: number
}

/** A connection that wants to become a WebSocket, as `node:http` hands it over. */
export interface Upgrade {
  readonly request: IncomingMessage
  readonly socket: Duplex
  /** What came behind the head of the request. */
  readonly head: Buffer
}

const subprotocol = 'mcp'

/** The subprotocols that a client offers, in its order. */
export const offeredProtocols = ({ headers }: IncomingMessage): readonly string[] =>
  (headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')

export class WebSockets {
  readonly #options: WebSocketsOptions
  readonly #server: WebSocketServer

  constructor(options: WebSocketsOptions) {
    this.#options = options
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: options.maxBodyBytes,
      handleProtocols: () => subprotocol,
    })
  }

  /** Why a connection cannot be taken; to be asked before `accept`. */
  fault(request: IncomingMessage, { principal }: Target): GatewayError | undefined {
    const offered = offeredProtocols(request)
    if (offered.length > 0 && !offered.includes(subprotocol))
      return new GatewayError('invalid_request', { detail: `Offer the subprotocol ${subprotocol}.` })
    return this.#options.channels.fault(principal)
  }

  /** Takes the connection; a handshake that is none is refused by the library, in HTTP. */
  accept({ request, socket, head }: Upgrade, target: Target): void {
    // Set by `tollbridge connect`, which speaks stdio with its own client.
    const isStdio = request.headers['tollbridge-client-transport'] === 'stdio'
    this.#server.handleUpgrade(request, socket, head, (webSocket) => {
      const { channels, pingMs } = this.#options
      const line = new WebSocketLine(webSocket, socket)
      const channel: Channel = new Channel(
        this.#options,
        { target, transport: isStdio ? 'stdio' : 'websocket', eras: 'both' },
        { line, onGone: () => channels.remove(channel) },
      )
      webSocket.on('message', (data, isBinary) => {
        if (isBinary) channel.close('binary')
        else take(channel, data as Buffer)
      })
      channels.add(channel, pingMs)
      channel.start()
    })
  }
}

function take(channel: Channel, data: Buffer): void {
  try {
    const fault = channel.receive(data, channel.origin.target.principal, () => {})
    if (fault) channel.send(rpcError(fault, null))
  } catch (thrown) {
    channel.send(rpcError(asGatewayError(thrown), null))
  }
}
