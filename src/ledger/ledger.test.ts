// Guarantees of the ledger against a naive model: burn order, holds, expiry, and that memory is the fold of the store.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ManualClock } from '../base/clock.ts'
import { newId } from '../base/id.ts'
import { silentLog as log } from '../base/log.ts'
import type { Database } from '../db/database.ts'
import { migrate } from '../db/migrate.ts'
import { rawQuery } from '../db/raw-query.ts'
import { openSqlite } from '../db/sqlite.ts'
import type { AccountMode } from './account.ts'
import type { Hold } from './hold.ts'
import { Ledger } from './ledger.ts'
import { LedgerStore } from './store.ts'
import { runs } from '../../test/harness/fuzz.ts'

const folder = mkdtempSync(join(tmpdir(), 'tollbridge-ledger-'))
const clock = new ManualClock()
const defaults = { mode: 'prepaid', currency: 'USD', timeZone: 'UTC' } as const
let db: Database
let store: LedgerStore
let ledger: Ledger

beforeAll(async () => {
  db = await openSqlite({ file: join(folder, 'test.db'), durability: 'process', log })
  await migrate(db, { log })
  store = new LedgerStore(db)
  ledger = await Ledger.open(store, { clock, defaults })
})
afterAll(async () => {
  await db.close()
  rmSync(folder, { recursive: true, force: true })
})

async function account(mode: AccountMode = 'prepaid'): Promise<string> {
  const id = newId('acc', clock.now())
  await ledger.addAccount({ id, kind: 'user', name: 'test' })
  if (mode === 'postpaid') await ledger.changeAccount(id, { mode })
  return id
}

describe('a page of an account', () => {
  /** What a page must hold: every transfer of the store that touches the account, by reading them all. */
  async function expected(id: string): Promise<bigint[]> {
    const own = new Set((await store.listLedgerAccounts(id)).map((row) => row.id))
    const rows = await db.read(
      rawQuery<{ id: bigint; debit: bigint; credit: bigint }>(
        'SELECT id, debit, credit FROM transfer ORDER BY id DESC',
      ),
    )
    return rows
      .filter((row) => own.has(Number(row.debit)) || own.has(Number(row.credit)))
      .map((row) => row.id)
  }

  test('holds grants, charges and expiries once each, newest first, however many grants there are', async () => {
    const [id, other] = [await account(), await account()]
    const grant = (to: string, expiresAtMs?: number) =>
      ledger.grant(to, { amount: 5n, priority: 0, createdBy: 'test', ...(expiresAtMs && { expiresAtMs }) })
    for (let n = 0; n < 130; n++) await grant(id, n % 3 === 0 ? clock.now() + 1000 : undefined)
    await grant(other)
    for (const each of [id, other, id, id]) {
      const hold = ledger.hold(each, 3n)
      if (hold) await store.commitTransfers(settle(hold, 3n))
    }
    clock.advance(2000)
    await ledger.expireGrants()
    const whole = await expected(id)
    expect(whole.length).toBeGreaterThan(170)
    const paged: bigint[] = []
    for (let before: bigint | undefined; ; before = paged.at(-1)) {
      const rows = await ledger.listTransfers(id, { limit: 7, ...(before !== undefined && { before }) })
      if (rows.length === 0) break
      paged.push(...rows.map((row) => row.id))
    }
    expect(paged).toEqual(whole)
    expect(new Set((await ledger.listTransfers(id, { limit: 1000 })).map(({ kind }) => kind))).toEqual(
      new Set(['grant', 'charge', 'expiry']),
    )
  })

  test('is read by its indexes alone', async () => {
    const id = await account()
    const read = db.read.bind(db)
    const plans: string[] = []
    const watched: Database = {
      ...db,
      builder: () => db.builder(),
      read: async (query) => {
        const { sql, parameters } = query.compile()
        const plan = { ...query.compile(), sql: `EXPLAIN QUERY PLAN ${sql}`, parameters }
        for (const step of await read<{ detail: string }>({ compile: () => plan })) plans.push(step.detail)
        return read(query)
      },
    }
    const own = (await store.listLedgerAccounts(id)).map((row) => row.id)
    await new LedgerStore(watched).listTransfers(own, { limit: 5, before: 10n })
    const steps = plans.filter((step) => /transfer/.test(step))
    expect(steps.length).toBe(2 * own.length)
    for (const step of steps) expect(step).toMatch(/SEARCH transfer USING INDEX transfer_(debit|credit)/)
  })
})

let record = 1n
const settle = (hold: Hold, cost: bigint) => ledger.settle(hold, cost, record++)

interface ModelGrant {
  readonly id: string
  left: bigint
  readonly priority: number
  readonly startsAt: number
  readonly endsAt: number
  readonly account: number
  isVoid: boolean
}

/** The rules of a wallet in the plainest words. */
class Model {
  readonly mode: AccountMode
  grants: ModelGrant[] = []
  holds: bigint[] = []
  granted = 0n
  owed = 0n
  spent = 0n
  expired = 0n
  voided = 0n

  constructor(mode: AccountMode) {
    this.mode = mode
  }

  get held(): bigint {
    return this.holds.reduce((sum, hold) => sum + hold, 0n)
  }

  left(now: number): bigint {
    return this.grants
      .filter(({ startsAt, endsAt, isVoid }) => startsAt <= now && endsAt > now && !isVoid)
      .reduce((sum, { left }) => sum + left, 0n)
  }

  scheduled(now: number): bigint {
    return this.grants
      .filter(({ startsAt, isVoid }) => startsAt > now && !isVoid)
      .reduce((sum, { left }) => sum + left, 0n)
  }

  balance(now: number): bigint {
    return this.left(now) - this.owed
  }

  covers(amount: bigint, now: number): boolean {
    return this.mode === 'postpaid' || amount === 0n || amount <= this.balance(now) - this.held
  }

  inOrder(): Model['grants'] {
    return this.grants.toSorted(
      (a, b) =>
        a.priority - b.priority ||
        (a.endsAt === b.endsAt ? 0 : a.endsAt - b.endsAt) ||
        (a.id < b.id ? -1 : 1),
    )
  }

  charge(amount: bigint, now: number): [number | 'owed', bigint][] {
    this.spent += amount
    const draws: [number | 'owed', bigint][] = []
    for (const grant of this.inOrder().filter(({ startsAt }) => startsAt <= now)) {
      const part = grant.left < amount ? grant.left : amount
      if (part === 0n) continue
      grant.left -= part
      amount -= part
      draws.push([grant.account, part])
    }
    this.owed += amount
    return amount > 0n ? [...draws, ['owed', amount]] : draws
  }

  /** Expired and voided grants lose what they have, but never what the holds may need; nobody holds the future. */
  expire(now: number): void {
    const begun = this.grants.filter(({ startsAt }) => startsAt <= now)
    let free = begun.reduce((sum, { left }) => sum + left, 0n) - this.held
    for (const grant of this.inOrder()) {
      if (grant.endsAt > now && !grant.isVoid) continue
      const most = grant.startsAt > now ? grant.left : free
      const part = grant.left < most ? grant.left : most
      if (part <= 0n) continue
      grant.left -= part
      if (grant.startsAt <= now) free -= part
      if (grant.isVoid) this.voided += part
      else this.expired += part
    }
  }
}

const amount = fc.bigInt({ min: 0n, max: 100n })
const step = fc.oneof(
  fc.record({
    do: fc.constant('grant' as const),
    amount: fc.bigInt({ min: 1n, max: 100n }),
    priority: fc.nat(2),
    waitsMs: fc.option(fc.integer({ min: 1, max: 40 })),
    lastsMs: fc.option(fc.integer({ min: 1, max: 50 })),
  }),
  fc.record({ do: fc.constant('void' as const), grant: fc.nat() }),
  fc.record({ do: fc.constant('hold' as const), amount }),
  fc.record({ do: fc.constant('hold' as const), amount }),
  fc.record({ do: fc.constant('extend' as const), which: fc.nat(), amount }),
  fc.record({ do: fc.constant('settle' as const), which: fc.nat(), share: fc.integer({ min: 0, max: 4 }) }),
  fc.record({ do: fc.constant('settle' as const), which: fc.nat(), share: fc.integer({ min: 0, max: 4 }) }),
  fc.record({ do: fc.constant('release' as const), which: fc.nat() }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 30 }) }),
  fc.record({ do: fc.constant('expire' as const) }),
  fc.record({ do: fc.constant('reload' as const) }),
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

/** One account of the ledger and its model, taking the same steps. */
class Pair {
  readonly id: string
  readonly model: Model
  readonly holds: Hold[] = []

  constructor(id: string, mode: AccountMode) {
    this.id = id
    this.model = new Model(mode)
  }

  async take(step: Step): Promise<void> {
    const { model, holds, id } = this
    const now = clock.now()
    const at = 'which' in step && holds.length > 0 ? step.which % holds.length : 0
    const hold = holds[at]
    if (step.do === 'grant') {
      const startsAtMs = step.waitsMs === null ? undefined : now + step.waitsMs
      const expiresAtMs = step.lastsMs === null ? undefined : (startsAtMs ?? now) + step.lastsMs
      const times = {
        ...(startsAtMs !== undefined && { startsAtMs }),
        ...(expiresAtMs !== undefined && { expiresAtMs }),
      }
      const given = { amount: step.amount, priority: step.priority, createdBy: 'usr_1' }
      const { grant } = await ledger.grant(id, { ...given, ...times })
      const { priority, ledgerAccount } = grant
      model.grants.push({
        id: grant.id,
        left: step.amount,
        priority,
        startsAt: startsAtMs ?? -Infinity,
        endsAt: expiresAtMs ?? Infinity,
        account: ledgerAccount,
        isVoid: false,
      })
      model.granted += step.amount
    } else if (step.do === 'void') {
      const grant = model.grants[step.grant % model.grants.length]
      if (!grant) return
      grant.isVoid = true
      model.expire(now)
      const view = await ledger.voidGrant(id, grant.id)
      expect(view).toMatchObject({ remaining: grant.left, state: 'voided' })
    } else if (step.do === 'hold') {
      const made = ledger.hold(id, step.amount)
      expect(made !== undefined).toBe(model.covers(step.amount, now))
      if (!made) return
      holds.push(made)
      model.holds.push(step.amount)
    } else if (step.do === 'wait') clock.advance(step.ms)
    else if (step.do === 'reload') await ledger.reload()
    else if (step.do === 'expire') {
      await ledger.expireGrants()
      model.expire(now)
    } else if (hold) await this.#resolve(step, hold, at)
  }

  async #resolve(step: Extract<Step, { which: number }>, hold: Hold, at: number): Promise<void> {
    const { model, holds } = this
    const size = model.holds[at] ?? 0n
    if (step.do === 'extend') {
      const larger = step.amount > size
      const possible = !larger || model.covers(step.amount - size, clock.now())
      expect(ledger.extend(hold, step.amount)).toBe(possible)
      if (larger && possible) model.holds[at] = step.amount
      return
    }
    holds.splice(at, 1)
    model.holds.splice(at, 1)
    if (step.do === 'release') return ledger.release(hold)
    // A postpaid call may cost more than was held for it.
    const cost = (size * BigInt(step.share)) / (model.mode === 'postpaid' ? 2n : 4n)
    const transfers = settle(hold, cost)
    await store.commitTransfers(transfers)
    const draws = model.charge(cost, clock.now())
    expect(transfers.map((transfer) => transfer.amount)).toEqual(draws.map(([, part]) => part))
    for (const [index, [from]] of draws.entries())
      if (from !== 'owed') expect(transfers[index]?.debit).toBe(from)
  }

  check(): void {
    const { model, id, holds } = this
    const totals = ledger.totals(id)
    const { granted, spent, expired, held, voided } = model
    const now = clock.now()
    const scheduled = model.scheduled(now)
    const balance = model.balance(now)
    expect(totals).toEqual({ balance, held, granted, spent, expired, voided, scheduled })
    expect(totals.held).toBe(holds.reduce((sum, hold) => sum + hold.amount, 0n))
    if (model.mode === 'prepaid') {
      expect(model.owed).toBe(0n)
      expect(totals.balance).toBeGreaterThanOrEqual(0n)
      expect(totals.spent + totals.held + totals.expired + totals.voided).toBeLessThanOrEqual(totals.granted)
    }
  }
}

describe('a wallet', () => {
  test.each(['prepaid', 'postpaid'] as const)(
    'that is %s does what the model does, through any steps',
    async (mode) => {
      const seed = Math.floor(Math.random() * 2 ** 31)
      console.log(`ledger seed ${seed}`)
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
          const pair = new Pair(await account(mode), mode)
          for (const each of steps) {
            await pair.take(each)
            pair.check()
          }
          await ledger.reload()
          pair.check()
          for (const hold of pair.holds) ledger.release(hold)
        }),
        { seed, numRuns: runs(60) },
      )
    },
  )

  test('credit for ten calls lets exactly ten of five hundred pass', async () => {
    const id = await account()
    await ledger.grant(id, { amount: 10n * 7n + 6n, priority: 0, createdBy: 'usr_1' })
    const holds = Array.from({ length: 500 }, () => ledger.hold(id, 7n)).filter((hold) => hold !== undefined)
    expect(holds).toHaveLength(10)
    for (const hold of holds) await store.commitTransfers(settle(hold, 7n))
    expect(ledger.hold(id, 7n)).toBeUndefined()
    expect(ledger.totals(id)).toMatchObject({ balance: 6n, held: 0n, spent: 70n })
  })

  test('a hold is resolved once, whichever way', async () => {
    const id = await account()
    await ledger.grant(id, { amount: 100n, priority: 0, createdBy: 'usr_1' })
    const [one, other] = [ledger.hold(id, 5n), ledger.hold(id, 5n)]
    if (!one || !other) throw new Error('not held')
    settle(one, 0n)
    ledger.release(other)
    for (const hold of [one, other]) {
      expect(() => settle(hold, 1n)).toThrow()
      expect(() => ledger.release(hold)).toThrow()
      expect(() => ledger.extend(hold, 9n)).toThrow()
    }
    expect(ledger.totals(id)).toMatchObject({ held: 0n, balance: 100n })
  })

  test('a prepaid call never costs more than was held for it', async () => {
    const id = await account()
    await ledger.grant(id, { amount: 100n, priority: 0, createdBy: 'usr_1' })
    const hold = ledger.hold(id, 5n)
    if (!hold) throw new Error('not held')
    expect(() => settle(hold, 6n)).toThrow()
  })

  test('what a call holds stays spendable for it when the grant expires meanwhile', async () => {
    const id = await account()
    await ledger.grant(id, { amount: 10n, priority: 0, expiresAtMs: clock.now() + 10, createdBy: 'usr_1' })
    const hold = ledger.hold(id, 4n)
    if (!hold) throw new Error('not held')
    clock.advance(20)
    await ledger.expireGrants()
    expect(ledger.totals(id)).toMatchObject({ expired: 6n, held: 4n })
    expect(ledger.hold(id, 1n)).toBeUndefined()
    await store.commitTransfers(settle(hold, 4n))
    expect(ledger.totals(id)).toMatchObject({ balance: 0n, held: 0n, granted: 10n, spent: 4n, expired: 6n })
  })

  test('grants that are made at once and folded meanwhile are neither lost nor counted twice', async () => {
    const id = await account()
    const work = Array.from({ length: 30 }, (_, n) =>
      n % 3 === 2 ? ledger.reload() : ledger.grant(id, { amount: 1n, priority: 0, createdBy: 'usr_1' }),
    )
    await Promise.all(work)
    expect(ledger.totals(id)).toMatchObject({ granted: 20n, balance: 20n })
    const again = await Ledger.open(store, { clock, defaults })
    expect(again.totals(id)).toEqual(ledger.totals(id))
  })
})
