// Invoices, newest first; an administrator makes them for a month of an account.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { call } from '../../api/client.ts'
import { accountsQuery } from '../../api/lists.ts'
import type { Schemas } from '../../api/types.ts'
import { has, useUser } from '../../app/session.ts'
import { Field } from '../../parts/field.tsx'
import { Money, Time } from '../../parts/format.tsx'
import { PagedTable } from '../../parts/paged-table.tsx'
import { Empty, Failure } from '../../parts/states.tsx'
import type { Column } from '../../parts/table.tsx'

const columns: readonly Column<Schemas['Invoice']>[] = [
  {
    title: 'Number',
    cell: ({ id, number }) => (
      <Link to="/invoices/$id" params={{ id }}>
        {number ?? 'draft'}
      </Link>
    ),
  },
  { title: 'State', cell: ({ status }) => <span className={`badge ${status}`}>{status}</span> },
  { title: 'From', cell: ({ period }) => <Time at={period.start} exact /> },
  { title: 'To', cell: ({ period }) => <Time at={period.end} exact /> },
  {
    title: 'Total',
    isNumber: true,
    cell: ({ total, currency }) => <Money value={total} currency={currency} />,
  },
  {
    title: 'Due',
    isNumber: true,
    cell: ({ amountDue, currency }) => <Money value={amountDue} currency={currency} />,
  },
]

export function Invoices() {
  const user = useUser()
  return (
    <>
      <h1>Invoices</h1>
      {has(user, 'admin') && <Make />}
      <PagedTable
        name="Invoices"
        of={['invoices']}
        fetchPage={(query) => call('GET /billing/invoices', { query })}
        columns={columns}
        idOf={({ id }) => id}
        empty={
          <Empty title="No invoices yet">
            <p>One says what an account used in a month, line by line, with the calls behind each line.</p>
          </Empty>
        }
      />
    </>
  )
}

function Make() {
  const queries = useQueryClient()
  const navigate = useNavigate()
  const accounts = useQuery(accountsQuery)
  const [accountId, setAccountId] = useState('')
  const [month, setMonth] = useState('')
  const make = useMutation({
    mutationFn: () => call('POST /billing/invoices', { body: { accountId, month } }),
    onSuccess: async ({ id }) => {
      await queries.invalidateQueries({ queryKey: ['invoices'] })
      await navigate({ to: '/invoices/$id', params: { id } })
    },
  })
  return (
    <details className="panel">
      <summary>Make an invoice</summary>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault()
          make.mutate()
        }}
      >
        <Field label="For">
          <select value={accountId} onChange={(event) => setAccountId(event.target.value)} required>
            <option value="">choose an account</option>
            {(accounts.data ?? []).map(({ id, name }) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </select>
        </Field>
        <Field label="Month" hint="Such as 2026-10, in the time zone of the account.">
          <input
            value={month}
            onChange={(event) => setMonth(event.target.value)}
            pattern="20\d\d-(0[1-9]|1[0-2])"
            required
          />
        </Field>
        <Failure error={make.error ?? accounts.error} />
        <div className="row">
          <button className="primary" disabled={make.isPending || !accounts.data}>
            Make the draft
          </button>
        </div>
      </form>
    </details>
  )
}
