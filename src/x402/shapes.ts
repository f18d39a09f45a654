// The JSON shapes of x402 version 2: what is asked for, and a payment as its payer signed it, read strictly.
import { z } from 'zod'

export const x402Version = 2
export const schemes = ['upto', 'exact'] as const
export type Scheme = (typeof schemes)[number]

/** One way to pay (x402 version 2, "PaymentRequirements"). `amount` counts the asset's smallest units. */
export interface Requirements {
  readonly scheme: Scheme
  readonly network: string
  readonly amount: string
  readonly asset: string
  readonly payTo: string
  readonly maxTimeoutSeconds: number
  readonly extra: Readonly<Record<string, unknown>>
}

export interface Resource {
  readonly url: string
  readonly description: string
  readonly mimeType: string
}

/** What may be paid, and how (x402 version 2, "PaymentRequired"). */
export interface PaymentRequired {
  readonly x402Version: typeof x402Version
  readonly error: string
  readonly resource: Resource
  readonly accepts: readonly Requirements[]
}

/** How a payment ended (x402 version 2, "SettlementResponse"). */
export interface SettlementResponse {
  readonly success: boolean
  readonly errorReason?: string
  readonly payer?: string
  readonly transaction: string
  readonly network: string
  readonly amount?: string
}

/** A payment as JSON; larger ones are refused unread. */
const maxPaymentLength = 8192

const text = (max: number) => z.string().max(max)
const address = z.string().regex(/^0x[0-9a-fA-F]{40}$/)
const whole = z.string().regex(/^\d{1,78}$/)
const hex = z.string().regex(/^0x(?:[0-9a-fA-F]{2}){1,2048}$/)
/** 256 bits, in hexadecimal or decimal. */
const nonce = z
  .string()
  .regex(/^(?:0x[0-9a-fA-F]{1,64}|\d{1,78})$/)
  .refine((value) => BigInt(value) < 2n ** 256n)

/** EIP-3009, `transferWithAuthorization`: for `exact` alone. */
const transferPayload = z.strictObject({
  signature: hex,
  authorization: z.strictObject({
    from: address,
    to: address,
    value: whole,
    validAfter: whole,
    validBefore: whole,
    nonce,
  }),
})

/** Permit2 with a witness that binds the recipient. */
const permitPayload = z.strictObject({
  signature: hex,
  permit2Authorization: z.strictObject({
    permitted: z.strictObject({ token: address, amount: whole }),
    from: address,
    spender: address,
    nonce,
    deadline: whole,
    witness: z.strictObject({
      to: address,
      facilitator: address.optional(),
      validAfter: whole,
      extra: text(4096).optional(),
    }),
  }),
})

const paymentShape = z.strictObject({
  x402Version: z.literal(x402Version),
  resource: z.strictObject({
    url: text(1024),
    description: text(2048).optional(),
    mimeType: text(256).optional(),
  }),
  accepted: z.strictObject({
    scheme: z.enum(schemes),
    network: text(100),
    amount: whole,
    asset: address,
    payTo: address,
    maxTimeoutSeconds: z.number().min(0).max(1_000_000_000),
    extra: z.record(z.string(), z.unknown()).optional(),
  }),
  payload: z.union([transferPayload, permitPayload]),
  extensions: z.record(z.string(), z.unknown()).optional(),
})

/** A payment of the right shape (x402 version 2, "PaymentPayload"); nothing in it has been verified. */
export type Payment = z.output<typeof paymentShape>

/** What a payer signed, whichever way. */
export interface Signed {
  readonly kind: 'transfer' | 'permit'
  readonly from: string
  readonly to: string
  readonly amount: bigint
  readonly token: string | undefined
  readonly nonce: bigint
  /** Seconds since the epoch. */
  readonly validUntil: bigint
}

/** Undefined where the value is no payment of a kind that is taken here. */
export function readPayment(value: unknown): Payment | undefined {
  if (JSON.stringify(value).length > maxPaymentLength) return undefined
  const parsed = paymentShape.safeParse(value)
  return parsed.success ? parsed.data : undefined
}

export function signedOf({ payload }: Payment): Signed {
  if ('authorization' in payload) {
    const { from, to, value, nonce: number, validBefore } = payload.authorization
    return {
      kind: 'transfer',
      from,
      to,
      amount: BigInt(value),
      token: undefined,
      nonce: BigInt(number),
      validUntil: BigInt(validBefore),
    }
  }
  const { from, permitted, nonce: number, deadline, witness } = payload.permit2Authorization
  return {
    kind: 'permit',
    from,
    to: witness.to,
    amount: BigInt(permitted.amount),
    token: permitted.token,
    nonce: BigInt(number),
    validUntil: BigInt(deadline),
  }
}

/**
 * Names what can be settled once: a network's payer and nonce. However a payment is written, signed anew or padded, it
 * has the same name as long as it moves the same money.
 */
export function paymentKey(payment: Payment): string {
  const { kind, from, nonce: number } = signedOf(payment)
  return `${payment.accepted.network} ${kind} ${from.toLowerCase()} ${number.toString(16)}`
}
