// Which rule prices a call, and why each other one does not.
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { call } from '../../api/client.ts'
import { serversQuery } from '../../api/lists.ts'
import type { Schemas } from '../../api/types.ts'
import { Field } from '../../parts/field.tsx'
import { priceText } from '../../parts/price.ts'
import { Empty, Loaded } from '../../parts/states.tsx'
import { Table, type Column } from '../../parts/table.tsx'
import { PriceHead } from './prices.tsx'

export interface ExplainedCall {
  readonly server?: string
  readonly tool?: string
  readonly user?: string
}

export const readExplainedCall = (search: Record<string, unknown>): ExplainedCall =>
  Object.fromEntries(
    ['server', 'tool', 'user'].flatMap((name) => {
      const value = search[name]
      return typeof value === 'string' && value !== '' ? [[name, value]] : []
    }),
  )

type Candidate = Schemas['Explanation']['candidates'][number]

const columns: readonly Column<Candidate>[] = [
  {
    title: 'Rule',
    cell: ({ ruleId, name }) => (
      <Link to="/prices/$id" params={{ id: ruleId }}>
        {name}
      </Link>
    ),
  },
  { title: 'Priority', isNumber: true, cell: ({ priority }) => priority },
  { title: 'Book', cell: ({ book }) => book ?? '' },
  {
    title: 'Why it is, or is not',
    cell: ({ lostBecause }) => lostBecause ?? <span className="badge success">It prices the call</span>,
  },
]

interface ExplainProps {
  readonly asked: ExplainedCall
  readonly onAsked: (asked: ExplainedCall) => void
}

export function ExplainPrice({ asked, onAsked }: ExplainProps) {
  const [given, setGiven] = useState(asked)
  const servers = useQuery(serversQuery)
  const { server, tool, user } = asked
  const explanation = useQuery({
    queryKey: ['rules', 'explain', asked],
    queryFn: () =>
      call('POST /billing/explain', {
        body: {
          server: server ?? '',
          method: 'tools/call',
          ...(tool !== undefined && { tool }),
          ...(user !== undefined && { userId: user }),
        },
      }),
    enabled: server !== undefined,
  })
  const change = (name: keyof ExplainedCall) => (event: { target: { value: string } }) =>
    setGiven(readExplainedCall({ ...given, [name]: event.target.value }))
  return (
    <>
      <PriceHead />
      <form
        className="filters"
        onSubmit={(event) => {
          event.preventDefault()
          onAsked(given)
        }}
      >
        <Field label="Server">
          <select value={given.server ?? ''} onChange={change('server')} required>
            <option value="">choose one</option>
            {(servers.data ?? []).map(({ name }) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </Field>
        <Field label="Tool">
          <input value={given.tool ?? ''} onChange={change('tool')} required />
        </Field>
        <Field label="User (id)" hint="Empty: you.">
          <input value={given.user ?? ''} onChange={change('user')} />
        </Field>
        <button className="primary">Explain</button>
      </form>
      {server === undefined ? (
        <Empty title="Which call?">
          <p>
            Name a server and a tool: all rules are shown, with the reason why each is or is not its price.
          </p>
        </Empty>
      ) : (
        <Loaded query={explanation}>
          {({ rule, candidates }) => (
            <>
              <h2>
                {rule ? `${rule.name}: ${priceText(rule)}` : 'No rule is for this call: it costs nothing.'}
              </h2>
              <Table name="Rules" columns={columns} rows={candidates} idOf={({ ruleId }) => ruleId} />
            </>
          )}
        </Loaded>
      )}
    </>
  )
}
