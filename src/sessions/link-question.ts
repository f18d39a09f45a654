// A refusal that its user can lift at a link, as a question: the user is sent there, to pay or to consent, and the call comes back.
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { isObject } from '../base/is-object.ts'
import { exactly } from '../eras/exact-json.ts'
import { without } from '../eras/json-object.ts'
import { errorResponse, isRequest, resultResponse, type JsonRpcMessage } from '../wire/json-rpc.ts'
import { metaKeys } from '../wire/protocol-version.ts'
import { asksForPayment } from './payment-answers.ts'
import type { RefusalAnswer } from './refusal.ts'
import type { Incoming } from './incoming.ts'
import { fingerprint } from './replays.ts'

/** Seals a state that the client carries; what was changed opens to nothing. */
export interface StateSeal {
  seal(text: string): string
  open(sealed: string): string | undefined
}

export interface LinkQuestionOptions {
  readonly seal: StateSeal
  readonly clock: Clock
  /** How long the user may take. */
  readonly ttlMs: number
}

const statePrefix = 'tollbridge-link.'
/** What is asked, by the code of the refusal: its key, and where the link stands in the refusal. */
const questions: Readonly<Record<string, { readonly key: string; readonly member: string }>> = {
  balance_exhausted: { key: 'topUp', member: 'topUpUrl' },
  authorization_required: { key: 'authorization', member: 'authorizationUrl' },
}
/** What may be answered by a question (MCP 2026-07-28, "Multi Round-Trip Requests"). */
const roundMethods = new Set(['tools/call', 'prompts/get', 'resources/read'])
/** MCP 2025-11-25, "URL Mode Elicitation": URLElicitationRequiredError. */
const urlRequired = -32042
/** The first revision that knows of it. */
const urlModeSince = '2025-11-25'
const stale =
  'This request state is not valid any more, or is another request’s; send the call again without it.'

interface State {
  readonly user: string
  readonly account: string
  readonly call: string
  readonly expiresAtMs: number
}

export class LinkQuestion {
  readonly #options: LinkQuestionOptions

  constructor(options: LinkQuestionOptions) {
    this.#options = options
  }

  /**
   * The question to send instead of the refusal of a request that was never sent: error -32042 for a legacy client,
   * `input_required` for a modern one. Undefined where the client does not open URLs, where it was asked already, and
   * where the call is itself a round of another question, whose state would be lost.
   */
  ask(incoming: Incoming, refusal: GatewayError, callId: string): RefusalAnswer | undefined {
    const { message, era, linkAsked } = incoming
    const question = questions[refusal.code]
    const url = question && refusal.data[question.member]
    if (!question || typeof url !== 'string' || linkAsked) return undefined
    // A program that pays for itself needs nobody to ask.
    if (asksForPayment(refusal)) return undefined
    if (!isRequest(message) || !opensUrls(incoming)) return undefined
    // The modern era has no such id, and no notification that would need it.
    const elicitation = { mode: 'url', url, message: refusal.message }
    if (era === 'legacy') {
      const elicitations = [{ ...elicitation, elicitationId: callId }]
      const data = { code: refusal.code, ...refusal.data, elicitations }
      const error = { code: urlRequired, message: refusal.message, data }
      return { status: 200, text: errorResponse(message.id, error) }
    }
    if (!roundMethods.has(message.method)) return undefined
    if (message.params?.['requestState'] !== undefined || message.params?.['inputResponses'] !== undefined)
      return undefined
    const result = {
      resultType: 'input_required',
      inputRequests: { [question.key]: { method: 'elicitation/create', params: elicitation } },
      requestState: this.#stateOf(incoming),
    }
    return { status: 200, text: resultResponse(message.id, result) }
  }

  /**
   * A call that comes back from the question, as it was first sent; the same message where it does not, and
   * `invalid_params` where its state is not of this call and caller, or is too old.
   */
  reopen(incoming: Incoming): Incoming | GatewayError {
    const { message, body } = incoming
    const state = message.params?.['requestState']
    if (typeof state !== 'string' || !state.startsWith(statePrefix)) return incoming
    const first = { ...incoming, message: firstRound(message), linkAsked: true }
    if (!this.#isOf(state, first)) return new GatewayError('invalid_params', { detail: stale })
    return { ...first, body: Buffer.from(JSON.stringify(firstRound(exactly(message, body)))) }
  }

  #stateOf(incoming: Incoming): string {
    const { seal, clock, ttlMs } = this.#options
    const state: State = { ...identityOf(incoming), expiresAtMs: clock.now() + ttlMs }
    return `${statePrefix}${seal.seal(JSON.stringify(state))}`
  }

  #isOf(text: string, incoming: Incoming): boolean {
    const { seal, clock } = this.#options
    const opened = seal.open(text.slice(statePrefix.length))
    if (opened === undefined) return false
    const state = JSON.parse(opened) as State
    const own = identityOf(incoming)
    const isOwn = state.user === own.user && state.account === own.account && state.call === own.call
    return isOwn && clock.now() < state.expiresAtMs
  }
}

/** Possession of a state is no right: it is good for one caller and one call. */
const identityOf = ({ principal, server, message }: Incoming): Omit<State, 'expiresAtMs'> => ({
  user: principal.userId,
  account: principal.accountId,
  call: isRequest(message) ? fingerprint(server.id, message) : '',
})

const firstRound = (message: JsonRpcMessage): JsonRpcMessage => ({
  ...message,
  params: without(message.params ?? {}, 'requestState', 'inputResponses'),
})

/** Whether the client says that it shows URLs to its user. */
function opensUrls({ era, message, session }: Incoming): boolean {
  const capabilities = era === 'legacy' ? declaredAtFirst(message, session) : declaredNow(message)
  const elicitation = isObject(capabilities) ? capabilities['elicitation'] : undefined
  return isObject(elicitation) && isObject(elicitation['url'])
}

function declaredNow({ params }: JsonRpcMessage): unknown {
  const meta = params?.['_meta']
  return isObject(meta) ? meta[metaKeys.clientCapabilities] : undefined
}

/** By the session's initialize, or the one that is refused now. */
function declaredAtFirst(message: JsonRpcMessage, session: Incoming['session']): unknown {
  const body = session?.initializeBody
  const { params } =
    message.method === 'initialize' || !body
      ? message
      : (JSON.parse(Buffer.from(body).toString()) as JsonRpcMessage)
  const version = session?.protocolVersion ?? params?.['protocolVersion']
  return typeof version === 'string' && version >= urlModeSince ? params?.['capabilities'] : undefined
}
