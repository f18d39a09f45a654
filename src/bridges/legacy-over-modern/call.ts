// One request of a legacy client at a modern server: sent with its metadata, asked back for as often as the server wants input.
import { exactly } from '../../eras/exact-json.ts'
import { planRound, retryParams } from '../../eras/input-round.ts'
import type { Json } from '../../eras/json-object.ts'
import {
  headerMismatch,
  legacyAnswer,
  modernHeaders,
  modernMessage,
  unsupportedVersion,
  type LegacyClient,
} from '../../eras/legacy-client-modern-server.ts'
import { errorResponse, isRequest, isResponse } from '../../wire/json-rpc.ts'
import type { JsonRpcMessage, JsonRpcRequest, RequestId } from '../../wire/json-rpc.ts'
import type {
  UpstreamExchange,
  UpstreamFailure,
  UpstreamHead,
  UpstreamMessage,
  UpstreamRequest,
  UpstreamSink,
} from '../../upstreams/upstream.ts'
import { Questions } from './questions.ts'
import { asMessage, cannotCarry, noWay } from '../own-texts.ts'
import { isComment, ModernLeg, type LegHost } from './leg.ts'

export interface RoundLimits {
  /** Rounds of input in one call. */
  readonly maxRounds: number
  /** Questions in one round. */
  readonly maxQuestions: number
  /** How long the client may take for the answers of a round. */
  readonly roundTimeoutMs: number
  /** Before the retry of a round without questions, so that no loop runs hot. */
  readonly pacingMs: number
}

/** What a call asks of the session's bridge. */
export interface CallHost extends LegHost {
  readonly limits: RoundLimits
  readonly mintId: () => string
  /** An id for a question to the client, whose answer then comes to `answered`. */
  ask(call: LegacyCall): string
  forget(questionId: string): void
  /** Takes a message that belongs to the standing stream. */
  divert(message: UpstreamMessage): boolean
  toolSchema(tool: string, fresh: boolean): Promise<unknown>
  /** The server answered as none of the modern era does. */
  doubtEra(): void
  finished(call: LegacyCall): void
}

export type AskingRequest = UpstreamRequest & { readonly message: JsonRpcRequest }

/** Its sink hears exactly one `end` or `fail`, and nothing after `abort`. */
export class LegacyCall implements UpstreamExchange {
  readonly #request: AskingRequest
  readonly #client: LegacyClient
  readonly #sink: UpstreamSink
  readonly #host: CallHost
  #leg: ModernLeg | undefined
  #params: Json | undefined
  #schema: unknown
  #schemaIsFresh = false
  #rounds = 0
  /** The round that waits for the client. */
  #questions: Questions | undefined
  #timer: NodeJS.Timeout | undefined
  #headed = false
  /** Ended, in whatever way. */
  #silent = false
  #aborted = false
  #paused = false

  constructor(request: AskingRequest, sink: UpstreamSink, at: { client: LegacyClient; host: CallHost }) {
    this.#request = request
    this.#sink = sink
    this.#client = at.client
    this.#host = at.host
  }

  get id(): RequestId {
    return this.#request.message.id
  }

  start(): this {
    const tool = this.#tool
    if (tool === undefined) this.#dispatch()
    else this.#dispatchWithSchema(tool, false)
    return this
  }

  abort(): void {
    this.#aborted = true
    if (!this.#silent) this.#leave()
  }

  pause(): void {
    this.#paused = true
    this.#leg?.setPaused(true)
  }

  resume(): void {
    this.#paused = false
    this.#leg?.setPaused(false)
  }

  /** The client has cancelled: nobody waits for an answer any more. */
  cancel(): void {
    if (this.#silent) return
    this.#leave()
    queueMicrotask(() => {
      if (this.#aborted) return
      if (!this.#headed) this.#sink.head({ status: 202, contentType: 'none' })
      this.#sink.end()
    })
  }

  /** The session has ended. */
  close(): void {
    this.#fail({ stage: 'call', message: 'The session was closed.', sent: true })
  }

  /** The client's answer to one of the questions. `exact` is the same message, for writing it. */
  answered(questionId: string, message: JsonRpcMessage, exact: JsonRpcMessage): void {
    const problem = this.#questions?.take(questionId, message, exact)
    if (problem !== undefined) this.#giveUpRound(problem)
    else if (this.#questions?.complete) this.#retry(this.#questions)
  }

  /** The tool that is called: its schema says which arguments stand in headers. */
  get #tool(): string | undefined {
    const { method, params } = this.#request.message
    const name = method === 'tools/call' ? params?.['name'] : undefined
    return typeof name === 'string' ? name : undefined
  }

  #dispatchWithSchema(tool: string, fresh: boolean): void {
    // Without the schema the call is still sent: most tools mirror nothing, and a server that misses a header says so.
    const found = this.#host.toolSchema(tool, fresh).catch(() => undefined)
    void found.then((schema) => {
      if (this.#silent) return
      this.#schema = schema
      this.#dispatch()
    })
  }

  #dispatch(): void {
    const { message, body } = this.#request
    let leg: ModernLeg
    try {
      leg = new ModernLeg(this.#host, this.#rounds === 0 ? message.id : undefined)
    } catch (cause) {
      return queueMicrotask(() => this.#onFail(noWay(cause)))
    }
    this.#leg = leg
    const change = { id: leg.id, ...(this.#params && { params: this.#params }) }
    const text = JSON.stringify(modernMessage(exactly(message, body), this.#client, change))
    const mine = (act: () => void): void => {
      if (this.#leg === leg) act()
    }
    leg.send(
      { ...readBack(text), headers: modernHeaders(message, this.#client, this.#schema) },
      {
        head: (head) => mine(() => this.#onHead(leg, head)),
        message: (received) => mine(() => this.#onMessage(leg, received)),
        end: () => mine(() => this.#onEnd(leg)),
        fail: (failure) =>
          mine(() => {
            leg.ended = true
            this.#onFail(failure)
          }),
      },
    )
    if (this.#paused) leg.setPaused(true)
  }

  #onHead(leg: ModernLeg, { status, contentType }: UpstreamHead): void {
    leg.status = status
    // These are about the gateway's credential and the server's health. Any other refusal comes in the message.
    const isTrouble = status === 401 || status === 403 || status >= 500 || (status >= 300 && status < 400)
    if (isTrouble) this.#head({ status, contentType })
    else if (contentType === 'event-stream') this.#head({ status: 200, contentType })
  }

  #onMessage(leg: ModernLeg, received: UpstreamMessage): void {
    const { message, bytes } = received
    if (leg.answered) return
    if (!message) return this.#onBare(leg, received)
    if (isResponse(message)) return this.#onAnswer(leg, message, bytes)
    // The modern era has no requests of servers.
    if (isRequest(message) || this.#host.divert(received)) return
    this.#passOn({ message, bytes })
  }

  #onBare(leg: ModernLeg, { bytes, frame }: UpstreamMessage): void {
    if (frame) {
      if (isComment(frame)) this.#passOn({ message: undefined, bytes, frame })
    } else if (isRefusal(leg.status)) this.#onStatusAlone(leg)
    else this.#failCall('the server answered with something that is no JSON-RPC message')
  }

  #onAnswer(leg: ModernLeg, message: JsonRpcMessage, bytes: Uint8Array): void {
    const isBlank = (message.id ?? null) === null && message.error !== undefined
    if (message.id !== leg.id && !isBlank)
      return this.#failCall('the server answered with an id that was not asked')
    leg.answered = true
    try {
      const exact = exactly(message, bytes)
      if (message.result?.['resultType'] === 'input_required') this.#ask(exact.result ?? {})
      else if (!this.#triesFreshSchema(leg, message)) this.#final(leg, message, exact)
    } catch (cause) {
      // What cannot be written again nests deeper than any reader would follow.
      if (!(cause instanceof RangeError)) throw cause
      this.#failCall("the server's answer nests too deeply")
    }
  }

  #final(leg: ModernLeg, message: JsonRpcMessage, exact: JsonRpcMessage): void {
    if (message.error && isForeign(leg.status, message.error.code)) this.#host.doubtEra()
    const { revision } = this.#client
    const request = this.#request.message
    const answer = legacyAnswer(request, message, revision)
    const written = exact === message ? answer : legacyAnswer(request, exact, revision)
    this.#answer({ message: answer, bytes: Buffer.from(JSON.stringify(written)) })
  }

  /** A server refuses a call whose headers do not mirror its arguments before it runs, so it may be sent again. */
  #triesFreshSchema(leg: ModernLeg, { error }: JsonRpcMessage): boolean {
    const tool = this.#tool
    if (error?.code !== headerMismatch || leg.status !== 400) return false
    if (this.#schemaIsFresh || tool === undefined) return false
    this.#schemaIsFresh = true
    this.#endLeg()
    this.#dispatchWithSchema(tool, true)
    return true
  }

  #onEnd(leg: ModernLeg): void {
    leg.ended = true
    if (this.#questions) return this.#endLeg()
    if (leg.answered) {
      this.#leave()
      this.#sink.end()
    } else if (isRefusal(leg.status)) this.#onStatusAlone(leg)
    else this.#failCall('the server ended its answer without a result')
  }

  /** A status without a JSON-RPC message. To a legacy client a bare 404 would mean that its session is lost. */
  #onStatusAlone({ status }: ModernLeg): void {
    this.#host.doubtEra()
    this.#finish(errorResponse(this.id, { code: -32000, message: `The MCP server answered ${status}` }))
  }

  #onFail(failure: UpstreamFailure): void {
    // The interim answer is here already; whether there still is a way shows at the retry.
    if (this.#questions) return this.#endLeg()
    // What ran in an earlier round may not be told as never sent.
    this.#fail({ ...failure, sent: failure.sent || this.#rounds > 0 })
  }

  #ask(result: Json): void {
    const host = this.#host
    const { maxRounds, maxQuestions, roundTimeoutMs, pacingMs } = host.limits
    if (++this.#rounds > maxRounds)
      return this.#refuse(
        `The MCP server asked for input more than ${maxRounds} times in one call; try again.`,
      )
    const { revision, capabilities } = this.#client
    const round = planRound(result, { revision, capabilities, maxQuestions, mintId: host.mintId })
    if (round.kind === 'refuse') return this.#refuse(round.detail)
    const questions = new Questions(result, round.questions, {
      take: () => host.ask(this),
      free: (id) => host.forget(id),
    })
    this.#questions = questions
    if (questions.complete) return this.#after(pacingMs, () => this.#retry(questions))
    this.#after(roundTimeoutMs, () =>
      this.#giveUpRound("The client did not answer the MCP server's questions in time; try again."),
    )
    for (const text of questions.requests()) if (this.#questions === questions) this.#passOn(asMessage(text))
  }

  #after(delayMs: number, act: () => void): void {
    this.#timer = setTimeout(act, delayMs)
    this.#timer.unref()
  }

  #retry({ result, answers }: Questions): void {
    const { message, body } = this.#request
    this.#params = retryParams(exactly(message, body).params, result, answers)
    this.#endRound()
    this.#endLeg()
    this.#dispatch()
  }

  /** Takes the open questions back and answers the call with an error. */
  #giveUpRound(detail: string): void {
    for (const text of this.#questions?.withdrawals() ?? []) this.#passOn(asMessage(text))
    this.#refuse(detail)
  }

  #refuse(detail: string): void {
    this.#finish(cannotCarry(this.id, detail))
  }

  /** Ends with an answer of the bridge's own. */
  #finish(text: string): void {
    this.#answer(asMessage(text))
    if (this.#silent) return
    this.#leave()
    this.#sink.end()
  }

  #failCall(message: string): void {
    this.#fail({ stage: 'call', message, sent: true })
  }

  #fail(failure: UpstreamFailure): void {
    if (this.#silent) return
    this.#leave()
    this.#sink.fail(failure)
  }

  #head(head: UpstreamHead): void {
    if (this.#headed || this.#silent) return
    this.#headed = true
    this.#sink.head(head)
  }

  /** One message before the answer. */
  #passOn(message: UpstreamMessage): void {
    this.#head({ status: 200, contentType: 'event-stream' })
    if (!this.#silent) this.#sink.message(message)
  }

  #answer(message: UpstreamMessage): void {
    this.#head({ status: 200, contentType: 'json' })
    if (!this.#silent) this.#sink.message(message)
  }

  /** Frees everything; the sink hears no more of the server. */
  #leave(): void {
    this.#silent = true
    this.#endRound()
    this.#endLeg()
    this.#host.finished(this)
  }

  #endRound(): void {
    clearTimeout(this.#timer)
    this.#questions?.close()
    this.#questions = undefined
  }

  #endLeg(): void {
    this.#leg?.end()
    this.#leg = undefined
  }
}

const readBack = (text: string): Pick<UpstreamRequest, 'body' | 'message'> => ({
  body: Buffer.from(text),
  message: JSON.parse(text) as JsonRpcMessage,
})

const isRefusal = (status: number): boolean => status >= 400 && status < 500

/** Refusals that only a server without the modern era, or without this revision of it, gives. */
const isForeign = (status: number, code: number): boolean =>
  code === unsupportedVersion || (isRefusal(status) && code <= -32000 && code >= -32019)
