// The budgets of a simulation: what they must come to by the records, and that no hard one is ever overspent.
import assert from 'node:assert/strict'
import { CallIds } from '../../src/base/id.ts'
import { formatAmount } from '../../src/base/money.ts'
import type { BudgetInput } from '../../src/ledger/budgets/budget.ts'
import type { Budgets } from '../../src/ledger/budgets/budgets.ts'
import { frameOf } from '../../src/ledger/budgets/window.ts'
import type { BookedRecord } from './books.ts'
import type { Disk } from './store.ts'

const input = { currency: 'USD', timeZone: 'Europe/Berlin', createdBy: 'test', thresholds: [] } as const
const unit = 10n ** 9n

/** The simulated callers are modern and have no key: account, user and server are what tells them apart. */
export const budgets: readonly BudgetInput[] = [
  { ...input, scope: { kind: 'account', subject: 'acc_0' }, amount: 3n * unit, window: 'week', mode: 'hard' },
  { ...input, scope: { kind: 'account', subject: 'acc_2' }, amount: 2n * unit, window: 'day', mode: 'hard' },
  {
    ...input,
    scope: { kind: 'user', subject: '*' },
    amount: 2n * unit,
    window: { rollingSeconds: 7200 },
    mode: 'hard',
  },
  { ...input, scope: { kind: 'server', subject: '*' }, amount: 9n * unit, window: 'month', mode: 'hard' },
  { ...input, scope: { kind: 'user', subject: 'usr_1' }, amount: unit, window: 'lifetime', mode: 'shadow' },
]

/** What is spent and held is within every hard budget, at any moment. */
export function checkHeld(all: Budgets): void {
  for (const { id, mode, window } of all.list()) {
    const { spent, held, limit } = all.state(id)
    assert.ok(held >= 0n)
    if (mode === 'hard')
      assert.ok(
        spent + held <= limit,
        `${JSON.stringify(window)} has ${formatAmount(spent)} + ${formatAmount(held)}`,
      )
  }
}

/** As whom a record counts; undefined where it does not. */
function subjectOf(
  { scope: { kind, subject } }: BudgetInput,
  { accountId }: BookedRecord,
): string | undefined {
  if (kind === 'account') return accountId === subject ? '' : undefined
  const own = kind === 'user' ? accountId.replace('acc', 'usr') : 'srv_test'
  if (subject === '*') return kind === 'server' ? 'server' : own
  return own === subject ? '' : undefined
}

/** What the disk says of each budget is the sum of the records, and within the budget in every window. */
export function checkSpent(all: Budgets, disk: Disk, records: readonly BookedRecord[]): void {
  const rows = disk.all<{ budget: string; subject: string; bucket: bigint; amount: bigint }>(
    'SELECT budget, subject, bucket, amount FROM budget_spend WHERE amount <> 0',
  )
  for (const budget of all.list()) {
    const frame = frameOf(budget.window, budget.timeZone)
    const expected = new Map<string, bigint>()
    for (const record of records) {
      const subject = subjectOf(budget, record)
      if (subject === undefined || record.cost === 0n) continue
      const key = `${subject} ${frame.bucketOf(CallIds.timeMs(record.id))}`
      expected.set(key, (expected.get(key) ?? 0n) + record.cost)
    }
    const own = rows.filter((row) => row.budget === budget.id)
    const name = (subject: string) => (budget.scope.kind === 'server' ? 'server' : subject)
    const found = new Map(own.map(({ subject, bucket, amount }) => [`${name(subject)} ${bucket}`, amount]))
    // What a call gave back may make up for what another took.
    for (const [key, amount] of expected) if (amount === 0n) expected.delete(key)
    assert.deepEqual(found, expected, `spent of ${JSON.stringify(budget.scope)}`)
    if (budget.mode === 'hard')
      for (const { subject, bucket } of own) {
        const first = frame.sliceMs === undefined ? bucket : bucket - BigInt(60 * frame.sliceMs)
        const inside = own.filter(
          (row) => row.subject === subject && row.bucket >= first && row.bucket <= bucket,
        )
        const sum = inside.reduce((total, { amount }) => total + amount, 0n)
        assert.ok(sum <= budget.amount, `${formatAmount(sum)} spent of ${formatAmount(budget.amount)}`)
      }
  }
}
