// Guarantees of the webhook route: only who knows the secret is heard, only just now, and a payment counts once.
import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startApi, webhookConfig, type TestApi } from '../harness/api.ts'
import type { ApiCaller } from '../harness/gateway.ts'

let api: TestApi
let ann: ApiCaller
let ids = 0

beforeAll(async () => {
  api = await startApi()
  ann = await api.user('ann')
})
afterAll(() => api.stop())

const path = '/api/v1/billing/top-ups'
const nowS = () => Math.floor(api.clock.now() / 1000)

interface Sent {
  readonly atS?: number
  readonly secret?: string
  readonly signed?: string
}

const hmac = (key: string | Buffer, text: string, encoding: 'hex' | 'base64') =>
  createHmac('sha256', key).update(text).digest(encoding)

function stripe(
  event: object,
  { atS = nowS(), secret = webhookConfig.stripeWebhookSecret, signed }: Sent = {},
) {
  const body = JSON.stringify(event)
  const signature = `t=${atS},v1=${hmac(secret, `${atS}.${signed ?? body}`, 'hex')}`
  return api.anonymous.call('POST', `${path}/stripe`, body, { 'stripe-signature': signature })
}

function standard(
  payment: object,
  { atS = nowS(), secret = webhookConfig.topUpWebhookSecret, signed }: Sent = {},
) {
  const body = JSON.stringify(payment)
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
  const id = `msg_${ids++}`
  const signature = `v1,${hmac(key, `${id}.${atS}.${signed ?? body}`, 'base64')}`
  return api.anonymous.call('POST', `${path}/standard`, body, {
    'webhook-id': id,
    'webhook-timestamp': String(atS),
    'webhook-signature': `v1,bm90aGluZw== ${signature}`,
  })
}

const checkout = (object: object, type = 'checkout.session.completed') => {
  const id = ids++
  return {
    id: `evt_${id}`,
    object: 'event',
    type,
    data: {
      object: {
        id: `cs_${id}`,
        object: 'checkout.session',
        payment_intent: `pi_${id}`,
        payment_status: 'paid',
        amount_total: 1250,
        currency: 'usd',
        client_reference_id: ann.accountId,
        metadata: {},
        ...object,
      },
    },
  }
}

const payment = (more: object = {}) => ({
  id: `pay_${ids++}`,
  account: ann.accountId,
  amount: '2.5',
  currency: 'USD',
  ...more,
})

const balance = async (): Promise<string> =>
  (await ann.ok('GET', `/api/v1/billing/accounts/${ann.accountId}`)).balance as string

/** What `work` put on the account. */
async function credited(work: () => Promise<unknown>): Promise<number> {
  const before = Number(await balance())
  await work()
  return Number(await balance()) - before
}

describe('Stripe', () => {
  test('a paid Checkout session and its PaymentIntent are one credit, sent again and again', async () => {
    const event = checkout({})
    const { object } = event.data
    const intent = {
      id: `evt_${ids++}`,
      type: 'payment_intent.succeeded',
      data: {
        object: {
          id: object.payment_intent,
          amount_received: 1250,
          currency: 'usd',
          metadata: { account: ann.accountId },
        },
      },
    }
    const sum = await credited(async () => {
      expect((await stripe(event)).json).toMatchObject({
        status: 'credited',
        grantId: expect.stringMatching(/^grt_/),
      })
      expect((await stripe(event)).json).toMatchObject({ status: 'repeated' })
      expect((await stripe(intent)).json).toMatchObject({ status: 'repeated' })
    })
    expect(sum).toBe(12.5)
  })

  test('twenty deliveries of one event at once are one credit', async () => {
    const event = checkout({ amount_total: 100 })
    const sum = await credited(async () => {
      const answers = await Promise.all(Array.from({ length: 20 }, () => stripe(event)))
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
      expect(answers.filter(({ json }) => json.status === 'credited')).toHaveLength(1)
    })
    expect(sum).toBe(1)
  })

  test('the account in the metadata goes before the reference', async () => {
    const bob = await api.user('bob')
    const event = checkout({ metadata: { account: ann.accountId }, client_reference_id: bob.accountId })
    expect(await credited(() => stripe(event))).toBe(12.5)
  })

  test('what is no payment for an account is taken and ignored', async () => {
    const ignored = [
      checkout({ payment_status: 'unpaid' }),
      checkout({ payment_status: 'no_payment_required', amount_total: 0 }),
      checkout({ client_reference_id: null }),
      checkout({ amount_total: 0 }),
      { id: 'evt_other', type: 'customer.created', data: { object: { id: 'cus_1' } } },
    ]
    const sum = await credited(async () => {
      for (const event of ignored)
        expect((await stripe(event)).json).toEqual({ status: 'ignored', reason: expect.any(String) })
    })
    expect(sum).toBe(0)
    const late = checkout({}, 'checkout.session.async_payment_succeeded')
    expect((await stripe(late)).json).toMatchObject({ status: 'credited' })
  })

  test('another currency than the account’s is refused', async () => {
    expect((await stripe(checkout({ currency: 'eur' }))).status).toBe(422)
    expect((await stripe(checkout({ client_reference_id: 'acc_nobody' }))).status).toBe(422)
  })

  test('a body that is no event is refused', async () => {
    expect((await stripe({ hello: 'there' })).status).toBe(400)
    expect((await stripe(checkout({ amount_total: 1.5 }))).status).toBe(400)
  })
})

describe('Standard Webhooks', () => {
  test('a payment becomes a grant with its reason and its end, once', async () => {
    const expiresAt = new Date(api.clock.now() + 3_600_000).toISOString()
    const paid = payment({ reason: 'invoice 7', expiresAt })
    const sum = await credited(async () => {
      expect((await standard(paid)).json).toMatchObject({ status: 'credited' })
      expect((await standard(paid)).json).toMatchObject({ status: 'repeated' })
    })
    expect(sum).toBe(2.5)
    const { items } = await ann.ok('GET', `/api/v1/billing/accounts/${ann.accountId}/grants?limit=100`)
    expect(items).toContainEqual(
      expect.objectContaining({
        amount: '2.5',
        reason: 'invoice 7',
        expiresAt,
        createdBy: 'top-up:standard',
      }),
    )
  })

  test('the same id with another amount is a conflict', async () => {
    const paid = payment()
    await standard(paid)
    expect((await standard({ ...paid, amount: '3' })).status).toBe(409)
  })

  test('a wrong field is named', async () => {
    const faults: [object, string][] = [
      [{ amount: 2.5 }, '/amount'],
      [{ amount: '-1' }, '/amount'],
      [{ currency: 'usd' }, '/currency'],
      [{ extra: 1 }, '/extra'],
    ]
    for (const [more, field] of faults) {
      const { status, json } = await standard(payment(more))
      expect([status, json.errors?.[0]?.field]).toEqual([400, field])
    }
    expect((await standard(payment({ currency: 'EUR' }))).status).toBe(422)
    expect((await standard(payment({ amount: '0' }))).status).toBe(422)
  })
})

describe('signatures', () => {
  test.each([
    ['another secret', { secret: 'whsec_c29tZWJvZHkgZWxzZSdzIHNlY3JldA==' }],
    ['another body', { signed: '{}' }],
    ['an old timestamp', { atS: -301 }],
    ['a timestamp of the future', { atS: 301 }],
  ])('with %s nobody is heard', async (_name, given) => {
    const sent = 'atS' in given ? { atS: nowS() + given.atS } : given
    const sum = await credited(async () => {
      for (const answer of [await stripe(checkout({}), sent), await standard(payment(), sent)]) {
        expect([answer.status, answer.json.code]).toEqual([401, 'unauthorized'])
      }
    })
    expect(sum).toBe(0)
  })

  test('within five minutes a signature is good', async () => {
    for (const shift of [-300, 300]) {
      expect((await stripe(checkout({}), { atS: nowS() + shift })).status).toBe(200)
      expect((await standard(payment(), { atS: nowS() + shift })).status).toBe(200)
    }
  })

  test('without any, or with one that is malformed, nobody is heard', async () => {
    const headers: Record<string, string>[] = [
      {},
      { 'stripe-signature': '' },
      { 'stripe-signature': 't=,v1=' },
      { 'stripe-signature': `t=${nowS()}` },
      { 'stripe-signature': `t=${nowS()},v1=zz,v0=00` },
      { 'webhook-id': 'm', 'webhook-timestamp': 'now', 'webhook-signature': 'v1,' },
    ]
    for (const each of headers)
      for (const provider of ['stripe', 'standard'])
        expect((await api.anonymous.call('POST', `${path}/${provider}`, payment(), each)).status).toBe(401)
  })

  test('an administrator’s credential is no signature', async () => {
    const root = await api.user('root', 'admin')
    expect((await root.call('POST', `${path}/standard`, payment())).status).toBe(401)
  })
})

test('a provider that is not there, and a body that is too large, are refused', async () => {
  expect((await api.anonymous.call('POST', `${path}/nobody`, payment())).status).toBe(404)
  const large = payment({ reason: 'x'.repeat(300_000) })
  expect((await api.anonymous.call('POST', `${path}/standard`, large)).status).toBe(413)
})
