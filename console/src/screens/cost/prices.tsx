// Price rules in the order in which they are asked, and a simple one more.
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { call } from '../../api/client.ts'
import type { Schemas } from '../../api/types.ts'
import { has, useUser } from '../../app/session.ts'
import { Field } from '../../parts/field.tsx'
import { PagedTable } from '../../parts/paged-table.tsx'
import { priceText } from '../../parts/price.ts'
import { Empty, Failure } from '../../parts/states.tsx'
import type { Column } from '../../parts/table.tsx'
import { words } from '../../parts/words.ts'

type Rule = Schemas['Rule']

export function Prices() {
  const user = useUser()
  const queries = useQueryClient()
  const refresh = () => queries.invalidateQueries({ queryKey: ['rules'] })
  const change = useMutation({
    mutationFn: ({ id, active }: Rule) =>
      call('PATCH /billing/rules/{id}', { params: { id }, body: { active: !active } }),
    onSuccess: refresh,
  })
  const mayChange = has(user, 'admin')
  const columns: readonly Column<Rule>[] = [
    { title: 'Name', cell: ({ name }) => name },
    { title: 'Asked', isNumber: true, cell: ({ priority }) => priority },
    { title: 'For', cell: ({ match }) => words(match) || 'every call' },
    { title: 'Price', cell: ({ price, currency }) => priceText({ price, currency }) },
    { title: 'Version', isNumber: true, cell: ({ version }) => version },
    {
      title: 'State',
      cell: ({ active, state }) => (state === 'retired' ? 'retired' : active ? 'in force' : 'resting'),
    },
    ...(mayChange
      ? [
          {
            title: '',
            cell: (rule: Rule) => (
              <button type="button" onClick={() => change.mutate(rule)} disabled={change.isPending}>
                {rule.active ? 'Let it rest' : 'Put it in force'}
              </button>
            ),
          },
        ]
      : []),
  ]
  return (
    <>
      <h1>Prices</h1>
      {mayChange && <Add onDone={refresh} />}
      <Failure error={change.error} />
      <PagedTable
        name="Price rules"
        of={['rules']}
        fetchPage={(query) => call('GET /billing/rules', { query })}
        columns={columns}
        idOf={({ id }) => id}
        empty={
          <Empty title="No prices yet">
            <p>
              Until a rule is for a call, it costs nothing. Of all rules for a call the one that is asked
              first counts.
            </p>
          </Empty>
        }
      />
    </>
  )
}

function Add({ onDone }: { readonly onDone: () => unknown }) {
  const [name, setName] = useState('')
  const [server, setServer] = useState('')
  const [tool, setTool] = useState('')
  const [perCall, setPerCall] = useState('')
  const add = useMutation({
    mutationFn: () =>
      call('POST /billing/rules', {
        body: {
          name,
          currency: 'USD',
          match: { method: 'tools/call', ...(server !== '' && { server }), ...(tool !== '' && { tool }) },
          price: { perCall },
        },
      }),
    onSuccess: onDone,
  })
  return (
    <details className="panel">
      <summary>Set a price for calls of tools</summary>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault()
          add.mutate()
        }}
      >
        <Field label="Name of the rule">
          <input value={name} onChange={(event) => setName(event.target.value)} required />
        </Field>
        <Field label="Server" hint="A name, or a pattern such as maps*. Empty: every server.">
          <input value={server} onChange={(event) => setServer(event.target.value)} />
        </Field>
        <Field label="Tool" hint="A name, or a pattern. Empty: every tool.">
          <input value={tool} onChange={(event) => setTool(event.target.value)} />
        </Field>
        <Field
          label="Price of a call, in USD"
          hint="Such as 0.002. Tiers, packages and units: by the API or the command line."
        >
          <input
            value={perCall}
            onChange={(event) => setPerCall(event.target.value)}
            inputMode="decimal"
            pattern="\d{1,9}(\.\d{1,12})?"
            required
          />
        </Field>
        <Failure error={add.error} />
        <div className="row">
          <button className="primary" disabled={add.isPending}>
            Set the price
          </button>
        </div>
      </form>
    </details>
  )
}
