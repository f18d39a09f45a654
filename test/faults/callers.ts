// MCP clients of both eras over plain HTTP, as simple as a client can be: they show exactly what was answered.
import type { ApiCaller } from '../harness/gateway.ts'

export type Era = 'legacy' | 'modern'
export const eras: readonly Era[] = ['legacy', 'modern']

/** What came back for one request. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  /** The record's id, where the request was recorded. */
  readonly callId: string | undefined
  /** The JSON-RPC message with the request's id: the JSON body, or the event of the stream that carries it. */
  // Tests read whatever shape they expect.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly message: any
  /** Messages with an id and without a method that came in this answer. */
  readonly answers: number
  readonly text: string
}

export interface CallOptions {
  readonly id?: string | number
  /** `work` by default. */
  readonly tool?: string
  readonly arguments?: object
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
  readonly meta?: object
}

/** No answer in this time is a caller that was forgotten. */
const patienceMs = 20_000
const modernVersion = '2026-07-28'
const modernMeta = {
  'io.modelcontextprotocol/protocolVersion': modernVersion,
  'io.modelcontextprotocol/clientInfo': { name: 'faults', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
}

/** One client: a legacy one has a session of its own once `open` has resolved; a modern one needs none. */
export class McpClient {
  readonly era: Era
  readonly url: string
  readonly #credential: string
  #session: string | undefined
  #lastId = 0

  constructor(endpoint: string, credential: string, era: Era) {
    this.url = endpoint
    this.#credential = credential
    this.era = era
  }

  get session(): string | undefined {
    return this.#session
  }

  async open(): Promise<this> {
    if (this.era === 'modern') return this
    const params = {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'faults', version: '1' },
    }
    const answer = await this.#post({ jsonrpc: '2.0', id: 'init', method: 'initialize', params }, {})
    if (!answer.message?.result) throw new Error(`initialize → ${answer.status} ${answer.text}`)
    this.#session = answer.headers.get('mcp-session-id') ?? undefined
    const done = await this.notify('notifications/initialized')
    if (done.status !== 202) throw new Error(`initialized → ${done.status} ${done.text}`)
    return this
  }

  /** `tools/call`; rejects where the connection breaks before the whole answer came. */
  call(options: CallOptions = {}): Promise<Answer> {
    const { id = ++this.#lastId, tool = 'work' } = options
    const meta = this.era === 'modern' ? { ...modernMeta, ...options.meta } : options.meta
    const params = { name: tool, arguments: options.arguments ?? {}, ...(meta && { _meta: meta }) }
    const mirrored = { 'mcp-method': 'tools/call', 'mcp-name': tool }
    const headers = { ...(this.era === 'modern' && mirrored), ...options.headers }
    return this.#post({ jsonrpc: '2.0', id, method: 'tools/call', params }, headers, options.signal)
  }

  /** Any other request; its id is the method's name. */
  request(method: string): Promise<Answer> {
    const isModern = this.era === 'modern'
    const params = isModern ? { _meta: modernMeta } : {}
    return this.#post(
      { jsonrpc: '2.0', id: method, method, params },
      isModern ? { 'mcp-method': method } : {},
    )
  }

  notify(method: string, params: object = {}): Promise<Answer> {
    return this.#post({ jsonrpc: '2.0', method, params }, {})
  }

  /** The legacy stream of unsolicited messages, or the modern `subscriptions/listen`, unread. */
  listen(): Promise<Response> {
    if (this.era === 'legacy') return fetch(this.url, { headers: this.#headers({}) })
    const body = {
      jsonrpc: '2.0',
      id: 'listen',
      method: 'subscriptions/listen',
      params: { _meta: modernMeta },
    }
    const headers = this.#headers({ 'mcp-method': body.method, 'content-type': 'application/json' })
    return fetch(this.url, { method: 'POST', headers, body: JSON.stringify(body) })
  }

  close(): Promise<Response> {
    return fetch(this.url, { method: 'DELETE', headers: this.#headers({}) })
  }

  async #post(
    body: { readonly id?: string | number; readonly [member: string]: unknown },
    headers: Readonly<Record<string, string>>,
    signal?: AbortSignal,
  ): Promise<Answer> {
    const response = await fetch(this.url, {
      method: 'POST',
      headers: this.#headers({ 'content-type': 'application/json', ...headers }),
      body: JSON.stringify(body),
      signal: AbortSignal.any([AbortSignal.timeout(patienceMs), ...(signal ? [signal] : [])]),
    })
    const text = await response.text()
    const messages = messagesIn(text, response.headers.get('content-type') ?? '')
    const answers = messages.filter((message) => message.id !== undefined && message.method === undefined)
    return {
      status: response.status,
      headers: response.headers,
      callId: response.headers.get('tollbridge-call-id') ?? undefined,
      message: answers.find((message) => message.id === body.id) ?? answers[0],
      answers: answers.length,
      text,
    }
  }

  #headers(more: Readonly<Record<string, string>>): Record<string, string> {
    return {
      accept: 'application/json, text/event-stream',
      authorization: `Bearer ${this.#credential}`,
      ...(this.era === 'modern' && { 'mcp-protocol-version': modernVersion }),
      ...(this.#session !== undefined && { 'mcp-session-id': this.#session }),
      ...more,
    }
  }
}

interface AnyMessage {
  readonly id?: unknown
  readonly method?: unknown
}

/** The messages of a body. As the SDK's clients do, an event that is no JSON is passed over. */
function messagesIn(text: string, contentType: string): AnyMessage[] {
  if (!contentType.startsWith('text/event-stream')) return parse(text)
  return text.split(/\r?\n\r?\n/).flatMap((event) =>
    parse(
      event
        .split(/\r?\n/)
        .filter((line) => line.startsWith('data:'))
        .map((line) => line.slice(5).trim())
        .join('\n'),
    ),
  )
}

function parse(text: string): AnyMessage[] {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? [value] : []
  } catch {
    return []
  }
}

/** The refusal's name, wherever the gateway put it: a tool result, a JSON-RPC error, or a problem of the API. */
export function refusalCode(answer: Answer): string | undefined {
  const { message } = answer
  return message?.result?.structuredContent?.code ?? message?.error?.data?.code ?? message?.code
}

/** Whether the server's own result was answered. */
export const isAnswered = (answer: Answer): boolean =>
  answer.status === 200 && answer.message?.result !== undefined && answer.message.result.isError !== true

/** A client with an API key of this caller, which outlives restarts of the gateway. */
export async function newKey(caller: ApiCaller, name = 'faults'): Promise<string> {
  const { key } = await caller.ok('POST', '/api/v1/keys', { name })
  return key as string
}
