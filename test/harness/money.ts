// Everything that a metered call costs, over a real store: rules, ledger, writer and queries, with a movable clock.
import { buildPrices } from '../../src/assembly/prices.ts'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ManualClock } from '../../src/base/clock.ts'
import type { GatewayError } from '../../src/base/errors.ts'
import { newId } from '../../src/base/id.ts'
import { silentLog as log } from '../../src/base/log.ts'
import { buildAudit } from '../../src/assembly/audit.ts'
import type { Database } from '../../src/db/database.ts'
import { migrate } from '../../src/db/migrate.ts'
import { openSqlite } from '../../src/db/sqlite.ts'
import { Ledger } from '../../src/ledger/ledger.ts'
import { LedgerStore } from '../../src/ledger/store.ts'
import type { Outcome } from '../../src/pricing/price.ts'
import type { CallOrigin } from '../../src/sessions/charge.ts'
import { SettledCalls, type Settled } from '../../src/sessions/settled.ts'
import { UsageQueries } from '../../src/usage/queries.ts'
import { usageStores } from '../../src/usage/reading-store.ts'
import { buildMetering, ordinaryCall } from './metering.ts'

export interface CallOptions extends Partial<CallOrigin> {
  readonly accountId: string
  readonly outcome?: Outcome
  readonly responseBytes?: number
  readonly durationMs?: number
  readonly free?: boolean
}

export type Money = Awaited<ReturnType<typeof openMoney>>

/** `database`: an empty store to use instead of a SQLite file of its own. */
export async function openMoney(options: { startMs?: number; database?: Database } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'tollbridge-money-'))
  const file = join(folder, 'test.db')
  const db = options.database ?? (await openSqlite({ file, durability: 'process', log }))
  await migrate(db, { log })
  const clock = new ManualClock(options.startMs)
  const defaults = { mode: 'postpaid', currency: 'USD', timeZone: 'UTC' } as const
  const ledger = await Ledger.open(new LedgerStore(db), { clock, defaults })
  const prices = await buildPrices(db, clock)
  const { rules } = prices
  const settled = new SettledCalls()
  const { writer, metering, openCalls, ...parts } = await buildMetering({
    db,
    clock,
    log,
    ledger,
    rules,
    probeEveryMs: 5,
    maxQueue: 10_000,
    onSettled: (call) => settled.publish(call),
  })
  /** Begins a call; what is returned ends it, now or at any time later. */
  const begin = (given: CallOptions): (() => Promise<Settled>) => {
    const { outcome = 'success', responseBytes = 1000, durationMs = 0, free = false, ...origin } = given
    const { charge, refusal } = metering.begin({ ...ordinaryCall, ...origin })
    const failed = refusal
      ? { outcome: 'denied' as const, free: true, error: refusal.code }
      : { outcome, free }
    const end = { statusCode: refusal?.status ?? 200, responseBytes: refusal ? 0 : responseBytes, ...failed }
    return () => {
      clock.advance(durationMs)
      clock.set(Math.floor(clock.now()))
      return new Promise((resolve, reject) => {
        charge.settle(end, (error: GatewayError | undefined, result) =>
          error ? reject(error) : resolve(result),
        )
      })
    }
  }
  const call = (given: CallOptions): Promise<Settled> => begin(given)()
  return {
    file,
    db,
    clock,
    ledger,
    ...parts,
    metering,
    openCalls,
    ...prices,
    writer,
    settled,
    begin,
    call,
    queries: new UsageQueries(usageStores(db), { clock }),
    audited: buildAudit(db),
    /** A user's account; returns its id. */
    addAccount: async (ownerId: string, mode: 'prepaid' | 'postpaid' = 'postpaid'): Promise<string> => {
      const id = newId('acc', clock.now())
      await ledger.addAccount({ id, kind: 'user', name: ownerId, ownerId })
      if (mode === 'prepaid') await ledger.changeAccount(id, { mode })
      return id
    },
    close: async () => {
      await writer.close()
      await db.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
