// Builds what counts and charges: prices, the ledger, the writer of usage and its readers.
import { AuditStore } from '../billing/store.ts'
import { type Clock } from '../base/clock.ts'
import { Lifecycle } from '../base/lifecycle.ts'
import { type Log } from '../base/log.ts'
import type { RunnableConfig } from '../commands/settings.ts'
import type { Database } from '../db/database.ts'
import { type GatewayMetrics } from '../http/metrics.ts'
import { Ledger } from '../ledger/ledger.ts'
import { LedgerStore, transferRows } from '../ledger/store.ts'
import { type CommitExtra } from '../sessions/charge.ts'
import { Periods } from '../pricing/periods.ts'
import { buildPrices } from './prices.ts'
import { keptRow } from '../sessions/kept-store.ts'
import { Dimensions } from '../usage/dimensions.ts'
import { Meters, meterRows, oldestPeriodMs } from '../usage/meters.ts'
import { UsageQueries } from '../usage/queries.ts'
import { UsageQueryStore } from '../usage/query-store.ts'
import { UsageStore } from '../usage/store.ts'
import { UsageWriter } from '../usage/writer.ts'

const probeEveryMs = 500

interface MoneyParts {
  readonly config: Pick<RunnableConfig, 'accounts'>
  readonly db: Database
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Pick<GatewayMetrics, 'storeCommitSeconds'>
  readonly lifecycle: Lifecycle
}

/** Prices, the ledger and the writer of usage; the writer folds the ledger anew after the store was away. */
export async function buildMoney({ config, db, clock, log, metrics, lifecycle }: MoneyParts) {
  const { defaultMode: mode, currency, timeZone } = config.accounts
  const prices = await buildPrices(db, clock)
  const ledger = await Ledger.open(new LedgerStore(db), { clock, defaults: { mode, currency, timeZone } })
  const usageStore = new UsageStore(db)
  const { known, next } = await usageStore.loadDimensions(50_000)
  const meters = new Meters()
  const loadMeters = async (): Promise<void> =>
    meters.load(await usageStore.loadMeters(oldestPeriodMs(clock.now())))
  await loadMeters()
  const writer = new UsageWriter<CommitExtra>({
    store: usageStore,
    dimensions: new Dimensions({ known, next, capacity: 100_000 }),
    log,
    extraRows: commitRows,
    onHeal: async () => {
      await Promise.all([ledger.reload(), loadMeters()])
    },
    maxBatch: 512,
    maxQueue: 50_000,
    probeEveryMs,
    onCommit: (_calls, ms) => metrics.storeCommitSeconds.observe(ms / 1000),
  })
  lifecycle.onStop('usage writer', () => writer.close())
  const expiry = setInterval(
    () =>
      void ledger.expireGrants().catch((err: unknown) => log.warn({ err }, 'grants could not be expired')),
    60_000,
  )
  lifecycle.onStop('grant expiry', () => clearInterval(expiry))
  const queries = new UsageQueries(new UsageQueryStore(db), { clock })
  const auditStore = new AuditStore(db)
  const lastRecord = await usageStore.newestRecordId()
  return { ...prices, ledger, meters, periods: new Periods(), queries, auditStore, writer, lastRecord }
}

export function commitRows(extras: readonly CommitExtra[]) {
  const transfers = extras.filter((extra) => 'debit' in extra)
  const kept = extras.filter((extra) => 'fingerprint' in extra)
  const counts = extras.filter((extra) => 'meter' in extra)
  return [...transferRows(transfers), ...kept.map(keptRow), ...meterRows(counts)]
}
