// What payments for single calls promise, on SQLite and on PostgreSQL: taken once, charged with the record, ended once.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { commitRows } from '../../src/assembly/money.ts'
import { ManualClock } from '../../src/base/clock.ts'
import { newId } from '../../src/base/id.ts'
import { silentLog as log } from '../../src/base/log.ts'
import { HotBatch } from '../../src/db/batch.ts'
import type { Database } from '../../src/db/database.ts'
import { migrate } from '../../src/db/migrate.ts'
import { openPostgres } from '../../src/db/postgres.ts'
import { openSqlite } from '../../src/db/sqlite.ts'
import { Ledger } from '../../src/ledger/ledger.ts'
import { LedgerStore } from '../../src/ledger/store.ts'
import type { SettleVerdict } from '../../src/x402/facilitator.ts'
import { Settlements, type Signable } from '../../src/x402/settlements.ts'
import { PaymentStore } from '../../src/x402/store.ts'
import { startPostgres, type TestPostgres } from '../harness/postgres.ts'

const root = mkdtempSync(join(tmpdir(), 'payments-'))
let cluster: TestPostgres

beforeAll(async () => {
  cluster = await startPostgres()
  await cluster.createDatabase('payments')
})

afterAll(async () => {
  await cluster.stop()
  rmSync(root, { recursive: true, force: true })
})

const engines: [string, () => Promise<Database>][] = [
  ['sqlite', () => openSqlite({ file: join(root, 'test.db'), durability: 'process', log })],
  ['postgres', async () => openPostgres({ url: cluster.url('payments'), durability: 'process', log })],
]

const network = 'eip155:1'
/** The facilitator of these tests does not look at it. */
const signable = { payment: {}, requirements: { network, amount: '0' } } as unknown as Signable
const settled: SettleVerdict = {
  kind: 'settled',
  response: { success: true, transaction: '0x1', network },
}
const refused: SettleVerdict = {
  kind: 'refused',
  response: { success: false, errorReason: 'insufficient_funds', transaction: '', network },
}

describe.each(engines)('on %s', (_engine, openStore) => {
  const clock = new ManualClock(Date.UTC(2026, 10, 1))
  const defaults = { mode: 'prepaid', currency: 'USD', timeZone: 'UTC' } as const
  let db: Database
  let store: PaymentStore
  let ledger: Ledger
  let lastRecord = 1000n
  const openLedger = () => Ledger.open(new LedgerStore(db), { clock, defaults })

  beforeAll(async () => {
    db = await openStore()
    await migrate(db, { log })
    store = new PaymentStore(db)
    ledger = await openLedger()
  })

  afterAll(() => db.close())

  const newAccount = async () => {
    const { id } = await ledger.addAccount({ id: newId('acc', clock.now()), kind: 'user', name: 'payer' })
    await ledger.grant(id, { amount: 7n, priority: 0, createdBy: 'test' })
    return id
  }

  const take = async (accountId: string, name = `name ${lastRecord}`) => {
    const record = ++lastRecord
    await store.take({ name, record, accountId, sealed: 'sealed', atMs: clock.now() })
    return { name, record }
  }

  /** A call that cost 13 000 500 of a payment that moved 13 001 000. */
  const paidCall = async () => {
    const accountId = await newAccount()
    const { record } = await take(accountId)
    const most = 20_000_000n
    const backing = { most, createdBy: 'x402', reason: 'test', received: () => 13_001_000n }
    expect(ledger.hold(accountId, most + 1n, backing)).toBeUndefined()
    const hold = ledger.hold(accountId, 15_000_000n, backing)
    if (!hold) throw new Error('the payment covers it')
    expect(ledger.totals(accountId)).toMatchObject({ balance: 7n, held: 0n })
    expect(ledger.extend(hold, most + 1n)).toBe(false)
    expect(ledger.extend(hold, most)).toBe(true)
    const charge = { settles: record, units: 13_001n, amount: 13_001_000n, atMs: clock.now() }
    await db.commit(new HotBatch(commitRows([...ledger.settle(hold, 13_000_500n, record), charge])))
    return { accountId, record, pending: { record, accountId, sealed: 'sealed', ...charge } }
  }

  const settlements = (answers: SettleVerdict[], ends: string[] = []) =>
    new Settlements({
      store,
      facilitator: { settle: () => Promise.resolve(answers.shift() ?? { kind: 'unknown', sent: true }) },
      ledger,
      clock,
      log,
      unseal: () => signable,
      retryMs: 100,
      onEnd: (state) => void ends.push(state),
    })

  const isPending = async (record: bigint) =>
    (await store.listPending(0n, 1000)).some((each) => each.record === record)

  /** The wallet in memory is what the transfers come to. */
  const expectTotals = async (accountId: string, totals: object) => {
    expect(ledger.totals(accountId)).toMatchObject(totals)
    expect((await openLedger()).totals(accountId)).toEqual(ledger.totals(accountId))
  }

  test('a payment is taken once, whoever takes it', async () => {
    const accountId = await newAccount()
    const { name } = await take(accountId)
    expect(await store.isTaken(name)).toBe(true)
    expect(await store.isTaken('another')).toBe(false)
    await expect(take(accountId, name)).rejects.toMatchObject({ code: 'conflict' })
    const many = await Promise.allSettled(Array.from({ length: 20 }, () => take(accountId, 'many')))
    expect(many.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  test('it is a grant that the call uses up: the balance stays, and the rest of its last unit expires', async () => {
    const { accountId, record, pending } = await paidCall()
    await expectTotals(accountId, {
      balance: 7n,
      held: 0n,
      granted: 13_001_007n,
      spent: 13_000_500n,
      expired: 500n,
    })
    expect(await isPending(record)).toBe(true)
    const { state } = await settlements([settled]).settle(pending, signable)
    expect(state).toBe('settled')
    expect(await isPending(record)).toBe(false)
    await expectTotals(accountId, { balance: 7n, spent: 13_000_500n })
  })

  test('a payment that is refused after its call is owed', async () => {
    const { accountId, record, pending } = await paidCall()
    const { state } = await settlements([refused]).settle(pending, signable)
    expect(state).toBe('refused')
    expect(await isPending(record)).toBe(false)
    await expectTotals(accountId, { balance: 7n - 13_001_000n, spent: 13_000_500n })
  })

  test('one that may have been settled before is not charged again when it is refused', async () => {
    const { accountId, record, pending } = await paidCall()
    const ends: string[] = []
    const tried = settlements([{ kind: 'unknown', sent: true }, refused], ends)
    expect((await tried.settle(pending, signable)).state).toBe('pending')
    await tried.retry()
    expect(await isPending(record), 'it waits for its turn').toBe(true)
    clock.advance(200)
    await tried.retry()
    expect(ends).toEqual(['pending', 'unclear'])
    expect(await isPending(record)).toBe(false)
    await expectTotals(accountId, { balance: 7n })
  })

  test('one that never reached the facilitator is owed when it is refused later', async () => {
    const { accountId, pending } = await paidCall()
    const ends: string[] = []
    const tried = settlements([{ kind: 'unknown', sent: false }, refused], ends)
    await tried.settle(pending, signable)
    clock.advance(200)
    await tried.retry()
    expect(ends).toEqual(['pending', 'refused'])
    await expectTotals(accountId, { balance: 7n - 13_001_000n })
  })

  test('what a former process left is settled, and what it left without a record is released', async () => {
    const { accountId, record } = await paidCall()
    const lost = await take(accountId)
    const ends: string[] = []
    await settlements([settled], ends).retry()
    expect(ends).toEqual(['settled'])
    expect(await isPending(record)).toBe(false)
    await store.releaseLeft(clock.now(), clock.now())
    await store.releaseLeft(clock.now() + 1, clock.now())
    await expect(take(accountId, lost.name)).rejects.toMatchObject({ code: 'conflict' })
  })
})
