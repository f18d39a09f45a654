// MCP clients on bare sockets for HTTP+SSE and WebSocket: as little of their own as one message each way takes.
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { initialize, initialized } from './messages.ts'

export interface ChannelTarget {
  readonly host: string
  readonly port: number
  /** Of the MCP endpoint, such as /mcp/NAME. */
  readonly path: string
  readonly token: string
}

export type ChannelKind = 'sse' | 'websocket'

/** A connection that carries whole messages. */
export interface RawChannel {
  onMessage: (text: string) => void
  /** Sends one message; `taken` once another may follow. */
  send(message: object, taken: () => void): void
  onClose: () => void
  close(): void
}

const endOfHead = Buffer.from('\r\n\r\n')
const headOf = ({ host, port, token }: ChannelTarget): string =>
  `host: ${host}:${port}\r\nauthorization: Bearer ${token}\r\n`

/** One keep-alive connection that posts messages, one after the other; it is made for the first of them. */
export class Poster {
  readonly #target: ChannelTarget
  readonly #onError: (error: Error) => void
  #socket: Socket | undefined
  #answer = ''
  #taken: (() => void) | undefined

  constructor(target: ChannelTarget, onError: (error: Error) => void) {
    this.#target = target
    this.#onError = onError
  }

  post(url: string, message: object, taken: () => void): void {
    this.#taken = taken
    this.#socket ??= this.#connect()
    const body = JSON.stringify(message)
    const head = `POST ${url} HTTP/1.1\r\n${headOf(this.#target)}content-type: application/json\r\n`
    this.#socket.write(`${head}content-length: ${body.length}\r\n\r\n${body}`)
  }

  close(): void {
    this.#socket?.destroy()
  }

  #connect(): Socket {
    const socket = connect(this.#target.port, this.#target.host).setNoDelay(true).setEncoding('latin1')
    return socket.on('error', this.#onError).on('data', (text: string) => {
      this.#answer += text
      if (!this.#answer.endsWith('0\r\n\r\n') && !this.#answer.endsWith('\r\n\r\nAccepted')) return
      const answer = this.#answer
      this.#answer = ''
      if (answer.startsWith('HTTP/1.1 202')) this.#taken?.()
      else this.#onError(new Error(`a message was refused: ${answer}`))
    })
  }
}

/** Takes the framing of a chunked body off, piece by piece. */
class ChunkedText {
  #rest = Buffer.alloc(0)

  take(piece: Buffer): string {
    this.#rest = this.#rest.length === 0 ? Buffer.from(piece) : Buffer.concat([this.#rest, piece])
    let text = ''
    for (;;) {
      const lineEnd = this.#rest.indexOf('\r\n')
      if (lineEnd < 0) return text
      const size = Number.parseInt(this.#rest.toString('latin1', 0, lineEnd), 16)
      const end = lineEnd + 2 + size + 2
      if (this.#rest.length < end) return text
      text += this.#rest.toString('utf8', lineEnd + 2, end - 2)
      this.#rest = this.#rest.subarray(end)
    }
  }
}

/** Connects, sends `head`, and hands over what follows the answer's head, whose status must be `status`. */
async function dial(target: ChannelTarget, head: string, status: number): Promise<[Socket, Buffer]> {
  const socket = connect(target.port, target.host).setNoDelay(true)
  socket.write(`GET ${head}\r\n\r\n`)
  let seen = Buffer.alloc(0)
  return new Promise((resolve, reject) => {
    const onData = (piece: Buffer) => {
      seen = Buffer.concat([seen, piece])
      const at = seen.indexOf(endOfHead)
      if (at < 0) return
      socket.off('data', onData).pause()
      const text = seen.toString('latin1')
      if (text.startsWith(`HTTP/1.1 ${status}`)) resolve([socket, seen.subarray(at + endOfHead.length)])
      else reject(new Error(text))
    }
    socket.on('data', onData).once('error', reject)
    socket.once('close', () => reject(new Error('the connection was closed before an answer came')))
  })
}

/** Opens a stream of HTTP+SSE whose messages go out over `poster`; resolves once its `endpoint` is known. */
async function openSse(target: ChannelTarget, poster: Poster): Promise<RawChannel> {
  const head = `${target.path}/sse HTTP/1.1\r\n${headOf(target)}accept: text/event-stream`
  const [socket, first] = await dial(target, head, 200)
  const chunks = new ChunkedText()
  let text = ''
  let url = ''
  return new Promise((resolve) => {
    const channel: RawChannel = {
      onMessage: () => undefined,
      onClose: () => undefined,
      send: (message, taken) => poster.post(url, message, taken),
      close: () => socket.destroy(),
    }
    const take = (piece: Buffer) => {
      text += chunks.take(piece)
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const event = text.slice(0, end)
        text = text.slice(end + 2)
        const data = /^data: ?(.*)$/m.exec(event)?.[1]
        if (data === undefined) continue
        if (url !== '') channel.onMessage(data)
        else {
          url = data
          resolve(channel)
        }
      }
    }
    socket.on('close', () => channel.onClose())
    take(first)
    socket.on('data', take).resume()
  })
}

const opcodes = { text: 1, ping: 9, pong: 10 }

/** A frame as clients send it, masked. */
function frameOf(opcode: number, payload: Buffer): Buffer {
  const mask = randomBytes(4)
  const { length } = payload
  const head = length < 126 ? Buffer.from([0x80 | opcode, 0x80 | length]) : Buffer.alloc(4)
  if (length >= 126) {
    head.set([0x80 | opcode, 0x80 | 126])
    head.writeUInt16BE(length, 2)
  }
  const masked = payload.map((byte, index) => byte ^ (mask[index & 3] ?? 0))
  return Buffer.concat([head, mask, masked])
}

/** Reads whole frames off the front of `bytes`; answers what is left. None is as long as 64 KB here. */
function readFrames(bytes: Buffer, frame: (opcode: number, payload: Buffer) => void): Buffer {
  let rest = bytes
  for (;;) {
    if (rest.length < 2) return rest
    const short = (rest[1] ?? 0) & 0x7f
    const start = short === 126 ? 4 : 2
    if (rest.length < start) return rest
    const end = start + (short === 126 ? rest.readUInt16BE(2) : short)
    if (rest.length < end) return rest
    frame((rest[0] ?? 0) & 0x0f, rest.subarray(start, end))
    rest = rest.subarray(end)
  }
}

async function openWebSocket(target: ChannelTarget): Promise<RawChannel> {
  const upgrade = 'connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n'
  const key = `sec-websocket-key: ${randomBytes(16).toString('base64')}\r\nsec-websocket-protocol: mcp`
  const head = `${target.path}/ws HTTP/1.1\r\n${headOf(target)}${upgrade}${key}`
  const [socket, first] = await dial(target, head, 101)
  const channel: RawChannel = {
    onMessage: () => undefined,
    onClose: () => undefined,
    send: (message, taken) => {
      socket.write(frameOf(opcodes.text, Buffer.from(JSON.stringify(message))))
      taken()
    },
    close: () => socket.destroy(),
  }
  let rest: Buffer = Buffer.from(first)
  const take = (piece: Buffer) => {
    rest = readFrames(rest.length === 0 ? piece : Buffer.concat([rest, piece]), (opcode, payload) => {
      if (opcode === opcodes.text) channel.onMessage(payload.toString())
      else if (opcode === opcodes.ping) socket.write(frameOf(opcodes.pong, payload))
    })
  }
  socket.on('close', () => channel.onClose())
  socket.on('data', take).resume()
  return channel
}

/** Opens a channel; an SSE stream's messages go out over `poster`. */
export const openChannel = (kind: ChannelKind, target: ChannelTarget, poster: Poster): Promise<RawChannel> =>
  kind === 'sse' ? openSse(target, poster) : openWebSocket(target)

/** Makes the channel a legacy session. */
export async function greet(channel: RawChannel): Promise<void> {
  const answer = await new Promise<string>((resolve) => {
    let text = ''
    let taken = false
    const both = () => {
      if (taken && text !== '') resolve(text)
    }
    channel.onMessage = (said) => {
      text = said
      both()
    }
    channel.send(initialize, () => {
      taken = true
      both()
    })
  })
  if (!answer.includes('"protocolVersion"')) throw new Error(`initialize was answered with ${answer}`)
  await new Promise<void>((taken) => channel.send(initialized, taken))
}
