// All servers that one may use: how they are, and how to add one.
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { serversQuery } from '../../api/lists.ts'
import type { Schemas } from '../../api/types.ts'
import { has, useUser } from '../../app/session.ts'
import { ImportServers } from './import-servers.tsx'
import { RegisterServer } from './register-server.tsx'
import { Time } from '../../parts/format.tsx'
import { Empty, Loaded } from '../../parts/states.tsx'
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
  { title: 'Era', cell: (server) => <Eras server={server} /> },
  { title: 'Who may use it', cell: ({ access }) => access },
  {
    title: 'Last failure',
    cell: ({ lastFailure }) =>
      lastFailure && (
        <>
          {lastFailure.message}, <Time at={lastFailure.at} />
        </>
      ),
  },
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

/** Nothing until it has answered for the first time. */
export function Eras({ server: { eras } }: { readonly server: Server }) {
  return eras.map((era) => (
    <span key={era} className="badge">
      {era}
    </span>
  ))
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
          <RegisterServer onDone={() => setAdding(false)} />
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
