// One user: what they may, which groups they are in, and where to find what is theirs.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { call } from '../../api/client.ts'
import type { Schemas } from '../../api/types.ts'
import { has, useUser } from '../../app/session.ts'
import { Field } from '../../parts/field.tsx'
import { Time } from '../../parts/format.tsx'
import { Failure, Loaded } from '../../parts/states.tsx'
import { roles } from './users.tsx'

type User = Schemas['User']

export function UserPage({ id }: { readonly id: string }) {
  const self = useUser()
  const user = useQuery({
    queryKey: ['user', id],
    queryFn: () => call('GET /users/{id}', { params: { id } }),
  })
  return (
    <Loaded query={user}>
      {(found) => (
        <>
          <h1>{found.username}</h1>
          <dl className="facts">
            <dt>Id</dt>
            <dd>
              <code>{found.id}</code>
            </dd>
            <dt>Since</dt>
            <dd>
              <Time at={found.createdAt} exact />
            </dd>
            <dt>State</dt>
            <dd>{found.disabled ? 'shut out' : 'may log in'}</dd>
            <dt>Roles</dt>
            <dd>{found.roles.join(', ')}</dd>
            <dt>Groups</dt>
            <dd>{found.groups.join(', ') || 'none'}</dd>
          </dl>
          <div className="row">
            <Link to="/accounts/$id" params={{ id: found.accountId }} className="button">
              Account
            </Link>
            {has(self, 'admin') && (
              <Link to="/keys" search={{ user: id }} className="button">
                Keys
              </Link>
            )}
            <Link to="/calls" search={{ user: id }} className="button">
              Calls
            </Link>
          </div>
          {has(self, 'admin') && <Change key={found.updatedAt} user={found} />}
        </>
      )}
    </Loaded>
  )
}

function Change({ user }: { readonly user: User }) {
  const queries = useQueryClient()
  const [held, setHeld] = useState<readonly string[]>(user.roles)
  const [groups, setGroups] = useState(user.groups.join(', '))
  const [password, setPassword] = useState('')
  const change = useMutation({
    mutationFn: () =>
      call('PATCH /users/{id}', {
        params: { id: user.id },
        body: {
          roles: roles.filter((role) => held.includes(role)),
          groups: groups
            .split(',')
            .map((each) => each.trim())
            .filter((each) => each !== ''),
          ...(password !== '' && { password }),
        },
      }),
    onSuccess: () =>
      Promise.all([['user', user.id], ['users']].map((queryKey) => queries.invalidateQueries({ queryKey }))),
  })
  return (
    <form
      className="panel"
      aria-label="Change the user"
      onSubmit={(event) => {
        event.preventDefault()
        change.mutate()
      }}
    >
      <fieldset className="row">
        <legend>Roles</legend>
        {roles.map((role) => (
          <label key={role}>
            <input
              type="checkbox"
              checked={held.includes(role)}
              onChange={(event) =>
                setHeld(event.target.checked ? [...held, role] : held.filter((each) => each !== role))
              }
            />{' '}
            {role}
          </label>
        ))}
      </fieldset>
      <Field label="Groups" hint="With commas between. Access rules go by them.">
        <input value={groups} onChange={(event) => setGroups(event.target.value)} />
      </Field>
      <Field label="Another password" hint="Empty: it stays. Their logins end with it.">
        <input
          type="password"
          autoComplete="new-password"
          value={password}
          onChange={(event) => setPassword(event.target.value)}
        />
      </Field>
      <Failure error={change.error} />
      <div className="row">
        <button className="primary" disabled={change.isPending}>
          Save
        </button>
      </div>
    </form>
  )
}
