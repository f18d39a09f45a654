// What the money path alone can do: holds and settlements, rating, records to the disk, and how fast balances are folded.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { systemClock as clock } from '../src/base/clock.ts'
import { CallIds, newId } from '../src/base/id.ts'
import { silentLog as log } from '../src/base/log.ts'
import { commitRows } from '../src/assembly/money.ts'
import { HotBatch } from '../src/db/batch.ts'
import type { Database } from '../src/db/database.ts'
import { migrate } from '../src/db/migrate.ts'
import { openPostgres } from '../src/db/postgres.ts'
import { openSqlite } from '../src/db/sqlite.ts'
import { Ledger } from '../src/ledger/ledger.ts'
import { LedgerStore } from '../src/ledger/store.ts'
import { transferRows } from '../src/ledger/transfer-store.ts'
import { compilePrice, rate } from '../src/pricing/rating.ts'
import type { CommitExtra } from '../src/sessions/charge.ts'
import { Dimensions } from '../src/usage/dimensions.ts'
import { UsageStore } from '../src/usage/store.ts'
import { UsageWriter } from '../src/usage/writer.ts'
import { startPostgres } from '../test/harness/postgres.ts'
import { UsageSource } from './usage-fill.ts'

interface Row {
  readonly what: string
  readonly store: string
  readonly figure: string
}

const defaults = { mode: 'prepaid', currency: 'USD', timeZone: 'UTC' } as const
const nano = 1_000_000_000n
const maxQueue = 4096

/** Accounts with credit, and a writer as the gateway has it. */
async function openBooks(db: Database, accounts: number) {
  const ledger = await Ledger.open(new LedgerStore(db), { clock, defaults })
  const ids: string[] = []
  for (let n = 0; n < accounts; n++) {
    const id = newId('acc', clock.now())
    await ledger.addAccount({ id, kind: 'user', name: `account ${n}` })
    await ledger.grant(id, { amount: 100_000n * nano, priority: 0, createdBy: 'bench' })
    ids.push(id)
  }
  const writer = new UsageWriter<CommitExtra>({
    store: new UsageStore(db),
    dimensions: new Dimensions({ known: [], next: 1, capacity: 100_000 }),
    log,
    extraRows: commitRows,
    onHeal: () => Promise.resolve(),
    maxBatch: 512,
    maxQueue,
    probeEveryMs: 500,
  })
  return { ledger, ids, writer }
}

/** Settles calls for some seconds, as fast as they become durable. */
async function settledPerS(
  { ledger, ids, writer }: Awaited<ReturnType<typeof openBooks>>,
  seconds: number,
): Promise<number> {
  const source = new UsageSource()
  const callIds = new CallIds(clock)
  const started = performance.now()
  const state = { settled: 0, waiting: 0, wake: () => {} }
  for (let n = 0; performance.now() - started < seconds * 1000; n++) {
    const accountId = ids[n % ids.length] ?? ''
    const hold = ledger.hold(accountId, 10_000_000n)
    if (!hold) throw new Error('the account ran out of credit')
    const record = { ...source.record(clock.now()), id: callIds.next(), accountId }
    const transfers = ledger.settle(hold, 5_000_000n, record.id)
    state.waiting++
    const done = (error?: Error): void => {
      if (error) throw error
      state.settled++
      state.waiting--
      state.wake()
    }
    writer.submit({ record, done }, transfers)
    while (state.waiting >= 1024) await new Promise<void>((resolve) => (state.wake = resolve))
  }
  await writer.flush()
  return Math.round(state.settled / ((performance.now() - started) / 1000))
}

/** Holds and settlements in memory alone, without a record or a disk. */
function pairsPerS(ledger: Ledger, ids: readonly string[], seconds: number): number {
  const started = performance.now()
  let pairs = 0
  while (performance.now() - started < seconds * 1000) {
    for (let n = 0; n < 1000; n++, pairs++) {
      const hold = ledger.hold(ids[pairs % ids.length] ?? '', 2n)
      if (!hold) throw new Error('the account ran out of credit')
      ledger.settle(hold, 1n, BigInt(pairs))
    }
  }
  return Math.round(pairs / ((performance.now() - started) / 1000))
}

function ratingsPerS(seconds: number): number {
  const rates = compilePrice({ perCall: '0.001', perKb: '0.0005', perSecond: '0.01', maximum: '5' })
  const started = performance.now()
  let [count, sum] = [0, 0n]
  while (performance.now() - started < seconds * 1000)
    for (let n = 0; n < 1000; n++, count++)
      sum += rate(rates, { calls: 1, bytes: 100 + (count % 9000), durationUs: count % 3_000_000 })
  if (sum === 0n) throw new Error('nothing was rated')
  return Math.round(count / ((performance.now() - started) / 1000))
}

/** Milliseconds in which a ledger with this many accounts opens once it has this many transfers. */
async function openMs(db: Database, accounts: number, transfers: number): Promise<number> {
  const { ids, ledger } = await openBooks(db, accounts)
  const store = new LedgerStore(db)
  const callIds = new CallIds(clock, { last: await store.newestTransferId() })
  const rows = (await store.listLedgerAccounts()).filter(({ kind }) => kind === 'grant')
  const revenue = (await store.listLedgerAccounts()).find(({ kind }) => kind === 'revenue')?.id ?? 0
  for (let made = 0; made < transfers; made += 2000) {
    const batch = Array.from({ length: 2000 }, (_, n) => {
      const id = callIds.next()
      const debit = rows[(made + n) % rows.length]?.id ?? 0
      return {
        id,
        kind: 'charge' as const,
        debit,
        credit: revenue,
        amount: 1n,
        record: id,
        atMs: clock.now(),
      }
    })
    await db.commit(new HotBatch(transferRows(batch)))
  }
  const started = performance.now()
  const fresh = await Ledger.open(store, { clock, defaults })
  const ms = performance.now() - started
  const [id = ''] = ids
  if (fresh.totals(id).balance >= ledger.totals(id).balance) throw new Error('the fold saw no transfers')
  return Math.round(ms)
}

async function withStore<T>(engine: string, work: (db: Database) => Promise<T>): Promise<T> {
  if (engine === 'sqlite') {
    const folder = mkdtempSync(join(tmpdir(), 'bench-money-'))
    const db = await openSqlite({ file: join(folder, 'tollbridge.db'), durability: 'disk', log })
    try {
      await migrate(db, { log })
      return await work(db)
    } finally {
      await db.close()
      rmSync(folder, { recursive: true })
    }
  }
  const cluster = await startPostgres()
  await cluster.createDatabase('bench')
  const db = await openPostgres({ url: cluster.url('bench'), durability: 'disk', log })
  try {
    await migrate(db, { log })
    return await work(db)
  } finally {
    await db.close()
    await cluster.stop()
  }
}

const flags = {
  seconds: { type: 'string', default: '5' },
  stores: { type: 'string', default: 'sqlite,postgres' },
  accounts: { type: 'string', default: '10000' },
  transfers: { type: 'string', default: '1000000' },
} as const

async function main(): Promise<void> {
  const { values } = parseArgs({ options: flags })
  const [seconds, accounts, transfers] = [values.seconds, values.accounts, values.transfers].map(Number) as [
    number,
    number,
    number,
  ]
  const rows: Row[] = [{ what: 'rating, calls/s', store: 'memory', figure: String(ratingsPerS(seconds)) }]
  for (const store of values.stores.split(',')) {
    for (const count of [1, accounts]) {
      const of = count === 1 ? 'one account' : `${count} accounts`
      rows.push(
        ...(await withStore(store, async (db) => {
          const books = await openBooks(db, count)
          const memory = store === 'sqlite' ? pairsPerS(books.ledger, books.ids, seconds) : undefined
          const durable = await settledPerS(books, seconds)
          await books.writer.close()
          return [
            ...(memory === undefined
              ? []
              : [{ what: `hold + settle on ${of}, pairs/s`, store: 'memory', figure: String(memory) }]),
            {
              what: `hold + settle + record on ${of}, durable, calls/s`,
              store,
              figure: String(durable),
            },
          ]
        })),
      )
    }
    const ms = await withStore(store, (db) => openMs(db, accounts, transfers))
    rows.push({
      what: `opening a ledger of ${accounts} accounts and ${transfers} transfers, ms`,
      store,
      figure: String(ms),
    })
  }
  report(rows, seconds)
}

function report(rows: readonly Row[], seconds: number): void {
  const date = new Date().toISOString().slice(0, 10)
  const lines = [
    `# Money, ${date}`,
    '',
    `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'CPU'}; ${seconds} s each; durability: disk.`,
    '',
    '| what | store | figure |',
    '| --- | --- | ---: |',
    ...rows.map(({ what, store, figure }) => `| ${what} | ${store} | ${figure} |`),
    '',
  ]
  const folder = join(import.meta.dirname, 'results')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, `money-${date}.md`), lines.join('\n'))
  console.log(lines.join('\n'))
}

await main()
