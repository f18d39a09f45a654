// A process that makes and finalizes invoices until it is killed, and says each number; for invoices.test.ts.
import { writeSync } from 'node:fs'
import { systemClock as clock } from '../../src/base/clock.ts'
import { silentLog as log } from '../../src/base/log.ts'
import { openPostgres } from '../../src/db/postgres.ts'
import { openSqlite } from '../../src/db/sqlite.ts'
import { Ledger } from '../../src/ledger/ledger.ts'
import { LedgerStore } from '../../src/ledger/store.ts'
import { RuleBook } from '../../src/pricing/rules.ts'
import { RuleStore } from '../../src/pricing/store.ts'
import { UsageQueries } from '../../src/usage/queries.ts'
import { usageStores } from '../../src/usage/reading-store.ts'
import { openInvoices } from '../harness/invoices.ts'

const { file, url, accountId } = JSON.parse(process.argv[2] ?? '{}') as {
  file?: string
  url?: string
  accountId: string
}
const db = url
  ? await openPostgres({ url, log })
  : await openSqlite({ file: file ?? '', durability: 'disk', log })
const defaults = { mode: 'postpaid', currency: 'USD', timeZone: 'UTC' } as const
const ledger = await Ledger.open(new LedgerStore(db), { clock, defaults })
const rules = await RuleBook.open({ store: new RuleStore(db), clock })
const queries = new UsageQueries(usageStores(db), { clock })
const { invoices } = openInvoices({ db, clock, ledger, rules, queries })
const account = ledger.findAccount(accountId)
if (!account) throw new Error('no such account')

const dayMs = 86_400_000
for (let day = Number(process.argv[3] ?? 0); ; day++) {
  const startMs = Date.UTC(2020, 0, 1) + day * dayMs
  const draft = await invoices.create(account, { period: { startMs, endMs: startMs + dayMs }, actor: 'test' })
  const { number } = await invoices.finalize(draft.id, { actor: 'test' })
  writeSync(1, `${number}\n`)
}
