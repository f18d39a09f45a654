// A new API key: what it is for, where it may be used, how long, and how much it may spend.
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { call } from '../../api/client.ts'
import type { Operations } from '../../api/types.ts'
import { Field } from '../../parts/field.tsx'
import { Failure } from '../../parts/states.tsx'

type Input = Operations['POST /keys']['body']

const lifetimes = { '': 'never', '30': 'in 30 days', '90': 'in 90 days', '365': 'in a year' } as const
const dayMs = 86_400_000

export function MakeKey({ onMade }: { readonly onMade: (secret: string) => void }) {
  const [name, setName] = useState('')
  const [servers, setServers] = useState('')
  const [days, setDays] = useState('')
  const [budget, setBudget] = useState('')
  const make = useMutation({
    mutationFn: () => {
      const named = servers.split(/[\s,]+/).filter((each) => each !== '')
      const body: Input = {
        name,
        ...(named.length > 0 && { servers: named }),
        ...(days !== '' && { expiresAt: new Date(Date.now() + Number(days) * dayMs).toISOString() }),
        ...(budget !== '' && { budget: { amount: budget, window: 'month' as const } }),
      }
      return call('POST /keys', { body })
    },
    onSuccess: ({ key }) => {
      setName('')
      onMade(key)
    },
  })
  return (
    <form
      className="panel"
      aria-label="A new key"
      onSubmit={(event) => {
        event.preventDefault()
        make.mutate()
      }}
    >
      <Field label="Name of a new key" hint="Such as the machine or program that uses it.">
        <input value={name} onChange={(event) => setName(event.target.value)} required maxLength={100} />
      </Field>
      <details>
        <summary>Limit it</summary>
        <div className="stack">
          <Field label="Servers" hint="Names, with commas between. Empty: all that you may use.">
            <input value={servers} onChange={(event) => setServers(event.target.value)} />
          </Field>
          <Field label="It ends">
            <select value={days} onChange={(event) => setDays(event.target.value)}>
              {Object.entries(lifetimes).map(([value, title]) => (
                <option key={value} value={value}>
                  {title}
                </option>
              ))}
            </select>
          </Field>
          <Field label="It may spend in a month" hint="Empty: what you may spend.">
            <input
              value={budget}
              onChange={(event) => setBudget(event.target.value)}
              inputMode="decimal"
              pattern="\d{1,9}(\.\d{1,9})?"
            />
          </Field>
        </div>
      </details>
      <Failure error={make.error} />
      <div className="row">
        <button className="primary" disabled={make.isPending}>
          Make the key
        </button>
      </div>
    </form>
  )
}
