// Budgets in a declaration. Those of one key or one session are no part of it: their ids mean nothing elsewhere.
import { formatAmount, parseAmount } from '../../base/money.ts'
import { inOrder, readThreshold } from '../../ledger/budgets/threshold.ts'
import type { Item, Kind, List } from './kind.ts'

/** Where the API lists what a scope names by id, and the member that is its name. */
const subjects: Readonly<Record<string, { path: string; name: string }>> = {
  account: { path: '/billing/accounts', name: 'name' },
  user: { path: '/users', name: 'username' },
  server: { path: '/servers', name: 'name' },
}

export const budgetKind: Kind = {
  name: 'budgets',
  path: '/billing/budgets',
  nameOf: ({ name, scope, window, unit }) =>
    typeof name === 'string'
      ? name
      : `${textOf(scope)} by ${textOf(window)}${unit === 'calls' ? ' in calls' : ''}`,
  idOf: (item) => String(item['id']),
  members: {
    name: undefined,
    scope: undefined,
    amount: undefined,
    unit: 'money',
    currency: undefined,
    window: undefined,
    timeZone: undefined,
    mode: 'hard',
    thresholds: ['0.5', '0.8', '1'],
  },
  fixed: ['scope', 'unit', 'currency', 'window', 'timeZone'],
  left: ['currency', 'timeZone'],
  spellings: { amount: amountOf, thresholds: thresholdsOf },
  read: async (items, list) => {
    const known = await namesOf(items, list)
    return items.flatMap((item) => {
      const [kind, subject] = scopeOf(item)
      if (subject === '*') return [item]
      const name = known.get(subject)
      return subjects[kind] && name !== undefined ? [{ ...item, scope: { [kind]: name } }] : []
    })
  },
}

function scopeOf({ scope }: Item): [kind: string, subject: string] {
  const [first] = Object.entries(scope ?? {})
  return first ? [first[0], String(first[1])] : ['', '']
}

/** Names of what these budgets are for, by id. */
async function namesOf(items: readonly Item[], list: List): Promise<Map<string, string>> {
  const needed = new Set(items.filter((item) => scopeOf(item)[1] !== '*').map((item) => scopeOf(item)[0]))
  const names = new Map<string, string>()
  for (const kind of needed) {
    const subject = subjects[kind]
    if (!subject) continue
    for (const item of await list(subject.path)) names.set(String(item['id']), String(item[subject.name]))
  }
  return names
}

const textOf = (value: unknown): string =>
  typeof value === 'object' && value !== null
    ? Object.entries(value)
        .map(([member, inner]) => `${member} ${String(inner)}`)
        .join(', ')
    : String(value)

/** "10.00" as "10"; what is no amount stays, and the gateway says what it wants. */
function amountOf(value: unknown): unknown {
  const amount = parseAmount(String(value))
  return amount === undefined ? value : formatAmount(amount)
}

function thresholdsOf(value: unknown): unknown {
  if (!Array.isArray(value)) return value
  const read = value.map((each) => readThreshold(String(each)))
  return read.every((each) => each !== undefined) ? inOrder(read).map(({ text }) => text) : value
}
