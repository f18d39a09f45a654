// What becomes of grants: they begin, end and are taken back, and running calls keep what they hold.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openMoney, type Money } from '../../test/harness/money.ts'
import type { ManualClock } from '../base/clock.ts'
import { newId } from '../base/id.ts'
import { Ledger } from './ledger.ts'
import { LedgerStore } from './store.ts'

let money: Money
let clock: ManualClock
let ledger: Ledger
let store: LedgerStore
let record = 1n
beforeAll(async () => {
  money = await openMoney()
  ;({ clock, ledger } = money)
  store = new LedgerStore(money.db)
})
afterAll(() => money.close())

describe('a grant', () => {
  test('a grant that is taken back leaves what running calls hold, and the rest goes back to funding', async () => {
    const id = await money.addAccount('usr_1', 'prepaid')
    const { grant } = await ledger.grant(id, { amount: 10n, priority: 0, createdBy: 'usr_1' })
    const hold = ledger.hold(id, 4n)
    if (!hold) throw new Error('not held')
    expect(await ledger.voidGrant(id, grant.id)).toMatchObject({ remaining: 4n, state: 'voided' })
    expect(ledger.hold(id, 1n)).toBeUndefined()
    await store.commitTransfers(ledger.settle(hold, 3n, record++))
    await ledger.expireGrants()
    expect(ledger.totals(id)).toMatchObject({ balance: 0n, spent: 3n, voided: 7n, expired: 0n })
    const back = (await ledger.listTransfers(id, { limit: 10 })).filter(({ kind }) => kind === 'void')
    expect(back.map(({ amount }) => amount)).toEqual([1n, 6n])
    await ledger.reload()
    expect(ledger.totals(id)).toMatchObject({ balance: 0n, spent: 3n, voided: 7n, expired: 0n })
    await expect(
      ledger.voidGrant(await money.addAccount('usr_1', 'prepaid'), grant.id),
    ).rejects.toMatchObject({ code: 'not_found' })
  })

  test('a grant says what becomes of it: scheduled, active, exhausted, expired, voided', async () => {
    const id = await money.addAccount('usr_1', 'prepaid')
    const now = clock.now()
    const give = { amount: 5n, priority: 0, createdBy: 'usr_1' }
    await ledger.grant(id, { ...give, priority: 9, startsAtMs: now + 100, expiresAtMs: now + 200 })
    clock.advance(1)
    await ledger.grant(id, give)
    clock.advance(1)
    await ledger.grant(id, { ...give, priority: 5 })
    const states = async () =>
      (await ledger.listGrants(id)).map(({ state, remaining }) => `${state} ${remaining}`)
    expect(await states()).toEqual(['scheduled 5', 'active 5', 'active 5'])
    expect(ledger.hold(id, 11n)).toBeUndefined()
    const hold = ledger.hold(id, 5n)
    if (!hold) throw new Error('not held')
    await store.commitTransfers(ledger.settle(hold, 5n, record++))
    await ledger.voidGrant(id, (await ledger.listGrants(id))[2]?.grant.id ?? '')
    expect(await states()).toEqual(['scheduled 5', 'exhausted 0', 'voided 0'])
    clock.advance(100)
    expect(await states()).toEqual(['active 5', 'exhausted 0', 'voided 0'])
    expect(ledger.totals(id).balance).toBe(5n)
    clock.advance(100)
    expect((await states())[0]).toBe('expired 5')
  })

  test('an account may be in any currency, and is charged in it', async () => {
    const made = await ledger.addAccount({
      id: newId('acc', clock.now()),
      kind: 'team',
      name: 'kr',
      currency: 'JPY',
    })
    await ledger.grant(made.id, { amount: 5n, priority: 0, createdBy: 'usr_1' })
    const hold = ledger.hold(made.id, 5n)
    if (!hold) throw new Error('not held')
    await store.commitTransfers(ledger.settle(hold, 5n, record++))
    const again = await Ledger.open(store, { clock, defaults: ledger.defaults })
    expect(again.findAccount(made.id)).toMatchObject({ currency: 'JPY', mode: 'postpaid', timeZone: 'UTC' })
    expect(again.totals(made.id)).toMatchObject({ balance: 0n, spent: 5n })
  })

  test('whose expiry reached the disk although its commit failed is not written again, and others still expire', async () => {
    const id = await money.addAccount('usr_1', 'prepaid')
    const give = { amount: 5n, priority: 0, createdBy: 'usr_1' }
    await ledger.grant(id, { ...give, expiresAtMs: clock.now() + 10 })
    await ledger.grant(id, { ...give, expiresAtMs: clock.now() + 20 })
    const commit = money.db.commit.bind(money.db)
    clock.advance(10)
    money.db.commit = async (batch) => {
      await commit(batch)
      throw new Error('the connection was lost')
    }
    await expect(ledger.expireGrants()).rejects.toThrow('lost')
    money.db.commit = commit
    clock.advance(10)
    expect(await ledger.expireGrants()).toBe(1)
    const ends = (await ledger.listTransfers(id, { limit: 10 })).filter(({ kind }) => kind === 'expiry')
    expect(ends.map(({ amount }) => amount)).toEqual([5n, 5n])
    expect(ledger.totals(id)).toMatchObject({ balance: 0n, expired: 10n })
  })
})
