// A new budget: of whom, how much, in which time, and what happens when it is used up.
import { useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { call } from '../../api/client.ts'
import { accountsQuery, serversQuery } from '../../api/lists.ts'
import { allPages } from '../../api/pages.ts'
import { Field } from '../../parts/field.tsx'
import { Failure } from '../../parts/states.tsx'

const scopes = ['account', 'user', 'key', 'server'] as const
type Scope = (typeof scopes)[number]
const windows = ['day', 'week', 'month', 'lifetime'] as const
const modes = {
  hard: 'refuses calls when it is used up',
  soft: 'raises events alone',
  shadow: 'raises events, and is on trial',
} as const

interface Subject {
  readonly id: string
  readonly name: string
}

/** Whom a budget may be for. Accounts are bounded one by one; of the others each may be on its own. */
function useSubjects(kind: Scope): readonly Subject[] {
  const accounts = useQuery({ ...accountsQuery, enabled: kind === 'account' })
  const servers = useQuery({ ...serversQuery, enabled: kind === 'server' })
  const users = useQuery({
    queryKey: ['users', 'all'],
    queryFn: () => allPages((query) => call('GET /users', { query })),
    enabled: kind === 'user',
  })
  const keys = useQuery({
    queryKey: ['keys', '*'],
    queryFn: () => allPages((query) => call('GET /keys', { query: { ...query, user: '*' } })),
    enabled: kind === 'key',
  })
  if (kind === 'account') return accounts.data ?? []
  const found: Readonly<Record<Exclude<Scope, 'account'>, readonly Subject[]>> = {
    user: (users.data ?? []).map(({ id, username }) => ({ id, name: username })),
    server: servers.data ?? [],
    key: keys.data ?? [],
  }
  return [{ id: '*', name: 'each on its own' }, ...found[kind]]
}

export function MakeBudget({ onDone }: { readonly onDone: () => unknown }) {
  const [name, setName] = useState('')
  const [kind, setKind] = useState<Scope>('user')
  const [subject, setSubject] = useState('')
  const [amount, setAmount] = useState('')
  const [unit, setUnit] = useState<'money' | 'calls'>('money')
  const [window, setWindow] = useState<(typeof windows)[number]>('month')
  const [mode, setMode] = useState<keyof typeof modes>('hard')
  const subjects = useSubjects(kind)
  const make = useMutation({
    mutationFn: () =>
      call('POST /billing/budgets', {
        body: { ...(name !== '' && { name }), scope: { [kind]: subject }, amount, unit, window, mode },
      }),
    onSuccess: onDone,
  })
  return (
    <details className="panel">
      <summary>Make a budget</summary>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault()
          make.mutate()
        }}
      >
        <div className="grid">
          <Field label="Name of the budget">
            <input value={name} onChange={(event) => setName(event.target.value)} />
          </Field>
          <Field label="Of">
            <select
              value={kind}
              onChange={(event) => {
                setKind(scopes.find((each) => each === event.target.value) ?? 'user')
                setSubject('')
              }}
            >
              {scopes.map((each) => (
                <option key={each}>{each}</option>
              ))}
            </select>
          </Field>
          <Field label="Which">
            <select value={subject} onChange={(event) => setSubject(event.target.value)} required>
              <option value="">choose</option>
              {subjects.map(({ id, name: title }) => (
                <option key={id} value={id}>
                  {title}
                </option>
              ))}
            </select>
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
          <Field label="It">
            <select value={mode} onChange={(event) => setMode(event.target.value as typeof mode)}>
              {Object.entries(modes).map(([value, title]) => (
                <option key={value} value={value}>
                  {title}
                </option>
              ))}
            </select>
          </Field>
        </div>
        <Failure error={make.error} />
        <div className="row">
          <button className="primary" disabled={make.isPending}>
            Make the budget
          </button>
        </div>
      </form>
    </details>
  )
}
