// Builds what takes payments for single calls, where the configuration names a facilitator.
import { systemClock as clock } from '../base/clock.ts'
import type { Keyring } from '../base/keyring.ts'
import type { Lifecycle } from '../base/lifecycle.ts'
import type { Log } from '../base/log.ts'
import type { RunnableConfig } from '../commands/settings.ts'
import type { Database } from '../db/database.ts'
import type { GatewayMetrics } from '../http/metrics.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { Facilitator } from '../x402/facilitator.ts'
import { Payments } from '../x402/payments.ts'
import { Settlements, type Signable } from '../x402/settlements.ts'
import { PaymentStore, takenPayments } from '../x402/store.ts'
import { Terms } from '../x402/terms.ts'

interface PaymentParts {
  readonly config: Pick<RunnableConfig, 'x402'>
  readonly db: Database
  readonly log: Log
  readonly keyring: Keyring
  readonly ledger: Ledger
  readonly metrics: Pick<GatewayMetrics, 'paymentsBy'>
  readonly lifecycle: Lifecycle
}

const sealContext = takenPayments.contextOf({})
const refreshMs = 3_600_000

/** Undefined where no payments are taken. Waits for the facilitator's first answer, as long as one may take. */
export async function buildPayments(parts: PaymentParts): Promise<Payments | undefined> {
  const { config, db, log, keyring, ledger, metrics, lifecycle } = parts
  const { facilitatorUrl, facilitatorToken: token, payTo, network, asset, ...rest } = config.x402
  if (facilitatorUrl === undefined || payTo === undefined || network === undefined || asset === undefined)
    return undefined
  const stopping = new AbortController()
  const facilitator = new Facilitator({
    url: facilitatorUrl.replace(/\/+$/, ''),
    token,
    timeoutMs: rest.timeoutMs,
    stop: stopping.signal,
  })
  const store = new PaymentStore(db)
  const onEnd = (outcome: string) => metrics.paymentsBy(outcome).inc()
  const settlements = new Settlements({
    store,
    facilitator,
    ledger,
    clock,
    log,
    unseal: (sealed) => JSON.parse(keyring.open(sealed, sealContext)) as Signable,
    retryMs: rest.retryMs,
    onEnd,
  })
  const payments = new Payments({
    terms: new Terms({ payTo, network, asset, ...rest }, clock),
    store,
    facilitator,
    settlements,
    seal: { seal: (text) => keyring.seal(text, sealContext) },
    clock,
    log,
    refreshMs,
    onEnd,
  })
  await payments.start()
  settlements.start()
  lifecycle.onStop('payments', async () => {
    payments.stop()
    stopping.abort()
    await settlements.stop()
  })
  return payments
}
