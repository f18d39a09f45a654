// Budgets: how much of each is used, and one more.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { call } from '../../api/client.ts'
import { budgetsQuery } from '../../api/lists.ts'
import type { Schemas } from '../../api/types.ts'
import { has, useUser } from '../../app/session.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { Field } from '../../parts/field.tsx'
import { money, Time } from '../../parts/format.tsx'
import { Empty, Failure, Loaded } from '../../parts/states.tsx'
import { Table, type Column } from '../../parts/table.tsx'
import { words } from '../../parts/words.ts'

type Budget = Schemas['Budget']

/** Calls are counted, money has a currency. */
const amountOf = (budget: Budget, amount: string): string =>
  budget.unit === 'calls' ? `${amount} calls` : money(amount, budget.currency)

export function Budgets() {
  const user = useUser()
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
    { title: 'For', cell: ({ scope }) => words(scope) },
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
        </>
      ),
    },
    { title: 'Left', isNumber: true, cell: (budget) => amountOf(budget, budget.remaining) },
    { title: 'Refuses', cell: ({ mode }) => (mode === 'hard' ? 'yes' : `no (${mode})`) },
    { title: 'Begins again', cell: ({ resetsAt }) => (resetsAt === undefined ? '' : <Time at={resetsAt} />) },
    ...(mayChange
      ? [
          {
            title: '',
            cell: ({ id, name }: Budget) => (
              <Confirm verb="Remove" what={name ?? id} onConfirm={() => remove.mutate(id)} />
            ),
          },
        ]
      : []),
  ]
  return (
    <>
      <h1>Budgets</h1>
      {mayChange && <Add onDone={refresh} />}
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
            <Table name="Budgets" columns={columns} rows={items} idOf={({ id }) => id} />
          )
        }
      </Loaded>
    </>
  )
}

const scopes = ['account', 'user', 'key', 'server'] as const
const windows = ['day', 'week', 'month', 'lifetime'] as const

function Add({ onDone }: { readonly onDone: () => unknown }) {
  const [kind, setKind] = useState<(typeof scopes)[number]>('user')
  const [subject, setSubject] = useState('*')
  const [amount, setAmount] = useState('')
  const [unit, setUnit] = useState<'money' | 'calls'>('money')
  const [window, setWindow] = useState<(typeof windows)[number]>('month')
  const add = useMutation({
    mutationFn: () =>
      call('POST /billing/budgets', { body: { scope: { [kind]: subject }, amount, unit, window } }),
    onSuccess: onDone,
  })
  return (
    <details className="panel">
      <summary>Make a budget</summary>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault()
          add.mutate()
        }}
      >
        <Field label="Of">
          <select
            value={kind}
            onChange={(event) => setKind(scopes.find((each) => each === event.target.value) ?? 'user')}
          >
            {scopes.map((each) => (
              <option key={each}>{each}</option>
            ))}
          </select>
        </Field>
        <Field label="Which" hint="Its id, or * for each of them on its own.">
          <input value={subject} onChange={(event) => setSubject(event.target.value)} required />
        </Field>
        <Field label="Amount">
          <input
            value={amount}
            onChange={(event) => setAmount(event.target.value)}
            inputMode="decimal"
            required
          />
        </Field>
        <Field label="Counted in">
          <select
            value={unit}
            onChange={(event) => setUnit(event.target.value === 'calls' ? 'calls' : 'money')}
          >
            <option>money</option>
            <option>calls</option>
          </select>
        </Field>
        <Field label="In a">
          <select
            value={window}
            onChange={(event) => setWindow(windows.find((each) => each === event.target.value) ?? 'month')}
          >
            {windows.map((each) => (
              <option key={each}>{each}</option>
            ))}
          </select>
        </Field>
        <Failure error={add.error} />
        <div className="row">
          <button className="primary" disabled={add.isPending}>
            Make the budget
          </button>
        </div>
      </form>
    </details>
  )
}
