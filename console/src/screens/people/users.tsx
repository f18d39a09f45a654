// Users and their roles: made, and shut out.
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { call } from '../../api/client.ts'
import type { Schemas } from '../../api/types.ts'
import { has, useUser, type Role } from '../../app/session.ts'
import { Field } from '../../parts/field.tsx'
import { Time } from '../../parts/format.tsx'
import { PagedTable } from '../../parts/paged-table.tsx'
import { Empty, Failure } from '../../parts/states.tsx'
import type { Column } from '../../parts/table.tsx'

type User = Schemas['User']
export const roles = ['member', 'operator', 'auditor', 'admin'] as const

export function Users() {
  const user = useUser()
  const queries = useQueryClient()
  const refresh = () => queries.invalidateQueries({ queryKey: ['users'] })
  const change = useMutation({
    mutationFn: ({ id, disabled }: User) =>
      call('PATCH /users/{id}', { params: { id }, body: { disabled: !disabled } }),
    onSuccess: refresh,
  })
  const mayChange = has(user, 'admin')
  const columns: readonly Column<User>[] = [
    {
      title: 'Name',
      cell: ({ id, username }) => (
        <Link to="/users/$id" params={{ id }}>
          {username}
        </Link>
      ),
    },
    { title: 'Roles', cell: ({ roles: held }) => held.join(', ') },
    { title: 'Groups', cell: ({ groups }) => groups.join(', ') },
    {
      title: 'Account',
      cell: ({ accountId }) => (
        <Link to="/accounts/$id" params={{ id: accountId }}>
          open
        </Link>
      ),
    },
    { title: 'Since', cell: ({ createdAt }) => <Time at={createdAt} /> },
    { title: 'State', cell: ({ disabled }) => (disabled ? 'shut out' : 'may log in') },
    ...(mayChange
      ? [
          {
            title: '',
            cell: (each: User) =>
              each.id === user.userId ? null : (
                <button
                  type="button"
                  onClick={() => change.mutate(each)}
                  aria-label={`${each.disabled ? 'Let in' : 'Shut out'} ${each.username}`}
                >
                  {each.disabled ? 'Let in' : 'Shut out'}
                </button>
              ),
          },
        ]
      : []),
  ]
  return (
    <>
      <h1>Users</h1>
      {mayChange && <Add onDone={refresh} />}
      <Failure error={change.error} />
      <PagedTable
        name="Users"
        of={['users']}
        fetchPage={(query) => call('GET /users', { query })}
        columns={columns}
        idOf={({ id }) => id}
        empty={<Empty title="No users" />}
      />
    </>
  )
}

function Add({ onDone }: { readonly onDone: () => unknown }) {
  const [username, setUsername] = useState('')
  const [password, setPassword] = useState('')
  const [role, setRole] = useState<Role>('member')
  const add = useMutation({
    mutationFn: () => call('POST /users', { body: { username, password, roles: [role] } }),
    onSuccess: () => {
      setUsername('')
      setPassword('')
      onDone()
    },
  })
  return (
    <details className="panel">
      <summary>Make a user</summary>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault()
          add.mutate()
        }}
      >
        <Field label="User name">
          <input
            value={username}
            onChange={(event) => setUsername(event.target.value)}
            autoComplete="off"
            required
          />
        </Field>
        <Field label="First password" hint="10 characters or more; they can change it.">
          <input
            type="password"
            value={password}
            onChange={(event) => setPassword(event.target.value)}
            autoComplete="new-password"
            minLength={10}
            required
          />
        </Field>
        <Field label="Role">
          <select
            value={role}
            onChange={(event) => setRole(roles.find((each) => each === event.target.value) ?? 'member')}
          >
            {roles.map((each) => (
              <option key={each}>{each}</option>
            ))}
          </select>
        </Field>
        <Failure error={add.error} />
        <div className="row">
          <button className="primary" disabled={add.isPending}>
            Make the user
          </button>
        </div>
      </form>
    </details>
  )
}
