// The shapes of webhooks: who is told of which events, in which format, and what became of each delivery.

export const webhookFormats = ['standard', 'cloudevents', 'stripe-meter'] as const
export type WebhookFormat = (typeof webhookFormats)[number]

export const eventKinds = [
  'call.settled',
  'budget.threshold',
  'budget.exhausted',
  'invoice.created',
  'invoice.refreshed',
  'invoice.deleted',
  'invoice.finalized',
  'invoice.paid',
  'invoice.void',
  'invoice.uncollectible',
  'invoice.credited',
] as const
/** What can be asked for, and the sample that is sent when somebody tries a webhook. */
export type EventKind = (typeof eventKinds)[number] | 'webhook.test'

export const stripeValues = ['calls', 'cost', 'bytes', 'tokens', 'milliseconds'] as const

/** How calls become meter events of Stripe. */
export interface StripeMeter {
  /** `event_name` of the meter. */
  readonly eventName: string
  readonly value: (typeof stripeValues)[number]
  /** Customer of Stripe by account; calls of other accounts are not sent. */
  readonly customers: Readonly<Record<string, string>>
}

/** Calls that go together: as many, or those of so many milliseconds. */
export interface BatchSetting {
  readonly maxEvents: number
  readonly maxMs: number
}

export interface Webhook {
  readonly id: string
  readonly name?: string
  readonly url: string
  readonly kinds: readonly EventKind[]
  readonly format: WebhookFormat
  readonly batch?: BatchSetting
  readonly stripe?: StripeMeter
  /** Off: nothing is sent, nothing is lost. */
  readonly active: boolean
  /** Why the gateway itself has switched it off. */
  readonly disabledReason?: string
  readonly createdBy: string
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

/** Sealed; of a rotated one, the former signs too until its time. */
export interface SealedSecrets {
  readonly current?: string
  readonly former?: { readonly sealed: string; readonly untilMs: number }
}

/** How far a webhook has read the usage records. */
export interface Position {
  readonly cursor: bigint
  /** Ids up to the cursor whose calls had not ended. */
  readonly waiting: readonly bigint[]
}

export interface StoredWebhook {
  readonly webhook: Webhook
  readonly secrets: SealedSecrets
  readonly position?: Position
}

export type DeliveryState = 'pending' | 'delivered' | 'dead'

/** What is to be sent: one event, or a batch of calls. Its id is the same at every attempt, also after a crash. */
export interface NewDelivery {
  readonly id: string
  readonly kind: EventKind
  readonly events: number
  readonly body: string
  /** When the oldest of its events happened. */
  readonly createdAtMs: number
}

export interface Delivery extends Omit<NewDelivery, 'body'> {
  readonly state: DeliveryState
  readonly attempts: number
  readonly nextAtMs: number
  readonly firstAtMs?: number
  readonly lastAtMs?: number
  readonly lastStatus?: number
  readonly lastError?: string
}

export interface DueDelivery extends Delivery {
  readonly body: string
}
