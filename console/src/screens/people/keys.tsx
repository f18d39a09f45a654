// API keys: made, shown once, exchanged for another, suspended, revoked; an administrator sees those of all.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { call } from '../../api/client.ts'
import { useNames } from '../../api/names.ts'
import { allPages } from '../../api/pages.ts'
import type { Schemas } from '../../api/types.ts'
import { has, useUser } from '../../app/session.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { Copy } from '../../parts/copy.tsx'
import { money, Time } from '../../parts/format.tsx'
import { Empty, Failure, Loaded } from '../../parts/states.tsx'
import { Table, type Column } from '../../parts/table.tsx'
import { MakeKey } from './make-key.tsx'

type Key = Schemas['Key']

export interface KeyFilter {
  /** Whose: a user's id, or `*` for all. One's own where it is absent. */
  readonly user?: string
}

export function readKeyFilter({ user }: Record<string, unknown>): KeyFilter {
  return typeof user === 'string' && user !== '' ? { user } : {}
}

/** How long an exchanged key may still be used: as long as it takes to bring the new one out. */
const overlapSeconds = 3600

export function Keys({ filter: { user } }: { readonly filter: KeyFilter }) {
  const self = useUser()
  const nameOf = useNames()
  const queries = useQueryClient()
  const [made, setMade] = useState<string>()
  const keys = useQuery({
    queryKey: ['keys', user ?? ''],
    queryFn: () => allPages((page) => call('GET /keys', { query: { ...page, ...(user && { user }) } })),
  })
  const refresh = () => queries.invalidateQueries({ queryKey: ['keys'] })
  const change = useMutation({
    mutationFn: (work: () => Promise<Schemas['NewKey'] | Key | undefined>) => work(),
    onSuccess: (result) => {
      if (result && 'key' in result) setMade(result.key)
      return refresh()
    },
  })
  const actions = ({ id, name, suspendedBy }: Key) => {
    const params = { id }
    return (
      <span className="row">
        <Confirm
          verb="Rotate"
          what={name}
          onConfirm={() =>
            change.mutate(() => call('POST /keys/{id}/rotate', { params, body: { overlapSeconds } }))
          }
        />
        {(suspendedBy === undefined || suspendedBy === self.userId || has(self, 'admin')) && (
          <button
            type="button"
            onClick={() =>
              change.mutate(() =>
                call('PATCH /keys/{id}', { params, body: { suspended: suspendedBy === undefined } }),
              )
            }
          >
            {suspendedBy === undefined ? 'Suspend' : 'Let in again'}
          </button>
        )}
        <Confirm
          verb="Revoke"
          what={name}
          onConfirm={() => change.mutate(() => call('DELETE /keys/{id}', { params }))}
        />
      </span>
    )
  }
  return (
    <>
      <div className="head">
        <h1>{user === undefined ? 'Your keys' : user === '*' ? 'Keys of all users' : 'Keys of a user'}</h1>
        {has(self, 'admin') && (
          <Link to="/keys" search={user === undefined ? { user: '*' } : {}} className="button">
            {user === undefined ? 'Those of all users' : 'Your own'}
          </Link>
        )}
      </div>
      {user === undefined && (
        <MakeKey
          onMade={(secret) => {
            setMade(secret)
            void refresh()
          }}
        />
      )}
      {made !== undefined && (
        <div className="panel" role="status">
          <p>This is the key. It is shown this once: copy it now.</p>
          <Copy text={made} />
        </div>
      )}
      <Failure error={change.error} />
      <Loaded query={keys}>
        {(items) =>
          items.length === 0 ? (
            <Empty title="No keys yet">
              <p>A client that cannot log in calls with a key. Give it a name that says where it is used.</p>
            </Empty>
          ) : (
            <Table
              name="Keys"
              columns={[
                ...(user === undefined ? [] : [{ title: 'Of', cell: ({ userId }: Key) => nameOf(userId) }]),
                ...columns,
                { title: '', cell: actions },
              ]}
              rows={items}
              idOf={({ id }) => id}
            />
          )
        }
      </Loaded>
    </>
  )
}

const columns: readonly Column<Key>[] = [
  { title: 'Name', cell: ({ name }) => name },
  { title: 'Begins with', cell: ({ prefix }) => <code>{prefix}</code> },
  { title: 'Servers', cell: ({ servers }) => servers?.join(', ') ?? 'all' },
  {
    title: 'May spend',
    cell: ({ budget }) =>
      budget ? `${money(budget.spent)} of ${money(budget.limit, budget.currency)}` : 'no limit of its own',
  },
  { title: 'Last used', cell: ({ lastUsedAt }) => (lastUsedAt ? <Time at={lastUsedAt} /> : 'never') },
  {
    title: 'Ends',
    cell: ({ expiresAt, suspendedBy }) =>
      suspendedBy === undefined ? (
        expiresAt ? (
          <Time at={expiresAt} />
        ) : (
          'never'
        )
      ) : (
        <span className="badge warning">suspended</span>
      ),
  },
]
