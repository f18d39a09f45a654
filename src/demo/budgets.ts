// The demo's budgets: one that is nearly used up, one for a robot's key, one that only looks on.
import { parseAmount } from '../base/money.ts'
import type { BudgetInput } from '../ledger/budgets/budget.ts'
import { readThreshold } from '../ledger/budgets/threshold.ts'

/** Ids of those whom budgets are for. */
interface Subjects {
  readonly team: (name: 'Field' | 'Research') => string
  readonly person: (username: string) => { readonly userId: string; readonly keyId: string }
  readonly server: (name: string) => string
}

type DemoBudget = Omit<BudgetInput, 'currency' | 'timeZone' | 'createdBy'>

export function demoBudgets({ team, person, server }: Subjects): DemoBudget[] {
  const thresholds = ['0.5', '0.8', '1'].flatMap((text) => readThreshold(text) ?? [])
  const amount = (decimal: string): bigint => parseAmount(decimal) ?? 0n
  return [
    {
      name: 'Field, a month',
      scope: { kind: 'account', subject: team('Field') },
      amount: amount('22'),
      window: 'month',
      mode: 'hard',
      thresholds,
    },
    {
      name: 'Research, a month',
      scope: { kind: 'account', subject: team('Research') },
      amount: amount('110'),
      window: 'month',
      mode: 'soft',
      thresholds,
    },
    {
      name: 'The nightly digest, a day',
      scope: { kind: 'key', subject: person('night-batch').keyId },
      amount: amount('2.9'),
      window: 'day',
      mode: 'hard',
      thresholds,
    },
    {
      name: 'Warehouse, a week',
      scope: { kind: 'server', subject: server('warehouse') },
      amount: amount('8'),
      window: 'week',
      mode: 'shadow',
      thresholds,
    },
  ]
}
