// May this user use that, and which rule says so?
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { call } from '../../api/client.ts'
import { serversQuery } from '../../api/lists.ts'
import { allPages } from '../../api/pages.ts'
import { Field } from '../../parts/field.tsx'
import { Empty, Loaded } from '../../parts/states.tsx'
import { Table } from '../../parts/table.tsx'

export interface AskedAccess {
  readonly user?: string
  readonly server?: string
  readonly item?: string
}

export const readAskedAccess = (search: Record<string, unknown>): AskedAccess =>
  Object.fromEntries(
    ['user', 'server', 'item'].flatMap((name) => {
      const value = search[name]
      return typeof value === 'string' && value !== '' ? [[name, value]] : []
    }),
  )

interface ExplainProps {
  readonly asked: AskedAccess
  readonly onAsked: (asked: AskedAccess) => void
}

export function ExplainAccess({ asked, onAsked }: ExplainProps) {
  const [given, setGiven] = useState(asked)
  const servers = useQuery(serversQuery)
  const users = useQuery({
    queryKey: ['users', 'all'],
    queryFn: () => allPages((query) => call('GET /users', { query })),
  })
  const { user, server, item } = asked
  const isWhole = user !== undefined && server !== undefined && item !== undefined
  const explanation = useQuery({
    queryKey: ['access-rules', 'explain', asked],
    queryFn: () =>
      call('POST /access-rules/explain', {
        body: { user: user ?? '', server: server ?? '', item: item ?? '', kind: 'tool' },
      }),
    enabled: isWhole,
  })
  const change = (name: keyof AskedAccess) => (event: { target: { value: string } }) =>
    setGiven(readAskedAccess({ ...given, [name]: event.target.value }))
  return (
    <>
      <div className="head">
        <h1>May they?</h1>
        <Link to="/policy" className="button">
          All rules
        </Link>
      </div>
      <form
        className="filters"
        onSubmit={(event) => {
          event.preventDefault()
          onAsked(given)
        }}
      >
        <Field label="User">
          <select value={given.user ?? ''} onChange={change('user')} required>
            <option value="">choose one</option>
            {(users.data ?? []).map(({ id, username }) => (
              <option key={id} value={id}>
                {username}
              </option>
            ))}
          </select>
        </Field>
        <Field label="Server">
          <select value={given.server ?? ''} onChange={change('server')} required>
            <option value="">choose one</option>
            {(servers.data ?? []).map(({ name }) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </Field>
        <Field label="Tool">
          <input value={given.item ?? ''} onChange={change('item')} required />
        </Field>
        <button className="primary">Explain</button>
      </form>
      {isWhole ? (
        <Loaded query={explanation}>
          {({ allowed, decidedBy, tested }) => (
            <>
              <h2>
                {allowed ? 'Yes' : 'No'}
                {decidedBy ? `: “${decidedBy.name}” says so` : ': no rule is against it'}
              </h2>
              {tested.length > 0 && (
                <Table
                  name="Rules, as they were asked"
                  rows={tested}
                  idOf={({ rule }) => rule}
                  columns={[
                    { title: 'Rule', cell: ({ rule }) => rule },
                    {
                      title: 'Is it for this',
                      cell: ({ matches, mismatch }) => (matches ? 'yes' : `no, by its ${mismatch}`),
                    },
                  ]}
                />
              )}
            </>
          )}
        </Loaded>
      ) : (
        <Empty title="Who, and what?">
          <p>What is denied is not in their lists either, as if it did not exist.</p>
        </Empty>
      )}
    </>
  )
}
