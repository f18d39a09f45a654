// What a client is told of payments for single calls: what may be paid, and what became of what was paid.
import { GatewayError } from '../base/errors.ts'
import { isObject } from '../base/is-object.ts'
import { formatAmount } from '../base/money.ts'
import { exactly } from '../eras/exact-json.ts'
import type { JsonRpcMessage } from '../wire/json-rpc.ts'
import type { TakenPayment } from '../x402/payments.ts'
import type { Settlement } from '../x402/settlements.ts'
import type { PaymentRequired } from '../x402/shapes.ts'
import type { Charge } from './charge.ts'
import type { Present } from './presenter.ts'

/** x402 version 2, transport MCP. */
const responseMeta = 'x402/payment-response'

/** The refusal with what may be paid among its data. */
export function withPaymentRequired(refusal: GatewayError, required: PaymentRequired): GatewayError {
  const { code, message: detail, data, retryAfterS, cause } = refusal
  const retry = retryAfterS !== undefined && { retryAfterS }
  return new GatewayError(code, { detail, data: { ...data, ...required }, cause, ...retry })
}

/** Whether a refusal says what may be paid. */
export const asksForPayment = ({ data }: GatewayError): boolean => data['x402Version'] !== undefined

/** What the caller gets instead of an answer whose payment was refused in the end. */
export function paymentFailed({ response }: Settlement, required: PaymentRequired | undefined): GatewayError {
  const data = { ...required, [responseMeta]: response }
  return new GatewayError('payment_failed', { data })
}

/** Refuses a call that its payment does not cover. */
export const shortOf =
  ({ backing }: TakenPayment, { currency }: Pick<Charge, 'currency'>) =>
  (amount: bigint): GatewayError => {
    const [payment, required] = [backing.most, amount].map(formatAmount)
    const detail = `The payment of ${payment} ${currency} does not cover this call, which may cost ${required}.`
    return new GatewayError('balance_exhausted', { detail, data: { payment, required, currency } })
  }

/** Puts the settlement on the answer, besides what else is put there. */
export const withSettlement =
  (present: Present | undefined): Present =>
  (answer, bytes, settled) => {
    const shown = present?.(answer, bytes, settled)
    if (!settled.payment || !answer.result) return shown
    const seen = shown ? (JSON.parse(Buffer.from(shown).toString()) as JsonRpcMessage) : answer
    const message = exactly(seen, shown ?? bytes)
    const meta = message.result?.['_meta']
    const merged = { ...(isObject(meta) && meta), [responseMeta]: settled.payment.response }
    return Buffer.from(JSON.stringify({ ...message, result: { ...message.result, _meta: merged } }))
  }
