// Budgets: how much of each is used, and one more.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { call } from '../../api/client.ts'
import { budgetsQuery } from '../../api/lists.ts'
import { useNames } from '../../api/names.ts'
import type { Schemas } from '../../api/types.ts'
import { has, useUser } from '../../app/session.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { money, Time } from '../../parts/format.tsx'
import { Empty, Failure, Loaded } from '../../parts/states.tsx'
import { Table, type Column } from '../../parts/table.tsx'
import { IncreaseBudget } from './increase-budget.tsx'
import { MakeBudget } from './make-budget.tsx'

type Budget = Schemas['Budget']

/** Calls are counted, money has a currency. */
const amountOf = (budget: Budget, amount: string): string =>
  budget.unit === 'calls' ? `${amount} calls` : money(amount, budget.currency)

export function Budgets() {
  const user = useUser()
  const nameOf = useNames()
  const queries = useQueryClient()
  const budgets = useQuery(budgetsQuery)
  const refresh = () => queries.invalidateQueries({ queryKey: budgetsQuery.queryKey })
  const remove = useMutation({
    mutationFn: (id: string) => call('DELETE /billing/budgets/{id}', { params: { id } }),
    onSuccess: refresh,
  })
  const mayChange = has(user, 'admin')
  const columns: readonly Column<Budget>[] = [
    { title: 'Name', cell: ({ id, name }) => name ?? id },
    {
      title: 'For',
      cell: ({ scope, subject }) =>
        subject === undefined
          ? Object.entries(scope).map(([kind, id]) => `${kind} ${id === '*' ? 'each' : nameOf(id)}`)
          : nameOf(subject),
    },
    {
      title: 'In a',
      cell: ({ window }) => (typeof window === 'string' ? window : `${window.rollingSeconds} s`),
    },
    {
      title: 'Used',
      cell: (budget) => (
        <>
          {amountOf(budget, budget.spent)} of {amountOf(budget, budget.limit)}{' '}
          <span className={`badge ${budget.state}`}>{budget.state}</span>
          {budget.increases.length > 0 && <p className="hint">with more for a while</p>}
        </>
      ),
    },
    {
      title: 'Tells at',
      cell: ({ thresholds }) => thresholds.map((share) => `${Number(share) * 100} %`).join(', '),
    },
    { title: 'Left', isNumber: true, cell: (budget) => amountOf(budget, budget.remaining) },
    { title: 'Refuses', cell: ({ mode }) => (mode === 'hard' ? 'yes' : `no (${mode})`) },
    { title: 'Begins again', cell: ({ resetsAt }) => (resetsAt === undefined ? '' : <Time at={resetsAt} />) },
    ...(mayChange
      ? [
          {
            title: '',
            cell: ({ id, name }: Budget) => (
              <span className="row">
                <IncreaseBudget id={id} name={name ?? id} onDone={refresh} />
                <Confirm verb="Remove" what={name ?? id} onConfirm={() => remove.mutate(id)} />
              </span>
            ),
          },
        ]
      : []),
  ]
  return (
    <>
      <h1>Budgets</h1>
      {mayChange && <MakeBudget onDone={refresh} />}
      <Failure error={remove.error} />
      <Loaded query={budgets}>
        {(items) =>
          items.length === 0 ? (
            <Empty title="No budgets yet">
              <p>
                A budget bounds what an account, a user, a key or a server may spend in a day, a week or a
                month.
              </p>
            </Empty>
          ) : (
            <Table
              name="Budgets"
              columns={columns}
              rows={items}
              idOf={({ id, subject }) => `${id} ${subject ?? ''}`}
            />
          )
        }
      </Loaded>
    </>
  )
}
