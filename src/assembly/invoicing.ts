// Builds what bills: invoices, credit notes, and the monthly job.
import { type Clock } from '../base/clock.ts'
import { derivedId } from '../base/id.ts'
import { Lifecycle } from '../base/lifecycle.ts'
import { type Log } from '../base/log.ts'
import type { RunnableConfig } from '../commands/settings.ts'
import type { Database } from '../db/database.ts'
import { AutomaticInvoices } from '../invoicing/automatic.ts'
import { ChargeStore } from '../invoicing/charge-store.ts'
import { Composer } from '../invoicing/composer.ts'
import { CreditNoteStore } from '../invoicing/credit-note-store.ts'
import { CreditNotes } from '../invoicing/credit-notes.ts'
import { Invoices, type InvoiceSettings } from '../invoicing/invoices.ts'
import { ProfileStore } from '../invoicing/profile-store.ts'
import { InvoiceStore, type Announce } from '../invoicing/store.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { OutboxEventStore } from '../outbox/event-store.ts'
import { eventKinds } from '../outbox/webhook.ts'
import type { RuleBook } from '../pricing/rules.ts'
import type { UsageQueries } from '../usage/queries.ts'
import { UsageQueryStore } from '../usage/query-store.ts'

const maxLines = 5000
const hourMs = 3_600_000

interface InvoicingParts {
  readonly db: Database
  readonly clock: Clock
  readonly ledger: Ledger
  readonly rules: Pick<RuleBook, 'findVersion'>
  readonly queries: UsageQueries
  readonly settings: InvoiceSettings
}

/** Invoices and credit notes over the store; nothing runs by itself. */
export function buildInvoicing({ db, clock, ledger, rules, queries, settings }: InvoicingParts) {
  const store = new InvoiceStore(db, announcer(db))
  const charges = new ChargeStore(db, new UsageQueryStore(db))
  const creditNoteStore = new CreditNoteStore(db)
  const shared = { store, creditNotes: creditNoteStore, ledger, clock, settings }
  const invoices = new Invoices({
    ...shared,
    profiles: new ProfileStore(db),
    composer: new Composer({ store, charges, queries, maxLines }),
    findRule: (ruleId, version) => rules.findVersion(ruleId, version),
  })
  return { invoices, creditNotes: new CreditNotes({ ...shared, invoices }) }
}

/** Invoice events go out with the transaction that makes them; their ids follow from their numbers. */
function announcer(db: Database): Announce {
  const outbox = new OutboxEventStore(db)
  return ({ accountId, seq, invoiceId, kind, actor, atMs, note }, facts) => {
    const outer = eventKinds.find((known) => known === `invoice.${kind}`)
    if (!outer) return []
    const id = derivedId('evt', atMs, `${outer}:${accountId}:${seq}`)
    const body = { invoiceId, sequence: seq, actor, ...(note !== undefined && { note }), ...facts }
    return [outbox.add({ id, kind: outer, accountId, body, atMs })]
  }
}

interface BillingParts {
  readonly config: Pick<RunnableConfig, 'invoices' | 'accounts'>
  readonly db: Database
  readonly clock: Clock
  readonly log: Log
  readonly lifecycle: Lifecycle
  readonly money: Pick<InvoicingParts, 'ledger' | 'rules' | 'queries'>
}

/** Invoices as the configuration has them, and the monthly job where it is switched on. */
export function buildBilling({ config, db, clock, log, lifecycle, money }: BillingParts) {
  const { automatic, ...settings } = config.invoices
  const { timeZone } = config.accounts
  const invoicing = buildInvoicing({ db, clock, ...money, settings: { ...settings, timeZone } })
  if (automatic !== 'off') {
    const listAccounts = () => money.ledger.listAccounts()
    const job = new AutomaticInvoices({ mode: automatic, ...invoicing, ...money, listAccounts, clock, log })
    lifecycle.onStop('automatic invoices', startHourly(job, log))
  }
  return invoicing
}

/** Runs the job now and once an hour; returns how to stop. */
function startHourly(job: AutomaticInvoices, log: Log): () => Promise<void> {
  const run = () =>
    void job.run().then(
      (made) => made > 0 && log.info({ made }, 'invoices were made'),
      (err: unknown) => log.warn({ err }, 'invoices could not be made'),
    )
  const timer = setInterval(run, hourMs)
  run()
  return () => {
    clearInterval(timer)
    return job.stop()
  }
}
