// A new price: in force at once, or kept as a draft to be tried out first.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { call } from '../../api/client.ts'
import { Field } from '../../parts/field.tsx'
import { Failure } from '../../parts/states.tsx'
import { PriceFields } from './price-fields.tsx'
import { bodyOf, emptyRule, type TypedRule } from './rule-input.ts'

export function AddRule() {
  const queries = useQueryClient()
  // What accounts have unless something else is said.
  const cost = useQuery({
    queryKey: ['cost', 'own'],
    queryFn: () => call('GET /billing/cost/current', { query: {} }),
  })
  const [given, setTyped] = useState<TypedRule>()
  const typed = given ?? emptyRule(cost.data?.currency ?? 'USD')
  const done = async (queryKey: string) => {
    setTyped(undefined)
    await queries.invalidateQueries({ queryKey: [queryKey] })
  }
  const publish = useMutation({
    mutationFn: () => call('POST /billing/rules', { body: bodyOf(typed) }),
    onSuccess: () => done('rules'),
  })
  const draft = useMutation({
    mutationFn: () => call('POST /billing/drafts', { body: bodyOf(typed) }),
    onSuccess: () => done('drafts'),
  })
  const books = useQuery({
    queryKey: ['books'],
    queryFn: () => call('GET /billing/books', { query: { limit: 100 } }),
  })
  const input = (member: 'name' | 'server' | 'tool' | 'priority' | 'currency') => ({
    value: typed[member],
    onChange: (event: { target: { value: string } }) => setTyped({ ...typed, [member]: event.target.value }),
  })
  const isBusy = publish.isPending || draft.isPending
  return (
    <details className="panel">
      <summary>Set a price for calls of tools</summary>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault()
          publish.mutate()
        }}
      >
        <Field label="Name of the rule">
          <input {...input('name')} required />
        </Field>
        <div className="grid">
          <Field label="Server" hint="A name, or a pattern such as maps*. Empty: every server.">
            <input {...input('server')} />
          </Field>
          <Field label="Tool" hint="A name, or a pattern. Empty: every tool.">
            <input {...input('tool')} />
          </Field>
          <Field label="Priority" hint="Of all rules for a call the one with the highest counts.">
            <input {...input('priority')} inputMode="numeric" pattern="-?\d{1,7}" required />
          </Field>
          <Field label="Currency">
            <input {...input('currency')} pattern="[A-Z]{3}" required />
          </Field>
          <Field label="Price book" hint="For the accounts that have it. None: for all.">
            <select value={typed.book} onChange={(event) => setTyped({ ...typed, book: event.target.value })}>
              <option value="">none</option>
              {(books.data?.items ?? []).map(({ name }) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          </Field>
        </div>
        <PriceFields typed={typed} onTyped={setTyped} />
        <Failure error={publish.error ?? draft.error} />
        <div className="row">
          <button className="primary" disabled={isBusy}>
            Set the price
          </button>
          <button type="button" disabled={isBusy} onClick={() => draft.mutate()}>
            Keep it as a draft
          </button>
        </div>
      </form>
    </details>
  )
}
