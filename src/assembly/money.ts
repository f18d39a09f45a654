// Builds what counts and charges: prices, the ledger, the writer of usage and its readers.
import { SpendHistoryStore } from '../billing/spend-history-store.ts'
import { type Clock } from '../base/clock.ts'
import { Lifecycle } from '../base/lifecycle.ts'
import { type Log } from '../base/log.ts'
import type { RunnableConfig } from '../commands/settings.ts'
import type { Database } from '../db/database.ts'
import { type GatewayMetrics } from '../http/metrics.ts'
import { AccountTree } from '../ledger/account-tree.ts'
import { Budgets } from '../ledger/budgets/budgets.ts'
import { BudgetStore } from '../ledger/budgets/store.ts'
import { entryRows } from '../ledger/entry-store.ts'
import { EventStore } from '../ledger/event-store.ts'
import { Funds, type FundsEntry } from '../ledger/funds.ts'
import { Ledger } from '../ledger/ledger.ts'
import { LedgerStore } from '../ledger/store.ts'
import { outboxRow } from '../outbox/event-store.ts'
import { WebhookStore } from '../outbox/store.ts'
import { type CommitExtra } from '../sessions/charge.ts'
import { Periods } from '../pricing/periods.ts'
import { buildPrices } from './prices.ts'
import { paymentChargeRow } from '../x402/store.ts'
import { keptRow } from '../sessions/kept-store.ts'
import { taskOwnerRow } from '../sessions/tasks/store.ts'
import { Dimensions } from '../usage/dimensions.ts'
import { Meters, meterRows, oldestPeriodMs } from '../usage/meters.ts'
import { UsageQueries } from '../usage/queries.ts'
import { usageStores } from '../usage/reading-store.ts'
import { UsageStore } from '../usage/store.ts'
import { UsageWriter } from '../usage/writer.ts'

const probeEveryMs = 500
const hourMs = 3_600_000

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
      await budgets.reload()
    },
    maxBatch: 512,
    maxQueue: 50_000,
    probeEveryMs,
    onCommit: (_calls, ms) => metrics.storeCommitSeconds.observe(ms / 1000),
  })
  const { budgets, funds, accounts, events } = await buildFunds({ db, clock, ledger, writer, log })
  lifecycle.onStop('usage writer', () => writer.close())
  const expiry = setInterval(
    () =>
      void ledger.expireGrants().catch((err: unknown) => log.warn({ err }, 'grants could not be expired')),
    60_000,
  )
  lifecycle.onStop('grant expiry', () => clearInterval(expiry))
  const sweep = setInterval(
    () => void budgets.sweep().catch((err: unknown) => log.warn({ err }, 'budgets could not be swept')),
    hourMs,
  )
  lifecycle.onStop('budget sweep', () => clearInterval(sweep))
  const queries = new UsageQueries(usageStores(db), { clock })
  // Records may have been dropped that webhooks have read: no new id may lie behind what they read.
  const [newest, furthest] = await Promise.all([usageStore.newestRecordId(), new WebhookStore(db).furthest()])
  const lastRecord = newest > furthest ? newest : furthest
  const counting = { meters, periods: new Periods() }
  return {
    ...prices,
    ledger,
    ...counting,
    budgets,
    funds,
    accounts,
    events,
    queries,
    writer,
    lastRecord,
  }
}

interface FundsParts extends Pick<MoneyParts, 'db' | 'clock' | 'log'> {
  readonly ledger: Ledger
  readonly writer: Pick<UsageWriter<CommitExtra>, 'settledSoFar'>
}

/** Budgets, and what holds them and the wallets together. */
export async function buildFunds({ db, clock, log, ledger, writer }: FundsParts) {
  const events = new EventStore(db, (event) => [outboxRow(event)])
  const history = new SpendHistoryStore(db)
  const budgets: Budgets = await Budgets.open({
    store: new BudgetStore(db),
    events,
    clock,
    parentOf: (id) => ledger.findAccount(id)?.parentId,
    currencyOf: (id) => ledger.findAccount(id)?.currency,
    history: (budget, fromMs) => {
      const { kind, subject } = budget.scope
      const below = kind === 'account' ? accounts.withDescendants(subject).map(({ id }) => id) : []
      return history.read(budget, fromMs, below)
    },
    settledSoFar: () => writer.settledSoFar(),
    onEvent: ({ id, kind, body }) => log.info({ event: id, kind, ...body }, 'a budget raised an event'),
  })
  const accounts = new AccountTree({ ledger, budgets, clock })
  return { budgets, events, accounts, funds: new Funds({ ledger, budgets }) }
}

/** The rows of other folders that commit with usage records. */
export function commitRows(extras: readonly CommitExtra[]) {
  const kept = extras.filter((extra) => 'fingerprint' in extra)
  const counts = extras.filter((extra) => 'meter' in extra)
  const payments = extras.filter((extra) => 'settles' in extra)
  const tasks = extras.filter((extra) => 'taskId' in extra)
  const entries = extras.filter(
    (extra): extra is FundsEntry =>
      !('fingerprint' in extra || 'meter' in extra || 'settles' in extra || 'taskId' in extra),
  )
  const told = entries.filter((entry) => 'body' in entry).map(outboxRow)
  return [
    ...entryRows(entries),
    ...told,
    ...kept.map(keptRow),
    ...meterRows(counts),
    ...payments.map(paymentChargeRow),
    ...tasks.map(taskOwnerRow),
  ]
}
