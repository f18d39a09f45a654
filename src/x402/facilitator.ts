// The facilitator over HTTP: what it supports, whether a payment is good, and its settlement. Bounded in time and size.
import { isObject } from '../base/is-object.ts'
import { x402Version, type Payment, type Requirements, type SettlementResponse } from './shapes.ts'

export interface FacilitatorOptions {
  /** Without a slash at its end. */
  readonly url: string
  readonly token?: string | undefined
  readonly timeoutMs: number
  /** Ends what is under way. */
  readonly stop: AbortSignal
}

export interface SupportedKind {
  readonly scheme: string
  readonly network: string
  readonly extra: Readonly<Record<string, unknown>>
}

export type Verdict =
  | { readonly kind: 'valid' }
  | { readonly kind: 'invalid'; readonly reason: string }
  | { readonly kind: 'unknown' }

export type SettleVerdict =
  | { readonly kind: 'settled'; readonly response: SettlementResponse }
  | { readonly kind: 'refused'; readonly response: SettlementResponse }
  /** `sent`: it may have been settled all the same. */
  | { readonly kind: 'unknown'; readonly sent: boolean }

type Json = Readonly<Record<string, unknown>>
type Answer = { readonly status: number; readonly body: Json } | { readonly sent: boolean }

const maxAnswerBytes = 64 * 1024
/** Failures in which no byte of the request can have arrived. */
const unsent = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'])

export class Facilitator {
  readonly #options: FacilitatorOptions

  constructor(options: FacilitatorOptions) {
    this.#options = options
  }

  /** Undefined where it does not say. */
  async supported(): Promise<readonly SupportedKind[] | undefined> {
    const answer = await this.#ask('/supported')
    const kinds = 'body' in answer && answer.status === 200 ? answer.body['kinds'] : undefined
    if (!Array.isArray(kinds)) return undefined
    return kinds.flatMap((kind: unknown) => {
      if (!isObject(kind) || kind['x402Version'] !== x402Version) return []
      const { scheme, network, extra } = kind
      if (typeof scheme !== 'string' || typeof network !== 'string') return []
      return [{ scheme, network, extra: isObject(extra) ? extra : {} }]
    })
  }

  async verify(payment: Payment, requirements: Requirements): Promise<Verdict> {
    const answer = await this.#ask('/verify', bodyOf(payment, requirements))
    if (!('body' in answer) || answer.status >= 500) return { kind: 'unknown' }
    const { isValid, invalidReason } = answer.body
    if (isValid === true && answer.status === 200) return { kind: 'valid' }
    return isValid === false ? { kind: 'invalid', reason: reasonOf(invalidReason) } : { kind: 'unknown' }
  }

  /** `requirements.amount` is what is to be settled. */
  async settle(payment: Payment, requirements: Requirements): Promise<SettleVerdict> {
    const answer = await this.#ask('/settle', bodyOf(payment, requirements))
    if (!('body' in answer)) return { kind: 'unknown', sent: answer.sent }
    const { success, transaction, payer, errorReason } = answer.body
    const { network, amount } = requirements
    const said = {
      transaction: shortText(transaction) ?? '',
      network,
      ...(shortText(payer) !== undefined && { payer: shortText(payer) ?? '' }),
    }
    if (success === true && answer.status === 200)
      return { kind: 'settled', response: { success, ...said, amount } }
    if (success !== false || answer.status >= 500) return { kind: 'unknown', sent: true }
    return { kind: 'refused', response: { success, errorReason: reasonOf(errorReason), ...said } }
  }

  async #ask(path: string, body?: object): Promise<Answer> {
    const { url, token, timeoutMs, stop } = this.#options
    try {
      const response = await fetch(url + path, {
        method: body ? 'POST' : 'GET',
        redirect: 'error',
        signal: AbortSignal.any([stop, AbortSignal.timeout(timeoutMs)]),
        headers: {
          accept: 'application/json',
          ...(body && { 'content-type': 'application/json' }),
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
        },
        ...(body && { body: JSON.stringify(body) }),
      })
      const parsed: unknown = JSON.parse(await boundedText(response))
      return isObject(parsed) ? { status: response.status, body: parsed } : { sent: true }
    } catch (error) {
      return { sent: !unsent.has(codeOf(error)) }
    }
  }
}

const bodyOf = (paymentPayload: Payment, paymentRequirements: Requirements) => ({
  x402Version,
  paymentPayload,
  paymentRequirements,
})

async function boundedText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body ?? []) {
    length += chunk.length
    if (length > maxAnswerBytes) throw new Error('the answer of the facilitator is too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function codeOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined
  const code = isObject(cause) ? cause['code'] : undefined
  return typeof code === 'string' ? code : ''
}

const shortText = (value: unknown): string | undefined =>
  typeof value === 'string' && /^[\w:.-]{0,200}$/.test(value) ? value : undefined

/** A code that callers may read; anything else is not passed on. */
const reasonOf = (value: unknown): string =>
  typeof value === 'string' && /^[\w .:-]{1,100}$/.test(value) ? value : 'rejected'
