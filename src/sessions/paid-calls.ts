// Calls that come with a payment of their own: what may be paid for a call, and a charge that the payment backs.
import type { GatewayError } from '../base/errors.ts'
import { isObject } from '../base/is-object.ts'
import { exactly } from '../eras/exact-json.ts'
import { withoutMeta } from '../eras/json-object.ts'
import type { Server } from '../registry/server.ts'
import type { JsonRpcMessage, JsonRpcRequest } from '../wire/json-rpc.ts'
import type { Payments, TakenPayment } from '../x402/payments.ts'
import type { Settlement } from '../x402/settlements.ts'
import type { PayableCall } from '../x402/terms.ts'
import type { Charge } from './charge.ts'
import { paymentFailed, shortOf, withPaymentRequired } from './payment-answers.ts'
import type { Begun, Metering } from './metering.ts'
import { originOf } from './origin.ts'
import type { Asking } from './incoming.ts'
import type { Addressed } from './ways.ts'

/** x402 version 2, transport MCP. */
const paymentMeta = 'x402/payment'

/** A payment as the charge of its call sees it. */
export interface CallPayment extends TakenPayment {
  /** What the caller gets instead of the answer. */
  failure(settlement: Settlement): GatewayError
  /** The payment does not cover `amount`, in nano-units. */
  short(amount: bigint): GatewayError
}

/** Whose call it is, and what the client asked. */
export interface Asked {
  readonly incoming: Asking
  readonly member: Addressed | undefined
}

/** A paid call before it is begun. */
export interface Ready {
  /** Without the payment, which is nobody else's business. */
  readonly incoming: Asking
  /** Holds what the call may cost; to be called once, in the turn in which the call is sent. */
  open(): Begun
  /** The call is not begun after all. */
  drop(): void
}

export interface PaidCallsParts {
  readonly payments: Payments
  readonly metering: Metering
}

export class PaidCalls {
  readonly #parts: PaidCallsParts

  constructor(parts: PaidCallsParts) {
    this.#parts = parts
  }

  /** Whether a message brings a payment. */
  isPaid({ method, params }: JsonRpcRequest): boolean {
    const meta = params?.['_meta']
    return method === 'tools/call' && isObject(meta) && meta[paymentMeta] !== undefined
  }

  /** A refusal for lack of balance with what may be paid instead; any other, and a call that cannot be paid, as it is. */
  offer(refusal: GatewayError, charge: Charge, asked: Asked): GatewayError {
    if (refusal.code !== 'balance_exhausted' || asked.incoming.message.method !== 'tools/call') return refusal
    return this.#offer(refusal, payableOf(charge, asked))
  }

  #offer(refusal: GatewayError, call: PayableCall): GatewayError {
    const required = this.#parts.payments.required(call, refusal.message)
    return required ? withPaymentRequired(refusal, required) : refusal
  }

  /** Takes the payment. A call that costs nothing needs none, and leaves it alone. */
  async ready(asked: Asked): Promise<Ready> {
    const { metering, payments } = this.#parts
    const payment = paymentOf(asked.incoming.message)
    const incoming = withoutPayment(asked.incoming)
    const { member } = asked
    const billed = member?.server ?? incoming.server
    const charge = metering.prepare(originOf(incoming, incoming.message.method, member), billed.usageReport)
    const drop = () => charge.drop()
    const call = payableOf(charge, { incoming, member })
    if (call.quote.most <= 0n) return { incoming, open: () => metering.open(charge), drop }
    const { accountId } = incoming.principal
    const taken = await payments
      .take(payment, call, { record: charge.id, accountId })
      .catch((error: unknown) => {
        drop()
        throw error
      })
    if (taken instanceof Error) {
      const isFinal = taken.code === 'payment_invalid' || taken.code === 'payment_used'
      const refusal = isFinal ? this.#offer(taken, call) : taken
      return { incoming, open: () => ({ charge, refusal }), drop }
    }
    const failure = (settlement: Settlement) =>
      paymentFailed(settlement, payments.required(call, 'The payment could not be settled.'))
    return {
      incoming,
      open: () => this.#open(charge, { ...taken, failure, short: shortOf(taken, charge) }),
      drop: () => {
        drop()
        taken.release()
      },
    }
  }

  #open(charge: Charge, payment: CallPayment): Begun {
    const begun = this.#parts.metering.open(charge, payment)
    if (begun.refusal) payment.release()
    return begun
  }
}

/** The call as it is priced, under the name by which the client called it. */
function payableOf(charge: Charge, { incoming, member }: Asked): PayableCall {
  const { server, message } = incoming
  const billed: Server = member?.server ?? server
  const { timeouts, limits } = billed
  const tool = String(message.params?.['name']).slice(0, 256)
  return {
    quote: charge.quote({ responseBytes: limits.maxResponseBytes, durationMs: timeouts.callMs }),
    resource: {
      url: `mcp://${encodeURIComponent(server.name)}/tools/${encodeURIComponent(tool)}`,
      description: `A call of ${tool}`,
      mimeType: 'application/json',
    },
    callMs: timeouts.callMs,
  }
}

function paymentOf({ params }: JsonRpcMessage): unknown {
  const meta = params?.['_meta']
  return isObject(meta) ? meta[paymentMeta] : undefined
}

/** Who holds a payment that is good for a range may settle all of it, so no server gets to see it. */
function withoutPayment(incoming: Asking): Asking {
  const { message, body } = incoming
  const exact = exactly(message, body)
  const sent = { ...exact, params: withoutMeta(exact.params ?? {}, paymentMeta) }
  return {
    ...incoming,
    message: { ...message, params: withoutMeta(message.params ?? {}, paymentMeta) },
    body: Buffer.from(JSON.stringify(sent)),
  }
}
