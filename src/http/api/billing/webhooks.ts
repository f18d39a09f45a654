// Routes of webhooks: made, shown with their deliveries, tried, changed, their secrets rotated, and removed.
import { z } from 'zod'
import type { Clock } from '../../../base/clock.ts'
import { GatewayError } from '../../../base/errors.ts'
import {
  eventKinds,
  stripeValues,
  webhookFormats,
  type Delivery,
  type Webhook,
} from '../../../outbox/webhook.ts'
import type { WebhookChange, WebhookInput, Webhooks } from '../../../outbox/webhooks.ts'
import { decodeCursor, makePage, pageOf, pageQuery } from '../page.ts'
import { defineRoute, type Route } from '../route.ts'
import { idParams, isoTime, pageById, readId, timeShape } from '../view.ts'

export interface BillingWebhookDeps {
  readonly webhooks: Webhooks
  readonly clock: Clock
}

const path = '/api/v1/billing/webhooks'
const one = `${path}/{id}`
const maxCustomers = 1000

const batchShape = z.strictObject({
  maxEvents: z.int().min(1).max(1000),
  maxMs: z.int().min(0).max(60_000).describe('How long calls wait for others at most.'),
})
const stripeShape = z.strictObject({
  eventName: z.string().min(1).max(100).describe("The meter's `event_name`."),
  value: z.enum(stripeValues).default('calls').describe('What of a call is counted.'),
  customers: z
    .record(z.string().max(64), z.string().min(1).max(255))
    .refine((map) => Object.keys(map).length <= maxCustomers, `must have at most ${maxCustomers} entries`)
    .describe('Customer of Stripe by account; calls of other accounts are not sent.'),
})
const members = {
  name: z.string().min(1).max(100),
  url: z.string().min(1).max(2048),
  kinds: z.array(z.enum(eventKinds)).min(1).max(eventKinds.length),
  batch: batchShape.describe('Calls that go together.'),
  stripe: stripeShape,
  active: z.boolean().describe('Off: nothing is sent, and nothing is lost.'),
}
const secretInput = z.string().min(1).max(500)
const webhookInput = z.strictObject({
  name: members.name.optional(),
  url: members.url,
  kinds: members.kinds,
  format: z.enum(webhookFormats).default('standard'),
  secret: secretInput
    .optional()
    .describe('whsec_…, made where absent; a bearer token for cloudevents, a secret key for stripe-meter.'),
  batch: members.batch.optional(),
  stripe: members.stripe.optional(),
  active: members.active.default(true),
})
const webhookPatch = z.strictObject({
  name: members.name.optional(),
  url: members.url.optional(),
  kinds: members.kinds.optional(),
  batch: members.batch.nullable().optional(),
  stripe: members.stripe.optional(),
  active: members.active.optional(),
})

const webhookShape = z
  .strictObject({
    id: z.string(),
    name: members.name.optional(),
    url: z.string(),
    kinds: z.array(z.string()),
    format: z.enum(webhookFormats),
    batch: members.batch.optional(),
    stripe: z
      .strictObject({
        eventName: z.string(),
        value: z.enum(stripeValues),
        customers: z.record(z.string(), z.string()),
      })
      .optional(),
    active: z.boolean(),
    disabledReason: z.string().optional().describe('Why the gateway itself switched it off.'),
    createdBy: z.string(),
    createdAt: timeShape,
    updatedAt: timeShape,
  })
  .meta({ id: 'Webhook' })
const shownOnceShape = webhookShape
  .extend({ secret: z.string().optional().describe('What signs; shown this once.') })
  .meta({ id: 'WebhookWithSecret' })

const states = ['pending', 'delivered', 'dead'] as const
const deliveryShape = z
  .strictObject({
    id: z.string().describe('The `webhook-id` of every attempt.'),
    kind: z.string(),
    events: z.int().describe('How many are in it.'),
    state: z.enum(states),
    attempts: z.int(),
    createdAt: timeShape.describe('When the oldest of its events happened.'),
    lastAttemptAt: timeShape.optional(),
    lastStatus: z.int().optional().describe('HTTP status of the last attempt; absent where there was none.'),
    lastError: z.string().optional(),
    nextAttemptAt: timeShape.optional(),
  })
  .meta({ id: 'WebhookDelivery' })

function webhookView({ createdAtMs, updatedAtMs, ...rest }: Webhook): z.input<typeof webhookShape> {
  return { ...rest, kinds: [...rest.kinds], createdAt: isoTime(createdAtMs), updatedAt: isoTime(updatedAtMs) }
}

function deliveryView(delivery: Delivery, nowMs: number): z.input<typeof deliveryShape> {
  const { id, kind, events, state, attempts, createdAtMs, lastAtMs, lastStatus, lastError, nextAtMs } =
    delivery
  return {
    id,
    kind,
    events,
    state,
    attempts,
    createdAt: isoTime(createdAtMs),
    ...(lastAtMs !== undefined && { lastAttemptAt: isoTime(lastAtMs) }),
    ...(lastStatus !== undefined && { lastStatus }),
    ...(lastError !== undefined && { lastError }),
    ...(state === 'pending' && { nextAttemptAt: isoTime(Math.max(nextAtMs, nowMs)) }),
  }
}

/** `/billing/webhooks` and below. */
export function billingWebhookRoutes(deps: BillingWebhookDeps): Route[] {
  return [...readingRoutes(deps), ...makingRoutes(deps), ...changingRoutes(deps), ...deliveryRoutes(deps)]
}

function readingRoutes({ webhooks }: BillingWebhookDeps): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path,
      summary: 'Lists webhooks, oldest first',
      permission: 'webhooks:read',
      query: z.strictObject(pageQuery),
      response: pageOf(webhookShape),
      handler: ({ query }) =>
        pageById(query, {
          fetch: ({ limit, id }) =>
            webhooks
              .list()
              .filter((webhook) => id === undefined || webhook.id > id)
              .slice(0, limit),
          show: webhookView,
        }),
    }),
    defineRoute({
      method: 'GET',
      path: one,
      summary: 'Shows a webhook',
      permission: 'webhooks:read',
      params: idParams,
      response: webhookShape,
      errors: [404],
      handler: ({ params }) => webhookView(webhooks.get(readId(params.id, 'whk'))),
    }),
  ]
}

function makingRoutes({ webhooks }: BillingWebhookDeps): Route[] {
  return [
    defineRoute({
      method: 'POST',
      path,
      summary: 'Makes a webhook: an address that is told of events, at least once each',
      description:
        '`standard` is signed as Standard Webhooks asks; `cloudevents` takes a JSON array of CloudEvents 1.0 with a bearer token; `stripe-meter` makes each call a meter event of Stripe. It hears of what happens from now on. The secret is shown this once.',
      permission: 'webhooks:manage',
      body: webhookInput,
      response: shownOnceShape,
      status: 201,
      errors: [403, 422, 503],
      handler: async ({ principal, body, setHeader }) => {
        const { secret: given, ...input } = body
        const createdBy = principal.userId
        const made = await webhooks.create(compact(input) as WebhookInput, { secret: given, createdBy })
        setHeader('location', `${path}/${made.webhook.id}`)
        return withSecret(made)
      },
    }),
    defineRoute({
      method: 'POST',
      path: `${one}/rotate-secret`,
      summary: 'Gives a webhook a new secret; the one before signs too for a day',
      permission: 'webhooks:manage',
      params: idParams,
      body: z.strictObject({ secret: secretInput.optional() }),
      response: shownOnceShape,
      errors: [403, 404, 422, 503],
      handler: async ({ params, body }) =>
        withSecret(await webhooks.rotate(readId(params.id, 'whk'), body.secret)),
    }),
    defineRoute({
      method: 'POST',
      path: `${one}/test`,
      summary: 'Sends a sample event now and shows what came back',
      permission: 'webhooks:manage',
      params: idParams,
      response: z
        .strictObject({
          delivered: z.boolean(),
          status: z.int().optional(),
          error: z.string().optional(),
          durationMs: z.int(),
        })
        .meta({ id: 'WebhookTest' }),
      errors: [403, 404, 422],
      handler: async ({ params }) => {
        const { answer, durationMs } = await webhooks.test(readId(params.id, 'whk'))
        if ('error' in answer) return { delivered: false, error: answer.error, durationMs }
        const { status } = answer
        return { delivered: status >= 200 && status < 300, status, durationMs }
      },
    }),
  ]
}

function changingRoutes({ webhooks }: BillingWebhookDeps): Route[] {
  return [
    defineRoute({
      method: 'PATCH',
      path: one,
      summary: 'Changes a webhook, or switches it off and on',
      permission: 'webhooks:manage',
      params: idParams,
      body: webhookPatch,
      response: webhookShape,
      errors: [403, 404, 422, 503],
      handler: async ({ params, body }) =>
        webhookView(await webhooks.change(readId(params.id, 'whk'), compact(body) as WebhookChange)),
    }),
    defineRoute({
      method: 'DELETE',
      path: one,
      summary: 'Removes a webhook with its deliveries',
      permission: 'webhooks:manage',
      params: idParams,
      errors: [403, 404, 503],
      handler: async ({ params }) => {
        await webhooks.delete(readId(params.id, 'whk'))
        return undefined
      },
    }),
  ]
}

function deliveryRoutes({ webhooks, clock }: BillingWebhookDeps): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: `${one}/deliveries`,
      summary: 'Lists what was and is to be delivered, newest first, with the last attempt of each',
      permission: 'webhooks:read',
      params: idParams,
      query: z.strictObject({ ...pageQuery, state: z.enum(states).optional() }),
      response: pageOf(deliveryShape),
      errors: [404],
      handler: async ({ params, query }) => {
        const [before] = decodeCursor(query.cursor, 1) ?? []
        if (before !== undefined && typeof before !== 'string')
          throw new GatewayError('validation_failed', {
            fields: [{ field: 'cursor', message: 'not a cursor of this list' }],
          })
        const page = { limit: query.limit + 1, before, state: query.state }
        const rows = await webhooks.deliveries(readId(params.id, 'whk'), page)
        const now = clock.now()
        return makePage(rows, query.limit, {
          positionOf: ({ id }) => [id],
          show: (delivery) => deliveryView(delivery, now),
        })
      },
    }),
    defineRoute({
      method: 'POST',
      path: `${one}/redeliver`,
      summary: 'Sends dead deliveries again, or the named one that has not arrived',
      permission: 'webhooks:manage',
      params: idParams,
      body: z.strictObject({ delivery: z.string().max(64).optional() }),
      response: z.strictObject({ redelivered: z.int() }).meta({ id: 'WebhookRedelivery' }),
      errors: [403, 404, 503],
      handler: async ({ params, body }) => ({
        redelivered: await webhooks.redeliver(readId(params.id, 'whk'), body.delivery),
      }),
    }),
  ]
}

const withSecret = ({ webhook, secret }: { webhook: Webhook; secret: string | undefined }) => ({
  ...webhookView(webhook),
  // Tokens that were given are known to whoever gave them.
  ...(webhook.format === 'standard' && secret !== undefined && { secret }),
})

/** Without the members that are undefined. */
const compact = (given: object): object =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
