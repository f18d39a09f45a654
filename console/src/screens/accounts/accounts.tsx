// Accounts as the tree that they are, with what each has left; organisations and teams are made here.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { call } from '../../api/client.ts'
import { accountsQuery } from '../../api/lists.ts'
import type { Schemas } from '../../api/types.ts'
import { has, useUser } from '../../app/session.ts'
import { Field } from '../../parts/field.tsx'
import { Money } from '../../parts/format.tsx'
import { Failure, Loaded } from '../../parts/states.tsx'
import { Table, type Column } from '../../parts/table.tsx'

type Account = Schemas['Account']
interface Placed {
  readonly account: Account
  readonly depth: number
}

const columns: readonly Column<Placed>[] = [
  {
    title: 'Name',
    cell: ({ account: { id, name }, depth }) => (
      <span className="branch" style={{ paddingLeft: `${depth * 1.5}rem` }}>
        <Link to="/accounts/$id" params={{ id }}>
          {name}
        </Link>
      </span>
    ),
  },
  { title: 'Kind', cell: ({ account: { kind } }) => kind },
  { title: 'Pays', cell: ({ account: { mode } }) => (mode === 'prepaid' ? 'beforehand' : 'afterwards') },
  ...(['balance', 'held', 'spent'] as const).map((member): Column<Placed> => ({
    title: { balance: 'Left', held: 'Held', spent: 'Spent' }[member],
    isNumber: true,
    cell: ({ account }) => <Money value={account[member]} currency={account.currency} />,
  })),
]

/** Each account behind the one that it is below; those whose parent is not to be seen stand at the root. */
function asTree(accounts: readonly Account[]): readonly Placed[] {
  const ids = new Set(accounts.map(({ id }) => id))
  const children = Map.groupBy(accounts, ({ parentId }) =>
    parentId !== undefined && ids.has(parentId) ? parentId : '',
  )
  const below = (id: string, depth: number): readonly Placed[] =>
    (children.get(id) ?? [])
      .toSorted((one, other) => one.name.localeCompare(other.name))
      .flatMap((account) => [{ account, depth }, ...below(account.id, depth + 1)])
  return below('', 0)
}

export function Accounts() {
  const accounts = useQuery(accountsQuery)
  return (
    <>
      <h1>Accounts</h1>
      {has(useUser(), 'admin') && <Make accounts={accounts.data ?? []} />}
      <Loaded query={accounts}>
        {(items) => (
          <Table name="Accounts" columns={columns} rows={asTree(items)} idOf={({ account }) => account.id} />
        )}
      </Loaded>
    </>
  )
}

function Make({ accounts }: { readonly accounts: readonly Account[] }) {
  const queries = useQueryClient()
  const [name, setName] = useState('')
  const [kind, setKind] = useState<'organisation' | 'team'>('team')
  const [parentId, setParentId] = useState('')
  const make = useMutation({
    mutationFn: () =>
      call('POST /billing/accounts', {
        body: { name, kind, ...(kind === 'team' && parentId !== '' && { parentId }) },
      }),
    onSuccess: async () => {
      setName('')
      await queries.invalidateQueries({ queryKey: ['accounts'] })
    },
  })
  return (
    <details className="panel">
      <summary>Make an account for a team or an organisation</summary>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault()
          make.mutate()
        }}
      >
        <Field label="Name of the account">
          <input value={name} onChange={(event) => setName(event.target.value)} required />
        </Field>
        <Field label="Kind" hint="Users have an account of their own, which can be put below one of these.">
          <select value={kind} onChange={(event) => setKind(event.target.value as typeof kind)}>
            <option>team</option>
            <option>organisation</option>
          </select>
        </Field>
        {kind === 'team' && (
          <Field label="Below">
            <select value={parentId} onChange={(event) => setParentId(event.target.value)}>
              <option value="">nothing</option>
              {accounts
                .filter((each) => each.kind === 'organisation')
                .map((each) => (
                  <option key={each.id} value={each.id}>
                    {each.name}
                  </option>
                ))}
            </select>
          </Field>
        )}
        <Failure error={make.error} />
        <div className="row">
          <button className="primary" disabled={make.isPending}>
            Make the account
          </button>
        </div>
      </form>
    </details>
  )
}
