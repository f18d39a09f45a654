// Builds what keeps secrets: the data keys, and everything that they have sealed.
import type { Clock } from '../base/clock.ts'
import type { Lifecycle } from '../base/lifecycle.ts'
import type { Log } from '../base/log.ts'
import type { RunnableConfig } from '../commands/settings.ts'
import type { Database } from '../db/database.ts'
import { countSealedOtherwise, resealColumn, type SealedColumn } from '../db/sealed-column.ts'
import { keptAnswers } from '../idempotency/store.ts'
import type { Revocations } from '../identity/revocations.ts'
import type { Webhooks } from '../outbox/webhooks.ts'
import { serverCredentials } from '../registry/store.ts'
import { DataKeyStore } from '../secrets/data-key-store.ts'
import { DataKeys, type SealedTexts } from '../secrets/data-keys.ts'
import { payloadTexts } from '../payloads/store.ts'
import { upstreamSessionIds } from '../sessions/store.ts'
import { registeredClients, userTokens } from '../upstreams/oauth/user-token-store.ts'
import { takenPayments } from '../x402/store.ts'

const hourMs = 3_600_000

interface SecretParts {
  readonly config: Pick<RunnableConfig, 'masterSecrets'>
  readonly db: Database
  readonly clock: Clock
  readonly log: Log
}

export async function openDataKeys({ config, db, clock, log }: SecretParts): Promise<DataKeys> {
  return DataKeys.open({ store: new DataKeyStore(db), master: config.masterSecrets, clock, log })
}

interface SealedParts {
  readonly db: Database
  readonly dataKeys: DataKeys
  readonly webhooks: Webhooks
  readonly revocations: Revocations
  readonly log: Log
  readonly lifecycle: Lifecycle
}

/** Seals anew what retired keys have sealed: now, should a rotation have been cut off, and every hour. */
export function watchSealed({ db, dataKeys, webhooks, revocations, log, lifecycle }: SealedParts): void {
  const columns = [
    userTokens,
    registeredClients,
    serverCredentials,
    upstreamSessionIds,
    keptAnswers,
    takenPayments,
    payloadTexts,
  ]
  // Webhooks keep their sealed secrets in memory as well, so they do it themselves.
  const ofWebhooks: SealedTexts = {
    holds: 'secrets of webhooks',
    reseal: () => webhooks.reseal(),
    countSealedOtherwise: () => webhooks.countSealedOtherwise(),
  }
  const texts = [...columns.map((column) => textsOf(db, column, dataKeys)), ofWebhooks]
  dataKeys.watch(texts, () => revocations.publish({ tokens: 'all' }))
  let running: Promise<void> = Promise.resolve()
  const sweep = () => {
    running = dataKeys
      .sweep()
      .catch((err: unknown) =>
        log.warn({ err }, 'stored secrets could not be sealed anew; it is tried again in an hour'),
      )
  }
  const timer = setInterval(sweep, hourMs)
  sweep()
  lifecycle.onStop('data keys', async () => {
    clearInterval(timer)
    await running
  })
}

const textsOf = (db: Database, column: SealedColumn, { keyring }: DataKeys): SealedTexts => ({
  holds: column.holds,
  reseal: () => resealColumn(db, column, keyring),
  countSealedOtherwise: () => countSealedOtherwise(db, column, keyring),
})
