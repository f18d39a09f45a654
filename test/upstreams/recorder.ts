// A scriptable stub MCP server of both eras that keeps every request it saw, byte for byte; for black-box tests.
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { answer, sendJson } from './replies.ts'
import type { Reply } from './replies.ts'

/** A JSON-RPC message as it came; `params._meta` decides the era. */
export interface StubMessage {
  readonly jsonrpc?: string
  readonly id?: string | number | null
  readonly method?: string
  readonly params?: Readonly<Record<string, unknown>> & { readonly _meta?: Readonly<Record<string, unknown>> }
  readonly result?: unknown
  readonly error?: unknown
}

/** One HTTP request that reached the stub. */
export interface Hit {
  readonly httpMethod: string
  /** Path and query. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
  /** Names and values in turn, spelled and ordered as they came. */
  readonly rawHeaders: readonly string[]
  readonly body: Buffer
  /** The parsed body; undefined for GET and DELETE, for batches and for what is not JSON. */
  readonly message: StubMessage | undefined
  readonly era: 'legacy' | 'modern'
  /** Milliseconds since the epoch, once the whole request was read. */
  readonly atMs: number
  /** True once the caller closed the connection before the answer was complete. */
  aborted: boolean
}

/** What a reply works with. */
export interface Exchange {
  readonly hit: Hit
  readonly message: StubMessage
  readonly response: ServerResponse
  readonly recorder: Recorder
}

export interface RecorderOptions {
  /** 0, the default, takes any free port. */
  readonly port?: number
  /** 127.0.0.1 by default. */
  readonly host?: string
  /** Both eras by default. A `modern` stub refuses `initialize` with -32022, a `legacy` one wants a session. */
  readonly era?: 'both' | 'legacy' | 'modern'
  /** Names in `tools/list`; any other name is served too. `['work']` by default. */
  readonly tools?: readonly string[]
  /** Whether `initialize` mints a session id that later requests must name; true by default. */
  readonly sessions?: boolean
  /** How `tools/call` is answered from the start; see `Recorder.reply`. */
  readonly reply?: Reply
}

const protocolKey = 'io.modelcontextprotocol/protocolVersion'

/** The running stub. Everything it saw is in `hits`, in order of arrival. */
export class Recorder {
  readonly hits: Hit[] = []
  /** Session ids that are alive. */
  readonly sessions = new Set<string>()
  readonly #options: RecorderOptions
  readonly #server = createServer((request, response) => void this.#serve(request, response))
  readonly #scripts = new Map<string, Reply>()
  readonly #queue: Reply[] = []
  readonly #streams = new Map<ServerResponse, string | undefined>()
  readonly #waiting = new Set<() => void>()
  readonly #answers = new Map<string | number, (message: StubMessage) => void>()

  constructor(options: RecorderOptions) {
    this.#options = options
    if (options.reply) this.reply(options.reply)
  }

  /** The MCP endpoint. */
  get url(): string {
    return `http://${this.#options.host ?? '127.0.0.1'}:${(this.#server.address() as AddressInfo).port}/mcp`
  }

  /** The `tools/call` requests so far, all or those of one tool. */
  calls(tool?: string): Hit[] {
    return this.hits.filter(
      ({ message }) =>
        message?.method === 'tools/call' && (tool === undefined || message.params?.['name'] === tool),
    )
  }

  /** Answers every `tools/call` from now on like this. */
  reply(reply: Reply): void {
    this.on('tools/call', reply)
  }

  /** Answers the next `tools/call` like this, once; several queue up. */
  once(reply: Reply): void {
    this.#queue.push(reply)
  }

  /** Answers a JSON-RPC method, or the HTTP methods `GET` and `DELETE`, like this from now on. */
  on(method: string, reply: Reply): void {
    this.#scripts.set(method, reply)
  }

  /** Forgets every session, as a restarted server does: requests that name one get 404. */
  forgetSessions(): void {
    this.sessions.clear()
  }

  /** Sends a message on the open GET streams, of all sessions or of one; answers how many heard it. */
  push(message: object, sessionId?: string): number {
    let heard = 0
    for (const [response, session] of this.#streams) {
      if (sessionId !== undefined && session !== sessionId) continue
      response.write(`event: message\ndata: ${JSON.stringify(message)}\n\n`)
      heard++
    }
    return heard
  }

  /** Resolves once `condition` holds; it is looked at after each request and each lost connection. */
  async until(condition: (recorder: Recorder) => boolean, timeoutMs = 10_000): Promise<void> {
    const deadline = Date.now() + timeoutMs
    while (!condition(this)) {
      const leftMs = deadline - Date.now()
      if (leftMs <= 0) throw new Error(`not so within ${timeoutMs} ms; ${this.hits.length} requests seen`)
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer)
          this.#waiting.delete(done)
          resolve()
        }
        const timer = setTimeout(done, leftMs)
        this.#waiting.add(done)
      })
    }
  }

  /** The client's answer to a request that the stub sent with this id. */
  async answerTo(id: string | number): Promise<StubMessage> {
    return new Promise((resolve) => this.#answers.set(id, resolve))
  }

  /** Listens; called by `startRecorder`. */
  async listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(this.#options.port ?? 0, this.#options.host ?? '127.0.0.1', resolve)
    })
  }

  /** Closes the port and every connection. */
  async stop(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve())
      this.#server.closeAllConnections()
    })
  }

  #changed(): void {
    for (const done of this.#waiting) done()
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const hit = await readHit(request)
      this.hits.push(hit)
      response.once('close', () => {
        hit.aborted = !response.writableFinished
        this.#streams.delete(response)
        this.#changed()
      })
      this.#changed()
      const exchange = { hit, message: hit.message ?? {}, response, recorder: this }
      await (this.#refusal(hit) ?? this.#replyFor(hit))(exchange)
    } catch {
      // The caller hung up, or a script failed: either way there is nobody to answer.
      response.destroy()
    }
  }

  /** What era and session rules say against a request. */
  #refusal(hit: Hit): Reply | undefined {
    const { era = 'both', sessions = true } = this.#options
    const { message } = hit
    if (hit.httpMethod === 'POST' && !message) return rpcRefusal(400, -32700, 'Parse error')
    if (era === 'modern' && hit.era === 'legacy' && message?.method !== undefined)
      return rpcRefusal(400, -32022, 'Unsupported protocol version', {
        supported: ['2026-07-28'],
        requested: message.params?.['protocolVersion'] ?? null,
      })
    const session = hit.headers['mcp-session-id']
    if (typeof session === 'string' && sessions && !this.sessions.has(session) && hit.era === 'legacy')
      return rpcRefusal(404, -32001, 'Session not found')
    const stateless = hit.era === 'modern' && era !== 'legacy'
    if (sessions && session === undefined && !stateless && message?.method !== 'initialize')
      return rpcRefusal(400, -32000, 'Session id required')
    return undefined
  }

  #replyFor({ httpMethod, message, era }: Hit): Reply {
    if (httpMethod === 'GET') return this.#scripts.get('GET') ?? openStream(this.#streams)
    if (httpMethod === 'DELETE') return this.#scripts.get('DELETE') ?? endSession
    const method = message?.method
    if (method === undefined) return takeAnswer(this.#answers)
    const scripted = (method === 'tools/call' ? this.#queue.shift() : undefined) ?? this.#scripts.get(method)
    if (scripted) return scripted
    if (message?.id === undefined) return accepted
    if (method === 'tools/call') return answer()
    const tools = (this.#options.tools ?? ['work']).map((name) => ({
      name,
      description: `does ${name}`,
      inputSchema: { type: 'object' },
    }))
    const serverInfo = { name: 'recorder', version: '1.0.0' }
    if (method === 'initialize') return openSession(serverInfo, this.#options.sessions ?? true)
    const cache = era === 'modern' ? { ttlMs: 0, cacheScope: 'private' } : {}
    if (method === 'tools/list') return answer({ ...cache, tools })
    if (method === 'server/discover' && era === 'modern')
      return answer({ ...cache, supportedVersions: ['2026-07-28'], capabilities: { tools: {} }, serverInfo })
    if (method === 'ping') return answer({})
    return rpcRefusal(era === 'modern' ? 404 : 200, -32601, 'Method not found')
  }
}

/** Starts a stub; stop it with its `stop`. */
export async function startRecorder(options: RecorderOptions = {}): Promise<Recorder> {
  const recorder = new Recorder(options)
  await recorder.listen()
  return recorder
}

async function readHit(request: IncomingMessage): Promise<Hit> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  const body = Buffer.concat(chunks)
  let message: StubMessage | undefined
  try {
    const parsed: unknown = JSON.parse(body.toString())
    if (typeof parsed === 'object' && parsed && !Array.isArray(parsed)) message = parsed
  } catch {
    // Kept as bytes only.
  }
  const named = request.headers['mcp-protocol-version']
  const claims = message?.params?._meta?.[protocolKey] !== undefined
  return {
    httpMethod: request.method ?? '',
    path: request.url ?? '',
    headers: request.headers,
    rawHeaders: request.rawHeaders,
    body,
    message,
    era: claims || (typeof named === 'string' && named >= '2026-07-28') ? 'modern' : 'legacy',
    atMs: Date.now(),
    aborted: false,
  }
}

const rpcRefusal =
  (status: number, code: number, text: string, data?: unknown): Reply =>
  ({ message, response }) =>
    sendJson(response, { id: message.id ?? null, error: { code, message: text, data } }, { status })

const accepted: Reply = ({ response }) => void response.writeHead(202).end()

const openSession =
  (serverInfo: object, sessions: boolean): Reply =>
  ({ message, response, recorder }) => {
    const id = sessions ? randomUUID() : undefined
    if (id !== undefined) recorder.sessions.add(id)
    const protocolVersion = message.params?.['protocolVersion'] ?? '2025-11-25'
    const result = { protocolVersion, capabilities: { tools: { listChanged: true } }, serverInfo }
    sendJson(
      response,
      { id: message.id, result },
      { headers: id === undefined ? {} : { 'mcp-session-id': id } },
    )
  }

const openStream =
  (streams: Map<ServerResponse, string | undefined>): Reply =>
  ({ hit, response }) => {
    const session = hit.headers['mcp-session-id']
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
    streams.set(response, typeof session === 'string' ? session : undefined)
  }

const endSession: Reply = ({ hit, response, recorder }) => {
  recorder.sessions.delete(String(hit.headers['mcp-session-id']))
  response.writeHead(200).end()
}

const takeAnswer =
  (answers: Map<string | number, (message: StubMessage) => void>): Reply =>
  ({ message, response }) => {
    const id = message.id ?? ''
    answers.get(id)?.(message)
    answers.delete(id)
    response.writeHead(202).end()
  }
