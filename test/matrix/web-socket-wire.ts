// A WebSocket as a transport of the official SDK, for either end: subprotocol `mcp`, one JSON-RPC message a text frame.
import type { JSONRPCMessage, Transport } from '@modelcontextprotocol/server'
import { WebSocket } from 'ws'

/** Speaks over a socket that is open or still opening; `start` waits until it is open. */
export class WebSocketWire implements Transport {
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: (message: JSONRPCMessage) => void
  readonly #socket: WebSocket

  constructor(socket: WebSocket) {
    this.#socket = socket
  }

  start(): Promise<void> {
    const socket = this.#socket
    socket.on('message', (data: Buffer) => {
      try {
        this.onmessage?.(JSON.parse(data.toString()) as JSONRPCMessage)
      } catch (error) {
        this.onerror?.(error as Error)
      }
    })
    socket.once('close', () => this.onclose?.())
    return new Promise((resolve, reject) => {
      socket.on('error', (error) => {
        this.onerror?.(error)
        reject(error)
      })
      if (socket.readyState === WebSocket.OPEN) resolve()
      else socket.once('open', () => resolve())
    })
  }

  send(message: JSONRPCMessage): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.send(JSON.stringify(message), (error) => (error ? reject(error) : resolve()))
    })
  }

  close(): Promise<void> {
    this.#socket.close()
    return Promise.resolve()
  }
}
