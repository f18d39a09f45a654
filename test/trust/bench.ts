// The bench of the security tests: a gateway, a recording server behind it, two callers, and raw ways to ask.
import { Agent, request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { connect, type Socket } from 'node:net'
import {
  addServer,
  startTestGateway,
  type ApiCaller,
  type GatewayOptions,
  type TestGateway,
} from '../harness/gateway.ts'
import { startRecorder, type Hit, type Recorder, type RecorderOptions } from '../upstreams/recorder.ts'

/** Stands for whatever must never be seen where it does not belong. */
export const sentinel = 'S3nt1nel-5f0c9a1e77'
export const eras = ['modern', 'legacy'] as const
export type Era = (typeof eras)[number]

export interface RawAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  readonly text: string
  // Tests read whatever shape they expect.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly json: any
}

export interface RawRequest {
  readonly method?: string
  /** Sent as it is; nothing is normalised. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string | string[]>>
  readonly body?: string | Uint8Array
}

const agent = new Agent({ keepAlive: true, maxSockets: 256 })

/** One HTTP request, with path and headers as given. An SSE answer is read to its end; its last message is `json`. */
export function send(url: string, request: RawRequest): Promise<RawAnswer> {
  const { hostname, port } = new URL(url)
  const { method = 'GET', path, body } = request
  // Node writes the body of a GET or DELETE without saying how long it is.
  const length =
    body === undefined || request.headers?.['transfer-encoding']
      ? {}
      : { 'content-length': String(Buffer.byteLength(body)) }
  const headers = { ...length, ...request.headers }
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ hostname, port, method, path, headers, agent }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        const { statusCode = 0, headers: answered, rawHeaders } = response
        resolve({ status: statusCode, headers: answered, rawHeaders, text, json: lastMessage(text) })
      })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

/** Every JSON value of an answer: its body, or the data of its events. */
// oxlint-disable-next-line typescript/no-explicit-any
export function messagesOf(text: string): any[] {
  const data = text.split('\n').flatMap((line) => (line.startsWith('data:') ? [line.slice(5).trim()] : []))
  return (data.length > 0 ? data : [text]).flatMap((part) => {
    try {
      return [JSON.parse(part) as unknown]
    } catch {
      return []
    }
  })
}

const lastMessage = (text: string): unknown => messagesOf(text).at(-1)

export interface OpenStream {
  readonly status: number
  readonly text: () => string
  readonly isClosed: () => boolean
  close(): void
}

/** A request whose answer stays open; resolves with its head. */
export function openStream(url: string, request: RawRequest): Promise<OpenStream> {
  const { hostname, port } = new URL(url)
  const { method = 'GET', path, headers = {}, body } = request
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ hostname, port, method, path, headers, agent: false }, (response) => {
      let text = ''
      let closed = false
      response.on('data', (chunk: Buffer) => (text += chunk.toString()))
      response.on('error', () => {})
      response.on('close', () => (closed = true))
      const status = response.statusCode ?? 0
      resolve({ status, text: () => text, isClosed: () => closed, close: () => sent.destroy() })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

export interface Wire {
  readonly socket: Socket
  readonly received: () => string
  readonly isClosed: () => boolean
}

/** A bare connection, for requests that no HTTP client would write. */
export function dial(url: string): Promise<Wire> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  let text = ''
  let closed = false
  socket.on('data', (chunk) => (text += chunk.toString('latin1')))
  socket.on('close', () => (closed = true))
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      socket.on('error', () => {})
      resolve({ socket, received: () => text, isClosed: () => closed })
    })
  })
}

export const jsonHeaders = {
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
} as const
const modernVersion = '2026-07-28'
export const legacyVersion = '2025-11-25'
export const modernMeta = {
  'io.modelcontextprotocol/protocolVersion': modernVersion,
  'io.modelcontextprotocol/clientCapabilities': {},
  'io.modelcontextprotocol/clientInfo': { name: 'probe', version: '1' },
}
export const modernHeaders = (method: string, name?: string): Record<string, string> => ({
  ...jsonHeaders,
  'mcp-protocol-version': modernVersion,
  'mcp-method': method,
  ...(name !== undefined && { 'mcp-name': name }),
})

export interface Message {
  readonly id?: unknown
  readonly method: string
  readonly params?: Readonly<Record<string, unknown>>
}

export const toolCall = (tool: string, args: object = {}, meta: object = {}): Message => ({
  method: 'tools/call',
  params: { name: tool, arguments: args, ...(Object.keys(meta).length > 0 && { _meta: meta }) },
})

/** One client of one MCP endpoint: a credential, and the session that its legacy requests go by. */
export class McpClient {
  readonly url: string
  readonly path: string
  credential: string | undefined
  session: string | undefined

  constructor(caller: Pick<ApiCaller, 'url' | 'credential'>, path: string) {
    this.url = caller.url
    this.path = path
    this.credential = caller.credential
  }

  /** Any body with any headers, besides the credential. */
  post(
    body: string | Uint8Array | object,
    headers: Record<string, string> = jsonHeaders,
  ): Promise<RawAnswer> {
    const bytes = typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body)
    return send(this.url, {
      method: 'POST',
      path: this.path,
      headers: { ...this.own(), ...headers },
      body: bytes,
    })
  }

  own(): Record<string, string> {
    return this.credential === undefined ? {} : { authorization: `Bearer ${this.credential}` }
  }

  /** A request in an era; the legacy one opens a session first, where there is none. */
  async ask(era: Era, message: Message, headers: Record<string, string> = {}): Promise<RawAnswer> {
    const { body, head } = await this.prepare(era, message)
    return this.post(body, { ...head, ...headers })
  }

  async prepare(era: Era, message: Message): Promise<{ body: string; head: Record<string, string> }> {
    const whole = { jsonrpc: '2.0', id: 1, ...message }
    if (era === 'modern') {
      const params = { ...message.params, _meta: { ...modernMeta, ...(message.params?.['_meta'] as object) } }
      const name = message.params?.['name']
      const head = modernHeaders(message.method, typeof name === 'string' ? name : undefined)
      return { body: JSON.stringify({ ...whole, params }), head }
    }
    if (this.session === undefined) await this.open()
    return { body: JSON.stringify(whole), head: this.legacyHeaders() }
  }

  legacyHeaders(): Record<string, string> {
    return {
      ...jsonHeaders,
      'mcp-protocol-version': legacyVersion,
      ...(this.session !== undefined && { 'mcp-session-id': this.session }),
    }
  }

  /** Sends initialize and keeps the session's id. */
  async open(headers: Record<string, string> = {}): Promise<RawAnswer> {
    const params = {
      protocolVersion: legacyVersion,
      capabilities: { elicitation: {} },
      clientInfo: { name: 'probe', version: '1' },
    }
    const answer = await this.post(
      { jsonrpc: '2.0', id: 0, method: 'initialize', params },
      { ...jsonHeaders, ...headers },
    )
    const id = answer.headers['mcp-session-id']
    if (typeof id === 'string') this.session = id
    return answer
  }

  get(headers: Record<string, string> = {}): Promise<OpenStream> {
    const own = { ...this.own(), accept: 'text/event-stream', ...this.legacyHeaders(), ...headers }
    return openStream(this.url, { path: this.path, headers: own })
  }
}

export interface Bench {
  readonly gateway: TestGateway
  readonly upstream: Recorder
  /** Two tenants that share nothing but the server `stub`. */
  readonly a: ApiCaller
  readonly b: ApiCaller
  /** A client of `/mcp/stub`, or of another server. */
  client(caller: Pick<ApiCaller, 'url' | 'credential'>, server?: string): McpClient
  /** What the server saw while `work` ran. */
  hitsDuring(work: () => Promise<unknown>): Promise<Hit[]>
  stop(): Promise<void>
}

/** Starts the bench: server `stub` for every signed-in caller, users `anna` and `bert`. */
export async function startBench(
  options: GatewayOptions = {},
  recorder: RecorderOptions = { tools: ['work', 'ok', 'secret'] },
): Promise<Bench> {
  const upstream = await startRecorder(recorder)
  let gateway: TestGateway | undefined
  try {
    gateway = await startTestGateway(options)
    await addServer(gateway, 'stub', upstream.url)
    const [a, b] = [await gateway.member('anna'), await gateway.member('bert')]
    return makeBench(gateway, upstream, { a, b })
  } catch (error) {
    await gateway?.stop()
    await upstream.stop()
    throw error
  }
}

function makeBench(
  gateway: TestGateway,
  upstream: Recorder,
  { a, b }: { a: ApiCaller; b: ApiCaller },
): Bench {
  return {
    gateway,
    upstream,
    a,
    b,
    client: (caller, server = 'stub') => new McpClient(caller, `/mcp/${server}`),
    hitsDuring: async (work) => {
      const before = upstream.hits.length
      await work()
      return upstream.hits.slice(before).filter((hit) => !isOwnQuestion(hit))
    },
    stop: async () => {
      await gateway.stop()
      await upstream.stop()
    },
  }
}

/** The gateway asks a server once in a while what era it speaks, before the first modern call. */
const isOwnQuestion = ({ message, body }: Hit): boolean =>
  message?.method === 'server/discover' && body.toString().includes('"name":"tollbridge"')

const ownIds = /\b(?:(?:req|ses|usr|key|srv|acc|rul|grt)_[0-9a-z]{26}|use_[0-9a-z]{13,26})\b/g

/**
 * An answer without what differs between any two: dates and ids, the words given in `named`, and whether the connection
 * ends, which is a matter of how much of the request had come by then.
 */
export function essence(answer: RawAnswer, ...named: string[]): object {
  const plain = (text: string): string =>
    named.reduce((rest, word) => rest.replaceAll(word, '(named)'), text).replaceAll(ownIds, '(id)')
  const { date: _, connection: __, 'keep-alive': ___, ...headers } = answer.headers
  const shown = Object.entries(headers).map(([name, value]) => [name, plain(String(value))])
  return { status: answer.status, headers: Object.fromEntries(shown), body: plain(answer.text) }
}

/** The middle of some durations. */
export const median = (values: readonly number[]): number =>
  values.toSorted((x, y) => x - y)[values.length >> 1] ?? Number.NaN
