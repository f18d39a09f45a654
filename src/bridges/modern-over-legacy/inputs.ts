// What a server has asked of one call's caller and not been told yet.
import { isObject } from '../../base/is-object.ts'
import {
  inputRequiredResult,
  isInputResponse,
  judgeServerRequest,
  toLegacyResponse,
  type InputRequest,
} from '../../eras/modern-client-legacy-server/inputs.ts'
import type { Json } from '../../eras/json-object.ts'
import type { JsonRpcError, JsonRpcMessage, JsonRpcRequest, RequestId } from '../../wire/json-rpc.ts'
import type { LegacySession, Said } from './session.ts'

interface Outstanding {
  /** The server's own id of its request. */
  readonly id: RequestId
  readonly writtenId: RequestId
  readonly session: LegacySession
  readonly input: InputRequest
  /** How often the caller has been asked. */
  asked: number
}

export interface InputsOptions {
  /** What is asked within this time goes into one round. */
  readonly collectMs: number
  /** How often a caller is asked for the same. */
  readonly maxAsks: number
  /** Ends the caller's round with `asResult`, unless nobody is there to be asked now or no more calls may wait. */
  readonly ask: () => 'asked' | 'nobody' | 'no-room'
  /** The server does not take an answer to what it asked. */
  readonly onRefused: () => void
}

/** A server asks for little at a time; one that floods is refused. */
const maxOutstanding = 64

export class Inputs {
  readonly #call: { readonly request: JsonRpcRequest; readonly capabilities: Json }
  readonly #options: InputsOptions
  readonly #outstanding = new Map<string, Outstanding>()
  #timer: NodeJS.Timeout | undefined
  #count = 0
  #missing: Record<string, unknown> | undefined

  constructor(
    call: { readonly request: JsonRpcRequest; readonly capabilities: Json },
    options: InputsOptions,
  ) {
    this.#call = call
    this.#options = options
  }

  /** Capabilities that the server needed and the caller does not declare; undefined where there are none. */
  get missing(): Json | undefined {
    return this.#missing
  }

  /** A request of the server: asked of the caller with the next round, answered, or refused. */
  add(session: LegacySession, { message, written }: Said): void {
    const { request, capabilities } = this.#call
    const asked = written as JsonRpcRequest
    const own = { id: message.id as RequestId, writtenId: asked.id, session }
    const verdict = judgeServerRequest(asked, { method: request.method, capabilities })
    if (verdict.kind === 'answer') return reply(own, toLegacyResponse(own.id, verdict.result))
    if (verdict.kind === 'refuse') {
      if (verdict.requiredCapabilities) this.#missing = merged(this.#missing, verdict.requiredCapabilities)
      return refuse(own, verdict.error)
    }
    if (this.#outstanding.size >= maxOutstanding)
      return refuse(own, { code: -32600, message: 'Too much is asked of the client at once.' })
    const key = `input-${++this.#count}`
    this.#outstanding.set(key, { ...own, input: verdict.input, asked: 0 })
    this.#askSoon()
  }

  /** The server does not want to know any more. */
  withdraw(id: unknown): void {
    for (const [key, asked] of this.#outstanding) if (asked.id === id) this.#outstanding.delete(key)
  }

  /** The round that asks for everything outstanding. */
  asResult(requestState: string): Json {
    const entries = [...this.#outstanding].map(([key, { input }]) => [key, input] as const)
    return inputRequiredResult(Object.fromEntries(entries), requestState)
  }

  /** What is wrong with a caller's responses; undefined where nothing is. Those to nothing that was asked do not matter. */
  faultOf(responses: Json): string | undefined {
    for (const [key, { input }] of this.#outstanding) {
      const response = responses[key]
      if (response !== undefined && !isInputResponse(input, response))
        return `inputResponses["${key}"] is no result of ${input.method}.`
    }
    return undefined
  }

  /**
   * Passes a caller's responses on to the server. What is left is asked again (MCP 2026-07-28, "Multi Round-Trip
   * Requests: Error Handling"), and refused towards the server where the caller was asked often enough.
   */
  answer(responses: Json): void {
    for (const [key, asked] of this.#outstanding) {
      const response = responses[key]
      if (isObject(response)) {
        this.#outstanding.delete(key)
        reply(asked, toLegacyResponse(asked.id, response), this.#options.onRefused)
      } else if (asked.asked >= this.#options.maxAsks) {
        this.#outstanding.delete(key)
        refuse(asked, { code: -32603, message: 'The client did not answer.' })
      }
    }
    this.#askSoon()
  }

  /** Refuses everything outstanding towards the server. */
  refuseAll(message: string): void {
    const left = [...this.#outstanding.values()]
    this.clear()
    for (const asked of left) refuse(asked, { code: -32603, message })
  }

  clear(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#outstanding.clear()
  }

  #askSoon(): void {
    if (this.#outstanding.size === 0) return
    this.#timer ??= setTimeout(() => this.#ask(), this.#options.collectMs).unref()
  }

  #ask(): void {
    this.#timer = undefined
    if (this.#outstanding.size === 0) return
    const verdict = this.#options.ask()
    if (verdict === 'asked') for (const asked of this.#outstanding.values()) asked.asked++
    if (verdict === 'no-room')
      this.refuseAll('Too many calls wait for input at this gateway; try again later.')
  }
}

type Asked = Pick<Outstanding, 'id' | 'writtenId' | 'session'>

const reply = ({ session, writtenId }: Asked, answer: JsonRpcMessage, onRefused = () => {}): void =>
  session.tell(answer, { written: { ...answer, id: writtenId }, onRefused })

const refuse = (asked: Asked, error: JsonRpcError): void =>
  reply(asked, { jsonrpc: '2.0', id: asked.id, error })

/** Both requirements; members of the same capability side by side. */
function merged(known: Json | undefined, more: Json): Record<string, unknown> {
  const both: Record<string, unknown> = { ...known }
  for (const [name, wanted] of Object.entries(more)) {
    const own = both[name]
    both[name] = isObject(own) && isObject(wanted) ? { ...own, ...wanted } : wanted
  }
  return both
}
