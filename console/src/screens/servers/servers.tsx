// All servers that one may use: how they are, and how to add one.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { ApiError, call } from '../../api/client.ts'
import { serversQuery } from '../../api/lists.ts'
import type { Operations, Schemas } from '../../api/types.ts'
import { has, useUser } from '../../app/session.ts'
import { ImportServers } from './import-servers.tsx'
import { Field } from '../../parts/field.tsx'
import { Time } from '../../parts/format.tsx'
import { Empty, Failure, Loaded } from '../../parts/states.tsx'
import { Table, type Column } from '../../parts/table.tsx'

type Server = Schemas['Server']

const columns: readonly Column<Server>[] = [
  {
    title: 'Name',
    cell: ({ name }) => (
      <Link to="/servers/$name" params={{ name }}>
        {name}
      </Link>
    ),
  },
  { title: 'State', cell: (server) => <State server={server} /> },
  { title: 'Transport', cell: ({ transport }) => <code>{transport.type}</code> },
  { title: 'Who may use it', cell: ({ access }) => access },
  { title: 'Changed', cell: ({ updatedAt }) => <Time at={updatedAt} /> },
]

/** In words, not by colour alone; with why, where it fails. */
export function State({ server: { status, lastFailure } }: { readonly server: Server }) {
  return (
    <span className={`badge ${status}`} title={lastFailure?.message}>
      {status}
    </span>
  )
}

export function Servers() {
  const user = useUser()
  const [isAdding, setAdding] = useState(false)
  const servers = useQuery(serversQuery)
  const mayAdd = has(user, 'admin', 'operator')
  return (
    <>
      <header className="head">
        <h1>Servers</h1>
        {mayAdd && (
          <button
            type="button"
            className="primary"
            onClick={() => setAdding(!isAdding)}
            aria-expanded={isAdding}
          >
            Register a server
          </button>
        )}
      </header>
      {isAdding && (
        <>
          <Register onDone={() => setAdding(false)} />
          <details>
            <summary>Or take them from the configuration of a client</summary>
            <ImportServers />
          </details>
        </>
      )}
      <Loaded query={servers}>
        {(items) =>
          items.length === 0 ? (
            <Empty title="No servers yet">
              <p>
                {mayAdd
                  ? 'Register the first one by its address; its tools can be called through the gateway at once.'
                  : 'Nobody has given you a server yet; ask whoever administers this gateway.'}
              </p>
            </Empty>
          ) : (
            <Table name="Servers" columns={columns} rows={items} idOf={({ id }) => id} />
          )
        }
      </Loaded>
    </>
  )
}

function Register({ onDone }: { readonly onDone: () => void }) {
  const queries = useQueryClient()
  const [name, setName] = useState('')
  const [url, setUrl] = useState('')
  const [token, setToken] = useState('')
  const [access, setAccess] = useState<Server['access']>('private')
  const add = useMutation({
    mutationFn: () => {
      const body: Operations['POST /servers']['body'] = {
        name,
        access,
        transport: { type: 'streamable-http', url },
        ...(token !== '' && { auth: { type: 'bearer', token } }),
      }
      return call('POST /servers', { body })
    },
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ['servers'] })
      onDone()
    },
  })
  const fault = (field: string): string | undefined =>
    add.error instanceof ApiError
      ? add.error.fields.find((each) => each.field.startsWith(field))?.message
      : undefined
  return (
    <form
      className="panel"
      onSubmit={(event) => {
        event.preventDefault()
        add.mutate()
      }}
    >
      <Field label="Name" hint="In its address: /mcp/NAME" error={fault('/name')}>
        <input value={name} onChange={(event) => setName(event.target.value)} required />
      </Field>
      <Field label="URL (Streamable HTTP)" error={fault('/transport')}>
        <input type="url" value={url} onChange={(event) => setUrl(event.target.value)} required />
      </Field>
      <Field
        label="Bearer token"
        hint="Of the server, if it wants one. Sealed, and never shown again."
        error={fault('/auth')}
      >
        <input
          type="password"
          autoComplete="off"
          value={token}
          onChange={(event) => setToken(event.target.value)}
        />
      </Field>
      <Field label="Who may use it">
        <select value={access} onChange={(event) => setAccess(event.target.value as Server['access'])}>
          <option value="private">private: you and administrators</option>
          <option value="authenticated">authenticated: everybody who is logged in</option>
          <option value="public">public: everybody</option>
        </select>
      </Field>
      <Failure error={add.error} />
      <div className="row">
        <button className="primary" disabled={add.isPending}>
          Register
        </button>
        <button type="button" onClick={onDone}>
          Cancel
        </button>
      </div>
    </form>
  )
}
