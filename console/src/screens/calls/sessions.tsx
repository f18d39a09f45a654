// Sessions and open streams as they stand, with whose they are, and how to end one.
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { call } from '../../api/client.ts'
import { useNames } from '../../api/names.ts'
import type { Schemas } from '../../api/types.ts'
import { has, useUser } from '../../app/session.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { Time } from '../../parts/format.tsx'
import { PagedTable } from '../../parts/paged-table.tsx'
import { Empty, Failure } from '../../parts/states.tsx'
import type { Column } from '../../parts/table.tsx'
import { Streams } from './streams.tsx'

const isOver: ReadonlySet<Schemas['Session']['status']> = new Set(['closed', 'expired'])

export function Sessions() {
  const user = useUser()
  const nameOf = useNames()
  const queries = useQueryClient()
  const close = useMutation({
    mutationFn: (id: string) => call('DELETE /sessions/{id}', { params: { id } }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['sessions'] }),
  })
  const columns: readonly Column<Schemas['Session']>[] = [
    {
      title: 'Session',
      cell: ({ id }) => (
        <Link to="/calls" search={{ session: id }} title="Its calls">
          <code>{id}</code>
        </Link>
      ),
    },
    { title: 'Server', cell: ({ serverId }) => nameOf(serverId) },
    {
      title: 'User',
      cell: ({ userId }) => (
        <Link to="/calls" search={{ user: userId }} title="Their calls">
          {nameOf(userId)}
        </Link>
      ),
    },
    { title: 'Transport', cell: ({ transport }) => transport },
    { title: 'State', cell: ({ status }) => <span className={`badge ${status}`}>{status}</span> },
    { title: 'Opened', cell: ({ createdAt }) => <Time at={createdAt} /> },
    { title: 'Last active', cell: ({ lastActiveAt }) => <Time at={lastActiveAt} /> },
    {
      title: '',
      cell: ({ id, userId, status }) =>
        isOver.has(status) || (userId !== user.userId && !has(user, 'admin')) ? null : (
          <Confirm verb="Close" what={id} onConfirm={() => close.mutate(id)} />
        ),
    },
  ]
  return (
    <>
      <h1>Sessions and streams</h1>
      <Streams />
      <h2>Sessions</h2>
      <Failure error={close.error} />
      <PagedTable
        name="Sessions"
        of={['sessions']}
        every={5000}
        fetchPage={(query) => call('GET /sessions', { query })}
        columns={columns}
        idOf={({ id }) => id}
        empty={
          <Empty title="No sessions">
            <p>Clients of the older revisions open one for each server. Those of the newest have none.</p>
          </Empty>
        }
      />
    </>
  )
}
