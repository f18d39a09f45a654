// A gateway with servers behind it and raw clients of each transport in front of it, which see every message.
import { createRequire } from 'node:module'
import { get, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { WebSocket } from 'ws'
import { addServer, startTestGateway, type ApiCaller, type TestGateway } from '../harness/gateway.ts'
import { until } from '../harness/until.ts'
import { startDualEra, type DualEra } from '../upstreams/dual-era.ts'
import { startRecorder, type Recorder } from '../upstreams/recorder.ts'

// Tests read whatever shape they expect.
// oxlint-disable-next-line typescript/no-explicit-any
export type Json = any

const everything = createRequire(import.meta.url).resolve(
  '@modelcontextprotocol/server-everything/dist/index.js',
)

export interface Rig {
  readonly gateway: TestGateway
  readonly recorder: Recorder
  readonly fixture: DualEra
  readonly ann: ApiCaller
  readonly bob: ApiCaller
  /** What ann's calls left, newest first. */
  records(query?: string): Promise<Json[]>
  /** How many sessions of ann are open. */
  openSessions(): Promise<number>
  stop(): Promise<void>
}

/** Servers `recorder` and `fixture` over HTTP and `everything` over stdio; a tool call costs a cent. */
export async function startRig(env: Record<string, string> = {}): Promise<Rig> {
  const [recorder, fixture] = await Promise.all([startRecorder(), startDualEra()])
  const gateway = await startTestGateway({ env: { TOLLBRIDGE_STDIO_ALLOW: process.execPath, ...env } })
  await addServer(gateway, 'recorder', recorder.url)
  await addServer(gateway, 'fixture', fixture.url)
  await gateway.admin.ok('POST', '/api/v1/servers', {
    name: 'everything',
    access: 'authenticated',
    transport: { type: 'stdio', command: process.execPath, args: [everything, 'stdio'] },
  })
  const rule = { name: 'tools', currency: 'USD', match: { tool: '*' }, price: { perCall: '0.01' } }
  await gateway.admin.ok('POST', '/api/v1/billing/rules', { priority: 1, active: true, ...rule })
  const ann = await gateway.member('ann', { grant: '100' })
  const bob = await gateway.member('bob')
  const records = (query = '') => ann.all(`/api/v1/billing/usage?user=${ann.userId}${query}`)
  return {
    gateway,
    recorder,
    fixture,
    ann,
    bob,
    records,
    openSessions: async () => {
      const all: { status: string }[] = await ann.all('/api/v1/sessions')
      return all.filter(({ status }) => !['closed', 'expired'].includes(status)).length
    },
    stop: async () => {
      await gateway.stop()
      await Promise.all([recorder.stop(), fixture.stop()])
    },
  }
}

export const initialize = (protocolVersion = '2025-11-25', capabilities: object = {}) => ({
  jsonrpc: '2.0',
  id: 'init',
  method: 'initialize',
  params: { protocolVersion, capabilities, clientInfo: { name: 'raw', version: '1' } },
})
export const initialized = { jsonrpc: '2.0', method: 'notifications/initialized' }
export const meta = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
}
export const toolCall = (id: unknown, name = 'work', params: object = {}) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, arguments: {}, ...params },
})
export const cancelled = (requestId: unknown) => ({
  jsonrpc: '2.0',
  method: 'notifications/cancelled',
  params: { requestId },
})
export const bearer = (caller: ApiCaller) => ({ authorization: `Bearer ${caller.credential}` })

/** A client that sends messages and keeps all that comes. */
export interface RawClient {
  readonly heard: Json[]
  say(message: unknown): Promise<{ status: number; json: Json }>
  /** The first message that fits, once it is there. */
  first(fits: (message: Json) => boolean, what?: string): Promise<Json>
  answer(id: unknown): Promise<Json>
  shakeHands(protocolVersion?: string, capabilities?: object): Promise<Json>
  readonly closed: () => boolean
  /** Vanishes without a word. */
  cut(): void
}

type Saying = Pick<RawClient, 'heard' | 'say' | 'closed' | 'cut'>

function withWords(saying: Saying): RawClient {
  const { heard, say } = saying
  const first: RawClient['first'] = async (fits, what = 'a message') => {
    const found = (): Json => heard.flat().find(fits)
    await until(() => found() !== undefined, what)
    return found()
  }
  const answer = (id: unknown) =>
    first((one) => one.id === id && one.method === undefined, `answer ${String(id)}`)
  return {
    ...saying,
    first,
    answer,
    shakeHands: async (protocolVersion, capabilities) => {
      await say(initialize(protocolVersion, capabilities))
      const opened = await answer('init')
      await say(initialized)
      return opened
    },
  }
}

export interface RawSse extends RawClient {
  readonly head: IncomingMessage
  /** All that came, as text. */
  readonly text: () => string
  /** Path of the endpoint that messages go to. */
  readonly endpoint: string
  readonly pause: () => void
}

/** Opens a stream and waits for its first event. `path` is that of the stream; `headers` also go with the messages. */
export async function openSse(base: string, path: string, headers: Record<string, string>): Promise<RawSse> {
  const heard: Json[] = []
  let text = ''
  let closed = false
  const head = await new Promise<IncomingMessage>((resolve, reject) => {
    get(base + path, { headers: { accept: 'text/event-stream', ...headers }, agent: false }, resolve).on(
      'error',
      reject,
    )
  })
  if (head.statusCode !== 200) throw new Error(`${path} → ${head.statusCode}`)
  let seen = 0
  head.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
    for (let end = text.indexOf('\n\n', seen); end >= 0; end = text.indexOf('\n\n', seen)) {
      const block = text.slice(seen, end)
      seen = end + 2
      const data = block.split('\n').flatMap((line) => (line.startsWith('data: ') ? [line.slice(6)] : []))
      if (block.startsWith('event: message')) heard.push(JSON.parse(data.join('\n')))
    }
  })
  head.on('error', () => {}).on('close', () => (closed = true))
  await until(() => text.includes('\n\n'), 'the first event')
  const endpoint = /^event: endpoint\ndata: (\S+)\n\n/.exec(text)?.[1] ?? ''
  const say = async (message: unknown) => {
    const body = typeof message === 'string' ? message : JSON.stringify(message)
    const sent = { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body }
    const response = await fetch(base + endpoint, sent)
    const answered = await response.text()
    return { status: response.status, json: response.status < 300 ? answered : JSON.parse(answered) }
  }
  const client = withWords({ heard, say, closed: () => closed, cut: () => head.socket.destroy() })
  return { ...client, head, endpoint, text: () => text, pause: () => void head.pause() }
}

export interface RawWebSocket extends RawClient {
  readonly socket: WebSocket
  /** Close code and reason, once it is closed. */
  readonly closing: () => readonly [number, string] | undefined
}

/** Opens a WebSocket; rejects with the status where the gateway refuses. */
export async function openWebSocket(
  base: string,
  path: string,
  given: { headers?: Record<string, string>; protocols?: string[]; origin?: string } = {},
): Promise<RawWebSocket> {
  const { headers = {}, protocols = ['mcp'], origin } = given
  const socket = new WebSocket(base.replace(/^http/, 'ws') + path, protocols, {
    headers,
    ...(origin && { origin }),
  })
  const heard: Json[] = []
  let closing: readonly [number, string] | undefined
  socket.on('message', (data: Buffer) => heard.push(JSON.parse(data.toString())))
  socket.on('close', (code, reason) => (closing = [code, reason.toString()]))
  await new Promise((resolve, reject) => {
    socket.once('open', resolve)
    socket.once('error', reject)
  })
  socket.on('error', () => {})
  const say = (message: unknown) => {
    socket.send(typeof message === 'string' ? message : JSON.stringify(message))
    return Promise.resolve({ status: 0, json: undefined })
  }
  const closed = (): boolean => closing !== undefined
  const client = withWords({ heard, say, closed, cut: () => socket.terminate() })
  return { ...client, socket, closing: () => closing }
}

/** The answer to an upgrade, as text: head and body. */
export function upgrade(base: string, path: string, headers: Record<string, string>): Promise<string> {
  const { hostname, port } = new URL(base)
  const all = {
    host: `${hostname}:${port}`,
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    ...headers,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname)
    let text = ''
    const done = (): void => {
      socket.destroy()
      resolve(text)
    }
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      const [head = '', body = ''] = text.split('\r\n\r\n')
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? Infinity)
      if (text.startsWith('HTTP/1.1 101') || body.length >= length) done()
    })
    socket.on('close', done).on('error', reject)
    socket.write(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`)
  })
}
