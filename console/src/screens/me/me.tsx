// One's own account with the gateway: who one is, the password, passkeys, and the clients that one has let in.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { call } from '../../api/client.ts'
import type { Schemas } from '../../api/types.ts'
import { useUser } from '../../app/session.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { Field } from '../../parts/field.tsx'
import { Time } from '../../parts/format.tsx'
import { PagedTable } from '../../parts/paged-table.tsx'
import { Empty, Failure } from '../../parts/states.tsx'
import { Passkeys } from './passkeys.tsx'

export function Me() {
  const user = useUser()
  const me = useQuery({ queryKey: ['me'], queryFn: () => call('GET /me') })
  return (
    <>
      <h1>{user.username}</h1>
      <dl className="facts">
        <dt>Roles</dt>
        <dd>{user.roles.join(', ')}</dd>
        <dt>Id</dt>
        <dd>
          <code>{user.userId}</code>
        </dd>
        {me.data && (
          <>
            <dt>Account</dt>
            <dd>
              <Link to="/accounts/$id" params={{ id: me.data.accountId }}>
                what is left on it
              </Link>
            </dd>
          </>
        )}
      </dl>
      <Password />
      <Passkeys />
      <Clients />
    </>
  )
}

function Password() {
  const [currentPassword, setCurrent] = useState('')
  const [newPassword, setNew] = useState('')
  const change = useMutation({
    mutationFn: () => call('POST /me/password', { body: { currentPassword, newPassword } }),
    onSuccess: () => {
      setCurrent('')
      setNew('')
    },
  })
  return (
    <section>
      <h2>Password</h2>
      <form
        className="row"
        onSubmit={(event) => {
          event.preventDefault()
          change.mutate()
        }}
      >
        <Field label="The one that you have">
          <input
            type="password"
            autoComplete="current-password"
            value={currentPassword}
            onChange={(event) => setCurrent(event.target.value)}
            required
          />
        </Field>
        <Field label="The new one">
          <input
            type="password"
            autoComplete="new-password"
            value={newPassword}
            onChange={(event) => setNew(event.target.value)}
            required
          />
        </Field>
        <button disabled={change.isPending}>Change it</button>
      </form>
      <p role="status">{change.isSuccess && 'It is changed. Other logins of yours have ended.'}</p>
      <Failure error={change.error} />
    </section>
  )
}

function Clients() {
  const queries = useQueryClient()
  const withdraw = useMutation({
    mutationFn: (id: string) => call('DELETE /oauth/grants/{id}', { params: { id } }),
    onSettled: () => queries.invalidateQueries({ queryKey: ['grants', 'oauth'] }),
  })
  return (
    <section>
      <h2>Clients that you have let in</h2>
      <Failure error={withdraw.error} />
      <PagedTable<Schemas['OauthGrant']>
        name="Clients"
        of={['grants', 'oauth']}
        fetchPage={(query) => call('GET /oauth/grants', { query })}
        idOf={({ id }) => id}
        columns={[
          { title: 'Client', cell: ({ clientName }) => clientName },
          { title: 'For', cell: ({ resource }) => <code>{resource}</code> },
          { title: 'May', cell: ({ scopes }) => scopes.join(', ') },
          { title: 'Last used', cell: ({ lastUsedAt }) => (lastUsedAt ? <Time at={lastUsedAt} /> : 'never') },
          { title: 'Ends', cell: ({ expiresAt }) => <Time at={expiresAt} /> },
          {
            title: '',
            cell: ({ id, clientName }) => (
              <Confirm verb="Shut out" what={clientName} onConfirm={() => withdraw.mutate(id)} />
            ),
          },
        ]}
        empty={<Empty title="None: no client has logged in as you by OAuth" />}
      />
    </section>
  )
}
