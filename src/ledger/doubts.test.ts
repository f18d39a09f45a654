// Guarantees of changes whose commit seemed to fail: they count if they are on disk, and nothing is spent twice meanwhile.
import assert from 'node:assert/strict'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openMoney, type Money } from '../../test/harness/money.ts'

let money: Money
beforeAll(async () => {
  money = await openMoney()
})
afterAll(() => money.close())

/** The next commit, or write, fails for whoever waits for it; `lost`: it is on disk all the same. */
function failOnce(lost: boolean): void {
  const { db } = money
  const [commit, write] = [db.commit.bind(db), db.write.bind(db)]
  const failing =
    <Args extends unknown[], Result>(work: (...args: Args) => Promise<Result>) =>
    async (...args: Args): Promise<Result> => {
      Object.assign(db, { commit, write })
      if (lost) await work(...args)
      throw new Error('the connection was lost')
    }
  Object.assign(db, { commit: failing(commit), write: failing(write) })
}

const take = (id: string, amount: bigint) =>
  money.ledger.adjust(id, { amount, reason: 'test', createdBy: 'usr_1' })
const newAccount = async (name: string, credit: bigint): Promise<string> => {
  const id = await money.addAccount(name, 'prepaid')
  await money.ledger.grant(id, { amount: credit, priority: 0, createdBy: 'usr_1' })
  return id
}

test.each([true, false])(
  'what a correction took is nobody else’s while that is in doubt (on disk: %s)',
  async (lost) => {
    const { ledger, clock } = money
    const id = await newAccount(`taken ${lost}`, 10n)
    failOnce(lost)
    await expect(take(id, -10n)).rejects.toThrow('lost')
    expect(ledger.hold(id, 1n)).toBeUndefined()
    clock.advance(60_000)
    await ledger.expireGrants()
    const { balance, granted, spent } = ledger.totals(id)
    expect([balance, granted, spent]).toEqual(lost ? [0n, 10n, 10n] : [10n, 10n, 0n])
    await ledger.reload()
    expect(ledger.totals(id).balance).toBe(balance)
  },
)

test.each([true, false])(
  'credit whose commit seemed to fail counts once it is known to be there (%s)',
  async (lost) => {
    const { ledger, clock } = money
    const id = await newAccount(`given ${lost}`, 5n)
    for (const give of [
      () => ledger.grant(id, { amount: 3n, priority: 0, createdBy: 'usr_1' }),
      () => take(id, 4n),
    ]) {
      failOnce(lost)
      await expect(give()).rejects.toThrow('lost')
    }
    expect(ledger.totals(id).balance).toBe(5n)
    clock.advance(60_000)
    await ledger.expireGrants()
    const { balance } = ledger.totals(id)
    expect(balance).toBe(lost ? 12n : 5n)
    await ledger.reload()
    expect(ledger.totals(id).balance).toBe(balance)
  },
)

test.each([true, false])(
  'a grant whose taking back seemed to fail is gone once it is known to be void (%s)',
  async (lost) => {
    const { ledger, clock } = money
    const id = await newAccount(`voided ${lost}`, 3n)
    const [{ grant } = assert.fail()] = await ledger.listGrants(id)
    failOnce(lost)
    await expect(ledger.voidGrant(id, grant.id)).rejects.toThrow('lost')
    clock.advance(60_000)
    await ledger.expireGrants()
    const { balance, voided } = ledger.totals(id)
    expect([balance, voided]).toEqual(lost ? [0n, 3n] : [3n, 0n])
    await ledger.reload()
    expect(ledger.totals(id)).toMatchObject({ balance, voided })
  },
)

test('a grant that is taken back while its own commit is in doubt never counts', async () => {
  const { ledger, clock } = money
  const id = await newAccount('in doubt and void', 3n)
  failOnce(true)
  await expect(ledger.grant(id, { amount: 2n, priority: 0, createdBy: 'usr_1' })).rejects.toThrow('lost')
  const { grant } = (await ledger.listGrants(id)).find((each) => each.grant.amount === 2n) ?? assert.fail()
  await ledger.voidGrant(id, grant.id)
  clock.advance(60_000)
  await ledger.expireGrants()
  expect(ledger.totals(id)).toMatchObject({ balance: 3n, granted: 5n, voided: 2n })
})

test('a grant that is taken back while a correction had it stays gone when the correction comes to nothing', async () => {
  const { ledger, clock } = money
  const id = await newAccount('corrected and void', 3n)
  const [{ grant } = assert.fail()] = await ledger.listGrants(id)
  failOnce(false)
  await expect(take(id, -3n)).rejects.toThrow('lost')
  await ledger.voidGrant(id, grant.id)
  clock.advance(60_000)
  await ledger.expireGrants()
  expect(ledger.totals(id)).toMatchObject({ balance: 0n, spent: 0n, voided: 3n })
})
