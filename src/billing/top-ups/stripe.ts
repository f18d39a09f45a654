// Payments as Stripe tells of them: a Checkout session that was paid, or a PaymentIntent that succeeded.
import { z } from 'zod'
import { ledgerScale } from '../../base/money.ts'
import { findExponent } from '../../pricing/currency.ts'
import type { Ignored, Payment } from './top-up.ts'

const text = z.string().min(1).max(255)
const metadata = z.record(z.string(), z.unknown()).nullish()
const minorUnits = z.int().nonnegative()

const session = z.object({
  id: text,
  payment_intent: text.nullish(),
  payment_status: z.string(),
  client_reference_id: z.string().nullish(),
  amount_total: minorUnits.nullish(),
  currency: text.nullish(),
  metadata,
})

const intent = z.object({ id: text, amount_received: minorUnits, currency: text, metadata })

const event = z.object({ id: text, type: text, data: z.object({ object: z.unknown() }) })

const ofSession = new Set(['checkout.session.completed', 'checkout.session.async_payment_succeeded'])

/**
 * The payment that an event tells of. A Checkout session and its PaymentIntent are one payment, whichever events are
 * subscribed to. Undefined where the body is no event of Stripe.
 */
export function readStripe(body: unknown): Payment | Ignored | undefined {
  const parsed = event.safeParse(body)
  if (!parsed.success) return undefined
  const { id, type, data } = parsed.data
  if (ofSession.has(type)) return ofCheckout(id, data.object)
  return type === 'payment_intent.succeeded'
    ? ofIntent(id, data.object)
    : { ignored: `events of type ${type.slice(0, 100)} are no top-ups` }
}

function ofCheckout(event: string, object: unknown): Payment | Ignored | undefined {
  const parsed = session.safeParse(object)
  if (!parsed.success) return undefined
  const { id, payment_intent: intentId, payment_status: status, amount_total: total, currency } = parsed.data
  if (status !== 'paid') return { ignored: `the session is ${status.slice(0, 50)}, not paid` }
  const accountId = accountOf(parsed.data.metadata) ?? (parsed.data.client_reference_id || undefined)
  if (accountId === undefined) return noAccount
  if (!total || !currency) return { ignored: 'nothing was paid' }
  return { event, accountId, ...moneyOf(total, currency), reference: `stripe:${intentId ?? id}` }
}

function ofIntent(event: string, object: unknown): Payment | Ignored | undefined {
  const parsed = intent.safeParse(object)
  if (!parsed.success) return undefined
  const { id, amount_received: received, currency } = parsed.data
  const accountId = accountOf(parsed.data.metadata)
  if (accountId === undefined) return noAccount
  return { event, accountId, ...moneyOf(received, currency), reference: `stripe:${id}` }
}

const noAccount: Ignored = { ignored: 'it names no account in metadata.account or client_reference_id' }

function accountOf(given: z.output<typeof metadata>): string | undefined {
  const account = given?.['account']
  return typeof account === 'string' && account !== '' ? account : undefined
}

/** Where Stripe's decimals are not those of ISO 4217 (docs.stripe.com/currencies, "Special cases"). */
const ownExponents: Readonly<Record<string, number>> = { ISK: 2, UGX: 2, MGA: 0 }

function moneyOf(minor: number, lowerCase: string): Pick<Payment, 'amount' | 'currency'> {
  const currency = lowerCase.toUpperCase()
  const exponent = ownExponents[currency] ?? findExponent(currency) ?? 2
  return { amount: BigInt(minor) * 10n ** BigInt(ledgerScale - exponent), currency }
}
