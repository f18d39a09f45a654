// A legacy client that loses its connections on purpose, and comes back behind the last event that it has seen.
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { SseParser } from '../../src/wire/sse-frame.ts'

// Tests read whatever shape they expect.
// oxlint-disable-next-line typescript/no-explicit-any
type Message = any

/** What one connection brought. */
export interface Stretch {
  readonly status: number
  /** It ended by itself, not by our dropping it. */
  readonly whole: boolean
  /** The body of what is no stream. */
  readonly text: string
}

export interface StretchOptions {
  /** Drops the connection when so many messages have come on it. */
  readonly dropAfter?: number
  /** Drops it after so long. */
  readonly dropAfterMs?: number
}

/** One stream, over as many connections as it takes. */
export class DroppingStream {
  readonly #session: DroppingClient
  readonly messages: Message[] = []
  readonly ids: string[] = []
  lastEventId: string | undefined

  constructor(session: DroppingClient) {
    this.#session = session
  }

  /** Sends a request, whose answer is the stream. */
  post(body: object, options: StretchOptions = {}): Promise<Stretch> {
    return this.#stretch('POST', options, JSON.stringify({ jsonrpc: '2.0', ...body }))
  }

  /** Goes on behind the last event; without one it opens the session's own stream. */
  resume(options: StretchOptions = {}): Promise<Stretch> {
    return this.#stretch('GET', options)
  }

  #stretch(method: string, { dropAfter, dropAfterMs }: StretchOptions, body?: string): Promise<Stretch> {
    const resumed = method === 'GET' && this.lastEventId !== undefined
    const headers = { ...this.#session.headers, ...(resumed && { 'last-event-id': this.lastEventId }) }
    return new Promise((done) => {
      let came = 0
      let text = ''
      let status = 0
      const end = (whole: boolean): void => {
        clearTimeout(timer)
        sent.destroy()
        done({ status, whole, text })
      }
      let timer = setTimeout(() => end(false), 60_000)
      const take = (response: IncomingMessage): void => {
        status = response.statusCode ?? 0
        if (dropAfterMs !== undefined) {
          clearTimeout(timer)
          timer = setTimeout(() => end(false), dropAfterMs)
        }
        const isStream = response.headers['content-type'] === 'text/event-stream'
        const parser = new SseParser(64 * 1024 * 1024, ({ id, data }) => {
          // What was in the same packet as the message before the drop was not received.
          if (dropAfter !== undefined && came >= dropAfter) return
          if (id !== undefined) this.#see(id)
          if (!data || data.length === 0) return
          this.messages.push(JSON.parse(data.toString()))
          came++
        })
        response.on('data', (chunk: Buffer) => {
          if (isStream) parser.push(chunk)
          else text += chunk.toString()
          if (dropAfter !== undefined && came >= dropAfter) end(false)
        })
        response.on('end', () => end(true))
        response.on('error', () => end(false))
      }
      const sent = httpRequest(this.#session.url, { method, headers, agent: false }, take)
      sent.on('error', () => end(false))
      sent.end(body)
    })
  }

  #see(id: string): void {
    this.lastEventId = id
    this.ids.push(id)
  }

  /** The numbers counted, and what the call was answered with. */
  get counted(): { numbers: number[]; answers: Message[] } {
    return {
      numbers: this.messages
        .filter(({ method }) => method !== undefined)
        .map(({ params }) => params.progress ?? params.data),
      answers: this.messages.filter(({ method }) => method === undefined),
    }
  }
}

/** One session. */
export class DroppingClient {
  url: string
  readonly headers: Record<string, string>

  constructor(url: string, credential: string, version = '2025-11-25') {
    this.url = url
    this.headers = {
      authorization: `Bearer ${credential}`,
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      'mcp-protocol-version': version,
    }
  }

  async open(): Promise<this> {
    const params = {
      protocolVersion: this.headers['mcp-protocol-version'],
      capabilities: {},
      clientInfo: { name: 'dropping', version: '1' },
    }
    const { 'mcp-protocol-version': _, ...headers } = this.headers
    const body = JSON.stringify({ jsonrpc: '2.0', id: 'init', method: 'initialize', params })
    const response = await fetch(this.url, { method: 'POST', headers, body })
    const text = await response.text()
    const token = response.headers.get('mcp-session-id')
    if (token === null) throw new Error(`initialize → ${response.status} ${text}`)
    this.headers['mcp-session-id'] = token
    const note = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' })
    await fetch(this.url, { method: 'POST', headers: this.headers, body: note })
    return this
  }

  stream(): DroppingStream {
    return new DroppingStream(this)
  }
}

/** A call of the counting tool. */
export const countTo = (id: string | number, to: number, { everyMs = 1, size = 0 } = {}): object => ({
  id,
  method: 'tools/call',
  params: { name: 'count', arguments: { to, everyMs, size }, _meta: { progressToken: id } },
})
