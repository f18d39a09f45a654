// The ways in which the recorder answers a request: rightly, late, in pieces, wrongly, or not at all.
import { setTimeout as sleep } from 'node:timers/promises'
import type { ServerResponse } from 'node:http'
import type { Exchange } from './recorder.ts'

/** Answers one exchange, or deliberately does not. */
export type Reply = (exchange: Exchange) => void | Promise<void>

/** Writes a whole JSON-RPC message as the answer. */
export function sendJson(
  response: ServerResponse,
  message: object,
  { status = 200, headers = {} }: { status?: number; headers?: Record<string, string> } = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(JSON.stringify({ jsonrpc: '2.0', ...message }))
}

const event = (message: object) =>
  `event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`
const openSse = (response: ServerResponse) => {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
  response.flushHeaders()
}
/** Modern results say that they are complete (SEP-2322); legacy results have no such member. */
const resultOf = ({ hit, message }: Exchange, result?: object): object => {
  const own = result ?? {
    content: [{ type: 'text', text: `done ${JSON.stringify(message.params?.['arguments'] ?? {})}` }],
  }
  return hit.era === 'modern' ? { resultType: 'complete', ...own } : own
}

/** A result as one JSON body; without an argument a text that repeats the call's arguments. */
export const answer =
  (result?: object): Reply =>
  (exchange) =>
    sendJson(exchange.response, { id: exchange.message.id, result: resultOf(exchange, result) })

/** A result that says the tool failed. */
export const toolError = (text = 'the tool failed'): Reply =>
  answer({ content: [{ type: 'text', text }], isError: true })

/** A JSON-RPC error, with HTTP 200 unless said otherwise. */
export const rpcError =
  (code: number, text = 'failed', { status = 200, data }: { status?: number; data?: unknown } = {}): Reply =>
  ({ message, response }) =>
    sendJson(response, { id: message.id ?? null, error: { code, message: text, data } }, { status })

/** Another reply, later. */
export const delayed =
  (delayMs: number, reply: Reply = answer()): Reply =>
  async (exchange) => {
    await sleep(delayMs)
    await reply(exchange)
  }

/** Waits for a promise of the test before it answers, so that a test decides when. */
export const after =
  (gate: Promise<unknown>, reply: Reply = answer()): Reply =>
  async (exchange) => {
    await gate
    await reply(exchange)
  }

/** A result as the last event of an SSE stream, after `steps` progress notifications every `everyMs`. */
export const streamed =
  ({ steps = 0, everyMs = 20, result }: { steps?: number; everyMs?: number; result?: object } = {}): Reply =>
  async (exchange) => {
    const { message, response } = exchange
    const progressToken = message.params?._meta?.['progressToken']
    openSse(response)
    for (let progress = 1; progress <= steps; progress++) {
      const params = { progressToken, progress, total: steps }
      response.write(event({ method: 'notifications/progress', params }))
      await sleep(everyMs)
    }
    response.end(event({ id: message.id, result: resultOf(exchange, result) }))
  }

/** An SSE stream that ends, or breaks, without the answer; resumable where events carry an id. */
export const streamCut =
  ({ ids = false, reset = false }: { ids?: boolean; reset?: boolean } = {}): Reply =>
  ({ message, response }) => {
    openSse(response)
    if (ids) response.write(`id: ${String(message.id)}-0\nretry: 50\ndata: \n\n`)
    const params = { progressToken: message.params?._meta?.['progressToken'] ?? 0, progress: 1 }
    response.write(event({ method: 'notifications/progress', params }), () => {
      if (reset) response.socket?.resetAndDestroy()
      else response.end()
    })
  }

/** No answer; the connection stays open until the caller or `stop` closes it. */
export const hang = (): Reply => () => undefined

/** The connection is reset without a byte of answer. */
export const reset = (): Reply => (exchange) => void exchange.response.socket?.resetAndDestroy()

/** Head and half of the announced body, then the connection closes. */
export const halfBody = (): Reply => (exchange) => {
  const { message, response } = exchange
  const body = JSON.stringify({ jsonrpc: '2.0', id: message.id, result: resultOf(exchange) })
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length })
  response.write(body.slice(0, body.length >> 1), () => response.destroy())
}

/** A good result under an id that nobody asked with. */
export const wrongId =
  (id: string | number = 'not-yours'): Reply =>
  (exchange) =>
    sendJson(exchange.response, { id, result: resultOf(exchange) })

/** Any body, status and headers, written as given. */
export const raw =
  (
    body: string | Uint8Array,
    { status = 200, headers = {} }: { status?: number; headers?: Record<string, string> } = {},
  ): Reply =>
  ({ response }) =>
    void response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body)

/** A page where JSON was expected. */
export const notJson = (status = 200): Reply =>
  raw('<html><body>It works!</body></html>', { status, headers: { 'content-type': 'text/html' } })

/** A result with a text of this many bytes. */
export const bigAnswer = (bytes: number): Reply =>
  answer({ content: [{ type: 'text', text: 'x'.repeat(bytes) }] })

/** A redirect, which must not be followed. */
export const redirect = (location: string, status = 307): Reply => raw('', { status, headers: { location } })

/** 404 as from a server that lost its session; the session is gone from the recorder too. */
export const sessionLost = (): Reply => (exchange) => {
  exchange.recorder.sessions.delete(String(exchange.hit.headers['mcp-session-id']))
  return rpcError(-32001, 'Session not found', { status: 404 })(exchange)
}

/**
 * Asks the user in the middle of the call. Legacy: `elicitation/create` on the call's stream, the result after the
 * client's answer. Modern: an `input_required` result, and the final one for the retry that carries `inputResponses`.
 */
export const elicit =
  (text = 'What is your name?'): Reply =>
  async (exchange) => {
    const { hit, message, response, recorder } = exchange
    const requestedSchema = { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] }
    const params = { mode: 'form', message: text, requestedSchema }
    const done = (given: unknown) => ({ content: [{ type: 'text', text: JSON.stringify(given ?? null) }] })
    if (hit.era === 'modern') {
      const given = message.params?.['inputResponses']
      if (given !== undefined) return answer(done(given))(exchange)
      const inputRequests = { question: { method: 'elicitation/create', params } }
      return answer({ resultType: 'input_required', inputRequests, requestState: 'asked-once' })(exchange)
    }
    const id = `ask-${String(message.id)}`
    openSse(response)
    const answered = recorder.answerTo(id)
    response.write(event({ id, method: 'elicitation/create', params }))
    response.end(event({ id: message.id, result: done((await answered).result) }))
  }
