// Builds what credits payments, with the secrets by which their providers are known.
import type { Clock } from '../base/clock.ts'
import { TopUpStore } from '../billing/top-ups/store.ts'
import { TopUps } from '../billing/top-ups/top-ups.ts'
import type { RunnableConfig } from '../commands/settings.ts'
import type { Database } from '../db/database.ts'
import type { Ledger } from '../ledger/ledger.ts'

interface TopUpParts {
  readonly config: Pick<RunnableConfig, 'billing'>
  readonly db: Database
  readonly clock: Clock
  readonly ledger: Ledger
}

export function buildTopUps({ config, db, clock, ledger }: TopUpParts) {
  const { stripeWebhookSecret, topUpWebhookSecret } = config.billing
  const topUps = new TopUps({ store: new TopUpStore(db), ledger, clock })
  const webhookSecrets = { stripe: secretsOf(stripeWebhookSecret), standard: secretsOf(topUpWebhookSecret) }
  return { topUps, webhookSecrets }
}

/** Two at a time while a secret changes. */
const secretsOf = (text = ''): readonly string[] =>
  text
    .split(',')
    .map((secret) => secret.trim())
    .filter((secret) => secret !== '')
