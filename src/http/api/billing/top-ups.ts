// The route that payment providers call: a signed event becomes credit on an account, once.
import { z } from 'zod'
import type { Clock } from '../../../base/clock.ts'
import { GatewayError } from '../../../base/errors.ts'
import { isSignedByStandard, isSignedByStripe } from '../../../billing/top-ups/signature.ts'
import { readStandard, standardTopUp } from '../../../billing/top-ups/standard.ts'
import { readStripe } from '../../../billing/top-ups/stripe.ts'
import { providers, type Ignored, type Payment, type Provider } from '../../../billing/top-ups/top-up.ts'
import type { TopUps } from '../../../billing/top-ups/top-ups.ts'
import { validate } from '../body.ts'
import { defineRoute, type Context, type Route } from '../route.ts'

export interface BillingTopUpDeps {
  readonly topUps: TopUps
  readonly clock: Clock
  /** Signing secrets by provider; one without any is not there. */
  readonly webhookSecrets: Readonly<Record<Provider, readonly string[]>>
}

/** Events of Stripe hold the whole object that they are about. */
const maxBodyBytes = 256 * 1024

const answerShape = z
  .strictObject({
    status: z
      .enum(['credited', 'repeated', 'ignored'])
      .describe(
        'repeated: this payment was credited before; ignored: the event is no payment for an account.',
      ),
    grantId: z.string().optional(),
    reason: z.string().optional().describe('Why it was ignored.'),
  })
  .meta({ id: 'TopUp' })

/** `/billing/top-ups/{provider}`. */
export function billingTopUpRoutes({ topUps, clock, webhookSecrets }: BillingTopUpDeps): Route[] {
  return [
    defineRoute({
      method: 'POST',
      path: '/api/v1/billing/top-ups/{provider}',
      summary: 'Takes a signed webhook of a payment and credits the account',
      description:
        'For `stripe`: checkout.session.completed, checkout.session.async_payment_succeeded and payment_intent.succeeded, signed by Stripe-Signature. For `standard`: `{id, account, amount, currency, reason?, expiresAt?}`, signed as Standard Webhooks asks. The same payment is credited once, however often it is sent.',
      permission: 'public',
      params: z.strictObject({ provider: z.string() }),
      body: z.record(z.string(), z.unknown()).describe("The provider's event."),
      maxBodyBytes,
      response: answerShape,
      errors: [400, 401, 404, 409, 413, 422, 503],
      handler: async (context) => {
        const provider = providers.find((one) => one === context.params.provider)
        const secrets = provider ? webhookSecrets[provider] : []
        if (!provider || secrets.length === 0) throw new GatewayError('not_found')
        if (!isSigned(provider, context, { secrets, nowS: Math.floor(clock.now() / 1000) }))
          throw new GatewayError('unauthorized', { detail: badSignature })
        const payment = read(provider, context.body)
        if ('ignored' in payment) return { status: 'ignored' as const, reason: payment.ignored }
        const { grantId, repeated } = await topUps.credit(payment, provider)
        return { status: repeated ? ('repeated' as const) : ('credited' as const), grantId }
      },
    }),
  ]
}

const badSignature =
  'The signature is not valid for this body, or more than five minutes old; check the signing secret and the clock.'

function isSigned(
  provider: Provider,
  { headers, bytes }: Pick<Context, 'headers' | 'bytes'>,
  by: { secrets: readonly string[]; nowS: number },
): boolean {
  const header = (name: string): string | undefined => {
    const value = headers[name]
    return Array.isArray(value) ? value[0] : value
  }
  const signed = { body: bytes, ...by }
  if (provider === 'stripe') return isSignedByStripe(header('stripe-signature'), signed)
  const [id, timestamp, signature] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map(header)
  return isSignedByStandard({ id, timestamp, signature }, signed)
}

function read(provider: Provider, body: unknown): Payment | Ignored {
  if (provider === 'standard')
    return readStandard(validate(standardTopUp, body, 'body') as z.output<typeof standardTopUp>)
  const payment = readStripe(body)
  if (payment) return payment
  throw new GatewayError('validation_failed', {
    detail: 'The body is not an event of Stripe as it is known here.',
  })
}
