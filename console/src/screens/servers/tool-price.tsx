// The price of one tool, changed where it is seen.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { call } from '../../api/client.ts'
import { allPages } from '../../api/pages.ts'
import type { Operations } from '../../api/types.ts'
import { Field } from '../../parts/field.tsx'
import { Failure } from '../../parts/states.tsx'

interface ToolPriceProps {
  readonly server: string
  readonly tool: string
}

/** Changes the rule that is for this tool alone; makes it where there is none. */
export function ToolPrice({ server, tool }: ToolPriceProps) {
  const queries = useQueryClient()
  const [perCall, setPerCall] = useState('')
  const rules = useQuery({
    queryKey: ['rules', 'all'],
    queryFn: () => allPages((query) => call('GET /billing/rules', { query })),
  })
  const own = rules.data?.find(
    ({ match, state }) =>
      state === 'published' &&
      match.server === server &&
      match.tool === tool &&
      Object.keys(match).every((name) => ['server', 'tool', 'method'].includes(name)),
  )
  const set = useMutation({
    mutationFn: async () => {
      if (own) {
        await call('PATCH /billing/rules/{id}', {
          params: { id: own.id },
          body: { price: { perCall }, active: true },
        })
        return
      }
      const body: Operations['POST /billing/rules']['body'] = {
        name: `${server}: ${tool}`,
        currency: 'USD',
        match: { method: 'tools/call', server, tool },
        price: { perCall },
      }
      await call('POST /billing/rules', { body })
    },
    onSuccess: () =>
      Promise.all([['rules'], ['tools', server]].map((queryKey) => queries.invalidateQueries({ queryKey }))),
  })
  return (
    <form
      className="row"
      aria-label={`Price of ${tool}`}
      onSubmit={(event) => {
        event.preventDefault()
        set.mutate()
      }}
    >
      <Field label={`Price of a call, in ${own?.currency ?? 'USD'}`}>
        <input
          value={perCall}
          onChange={(event) => setPerCall(event.target.value)}
          inputMode="decimal"
          pattern="\d{1,9}(\.\d{1,12})?"
          required
        />
      </Field>
      <button disabled={set.isPending || !rules.data}>Set the price</button>
      <Failure error={set.error ?? rules.error} />
    </form>
  )
}
