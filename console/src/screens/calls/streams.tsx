// Streams that are open now, with whose they are and for how long, and how to close one.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { call } from '../../api/client.ts'
import { streamsQuery } from '../../api/lists.ts'
import { useNames } from '../../api/names.ts'
import type { Schemas } from '../../api/types.ts'
import { has, useUser } from '../../app/session.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { Time } from '../../parts/format.tsx'
import { Failure, Loaded } from '../../parts/states.tsx'
import { Table, type Column } from '../../parts/table.tsx'

export function Streams() {
  const user = useUser()
  const nameOf = useNames()
  const queries = useQueryClient()
  const streams = useQuery(streamsQuery)
  const close = useMutation({
    mutationFn: (id: string) => call('DELETE /streams/{id}', { params: { id } }),
    onSettled: () => queries.invalidateQueries({ queryKey: streamsQuery.queryKey }),
  })
  const columns: readonly Column<Schemas['Stream']>[] = [
    {
      title: 'Stream',
      cell: ({ method, sessionId }) =>
        sessionId === undefined ? (
          method
        ) : (
          <Link to="/calls" search={{ session: sessionId }} title="The calls of its session">
            {method}
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
    { title: 'From', cell: ({ clientIp }) => clientIp },
    { title: 'Opened', cell: ({ openedAt }) => <Time at={openedAt} /> },
    {
      title: '',
      cell: ({ id, userId }) =>
        userId === user.userId || has(user, 'admin') ? (
          <Confirm verb="Close" what={id} onConfirm={() => close.mutate(id)} />
        ) : null,
    },
  ]
  return (
    <section>
      <h2>Open streams</h2>
      <Failure error={close.error} />
      <Loaded query={streams}>
        {(open) =>
          open.length === 0 ? (
            <p className="quiet">None. A client that wants to hear of changes keeps one open.</p>
          ) : (
            <Table name="Open streams" rows={open} idOf={({ id }) => id} columns={columns} />
          )
        }
      </Loaded>
    </section>
  )
}
