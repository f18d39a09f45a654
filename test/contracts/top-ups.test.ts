// What the crediting of payments promises, on SQLite and on PostgreSQL: one grant for each payment, for ever.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ManualClock } from '../../src/base/clock.ts'
import { GatewayError } from '../../src/base/errors.ts'
import { newId } from '../../src/base/id.ts'
import { silentLog as log } from '../../src/base/log.ts'
import { TopUpStore } from '../../src/billing/top-ups/store.ts'
import type { Payment } from '../../src/billing/top-ups/top-up.ts'
import { TopUps } from '../../src/billing/top-ups/top-ups.ts'
import type { Database } from '../../src/db/database.ts'
import { migrate } from '../../src/db/migrate.ts'
import { openPostgres } from '../../src/db/postgres.ts'
import { openSqlite } from '../../src/db/sqlite.ts'
import { Ledger } from '../../src/ledger/ledger.ts'
import { LedgerStore } from '../../src/ledger/store.ts'
import { startPostgres, type TestPostgres } from '../harness/postgres.ts'

const unit = 1_000_000_000n
const root = mkdtempSync(join(tmpdir(), 'top-ups-'))
let cluster: TestPostgres

beforeAll(async () => {
  cluster = await startPostgres()
  await cluster.createDatabase('top_ups')
})

afterAll(async () => {
  await cluster.stop()
  rmSync(root, { recursive: true, force: true })
})

const engines: [string, () => Promise<Database>][] = [
  ['sqlite', () => openSqlite({ file: join(root, 'test.db'), durability: 'process', log })],
  ['postgres', async () => openPostgres({ url: cluster.url('top_ups'), durability: 'process', log })],
]

describe.each(engines)('on %s', (_engine, openStore) => {
  const clock = new ManualClock(Date.UTC(2026, 10, 1))
  const defaults = { mode: 'prepaid', currency: 'USD', timeZone: 'UTC' } as const
  let db: Database
  let payments = 0

  /** One process over the store. `failAfterCommit`: the next write reaches the disk and seems to fail. */
  const start = async () => {
    const lies = { failAfterCommit: false }
    const seen: Database = new Proxy(db, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name)
        if (name !== 'write') return typeof member === 'function' ? member.bind(target) : member
        return async (...queries: Parameters<Database['write']>) => {
          const changed = await target.write(...queries)
          if (!lies.failAfterCommit) return changed
          lies.failAfterCommit = false
          throw new GatewayError('store_unavailable')
        }
      },
    })
    const ledger = await Ledger.open(new LedgerStore(seen), { clock, defaults })
    const topUps = new TopUps({ store: new TopUpStore(seen), ledger, clock })
    return { ledger, topUps, lies }
  }
  type Process = Awaited<ReturnType<typeof start>>
  let one: Process

  beforeAll(async () => {
    db = await openStore()
    await migrate(db, { log })
    one = await start()
  })

  afterAll(() => db.close())

  const account = async ({ ledger }: Process = one) =>
    (await ledger.addAccount({ id: newId('acc'), kind: 'user', name: 'ann' })).id

  const payment = (accountId: string, more: Partial<Payment> = {}): Payment => {
    const event = `evt_${payments++}`
    return { reference: `stripe:${event}`, event, accountId, amount: 5n * unit, currency: 'USD', ...more }
  }

  const balanceOf = ({ ledger }: Process, id: string) => ledger.totals(id).balance
  const grantsOf = async (id: string) =>
    (await new LedgerStore(db).listGrants()).filter(({ accountId }) => accountId === id)

  test('the same payment twice, and many times at once, is one grant', async () => {
    const id = await account()
    const paid = payment(id)
    const first = await one.topUps.credit(paid, 'stripe')
    const again = await Promise.all(Array.from({ length: 20 }, () => one.topUps.credit(paid, 'stripe')))
    expect(first.repeated).toBe(false)
    expect(again).toEqual(again.map(() => ({ grantId: first.grantId, repeated: true })))
    expect(balanceOf(one, id)).toBe(5n * unit)
    expect(await grantsOf(id)).toMatchObject([{ id: first.grantId, reason: `Top-up ${paid.event}` }])
  })

  test('the same payment after a restart is still the one grant', async () => {
    const id = await account()
    const paid = payment(id)
    const { grantId } = await one.topUps.credit(paid, 'stripe')
    const next = await start()
    expect(await next.topUps.credit(paid, 'stripe')).toEqual({ grantId, repeated: true })
    expect(balanceOf(next, id)).toBe(5n * unit)
    one = next
  })

  test('two events of one payment are one grant', async () => {
    const id = await account()
    const paid = payment(id)
    const { grantId } = await one.topUps.credit(paid, 'stripe')
    const other = { ...paid, event: 'evt_of_the_intent' }
    expect(await one.topUps.credit(other, 'stripe')).toEqual({ grantId, repeated: true })
  })

  test('a payment whose commit seemed to fail is credited once, and can be spent', async () => {
    const id = await account()
    const paid = payment(id)
    one.lies.failAfterCommit = true
    await expect(one.topUps.credit(paid, 'stripe')).rejects.toMatchObject({ code: 'store_unavailable' })
    expect(await grantsOf(id)).toHaveLength(1)
    for (let time = 0; time < 3; time++)
      expect(await one.topUps.credit(paid, 'stripe')).toMatchObject({ repeated: true })
    expect(balanceOf(one, id)).toBe(5n * unit)
    await one.ledger.reload()
    expect(balanceOf(one, id)).toBe(5n * unit)
  })

  test('another process that was first is believed, and the grant is not made again', async () => {
    const id = await account()
    const paid = payment(id)
    const other = await start()
    const both = await Promise.allSettled([
      one.topUps.credit(paid, 'stripe'),
      other.topUps.credit(paid, 'stripe'),
    ])
    const made = both.filter((each) => each.status === 'fulfilled' && !each.value.repeated)
    expect(made.length).toBeLessThanOrEqual(1)
    expect(await grantsOf(id)).toHaveLength(1)
    one = await start()
  })

  test('the same event with another amount or account is a conflict, and credits nothing', async () => {
    const [id, other] = [await account(), await account()]
    const paid = payment(id)
    await one.topUps.credit(paid, 'standard')
    for (const changed of [
      { ...paid, amount: 6n * unit },
      { ...paid, accountId: other },
    ])
      await expect(one.topUps.credit(changed, 'standard')).rejects.toMatchObject({ code: 'conflict' })
    expect([balanceOf(one, id), balanceOf(one, other)]).toEqual([5n * unit, 0n])
  })

  test('what cannot be credited is refused, and may come again when it can', async () => {
    const id = await account()
    const faults: Partial<Payment>[] = [
      { currency: 'EUR' },
      { accountId: 'acc_nobody' },
      { amount: 0n },
      { amount: 10n ** 17n + 1n },
      { expiresAtMs: clock.now() },
    ]
    for (const fault of faults) {
      const paid = payment(id)
      await expect(one.topUps.credit({ ...paid, ...fault }, 'standard')).rejects.toMatchObject({
        code: 'unprocessable',
      })
      expect(await one.topUps.credit(paid, 'standard')).toMatchObject({ repeated: false })
    }
    expect(balanceOf(one, id)).toBe(5n * unit * BigInt(faults.length))
  })
})
