// How an account pays, where it stands in the tree, and which price book it has.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { call } from '../../api/client.ts'
import { accountsQuery } from '../../api/lists.ts'
import type { Schemas } from '../../api/types.ts'
import { Field } from '../../parts/field.tsx'
import { Failure } from '../../parts/states.tsx'

export function AccountSettings({ account }: { readonly account: Schemas['Account'] }) {
  const { id, kind } = account
  const queries = useQueryClient()
  const accounts = useQuery(accountsQuery)
  const books = useQuery({
    queryKey: ['books'],
    queryFn: () => call('GET /billing/books', { query: { limit: 100 } }),
  })
  const [mode, setMode] = useState(account.mode)
  const [parentId, setParentId] = useState(account.parentId ?? '')
  const [plan, setPlan] = useState(account.plan ?? '')
  const change = useMutation({
    mutationFn: () =>
      call('PATCH /billing/accounts/{id}', {
        params: { id },
        body: { mode, parentId: parentId === '' ? null : parentId, plan: plan === '' ? null : plan },
      }),
    onSuccess: () =>
      Promise.all([['account', id], ['accounts']].map((queryKey) => queries.invalidateQueries({ queryKey }))),
  })
  const parents = (accounts.data ?? []).filter(
    (each) => each.id !== id && (each.kind === 'organisation' || (each.kind === 'team' && kind !== 'team')),
  )
  return (
    <details className="panel">
      <summary>Change it</summary>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault()
          change.mutate()
        }}
      >
        <Field label="It pays">
          <select value={mode} onChange={(event) => setMode(event.target.value as typeof mode)}>
            <option value="prepaid">beforehand: what is not there cannot be spent</option>
            <option value="postpaid">afterwards, by invoice</option>
          </select>
        </Field>
        {kind !== 'organisation' && (
          <Field label="Below" hint="Budgets of what is above it count its calls, too.">
            <select value={parentId} onChange={(event) => setParentId(event.target.value)}>
              <option value="">nothing</option>
              {parents.map((each) => (
                <option key={each.id} value={each.id}>
                  {each.name}
                </option>
              ))}
            </select>
          </Field>
        )}
        <Field label="Price book">
          <select value={plan} onChange={(event) => setPlan(event.target.value)}>
            <option value="">none</option>
            {(books.data?.items ?? []).map(({ name }) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </Field>
        <Failure error={change.error} />
        <div className="row">
          <button className="primary" disabled={change.isPending || !accounts.data || !books.data}>
            Save
          </button>
        </div>
      </form>
    </details>
  )
}
