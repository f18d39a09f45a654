// One's API keys: made, shown once, changed for another, revoked.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { call } from '../../api/client.ts'
import { keysQuery } from '../../api/lists.ts'
import type { Schemas } from '../../api/types.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { Copy } from '../../parts/copy.tsx'
import { Field } from '../../parts/field.tsx'
import { Time } from '../../parts/format.tsx'
import { Empty, Failure, Loaded } from '../../parts/states.tsx'
import { Table, type Column } from '../../parts/table.tsx'

type Key = Schemas['Key']

export function Keys() {
  const queries = useQueryClient()
  const [made, setMade] = useState<string>()
  const keys = useQuery(keysQuery)
  const refresh = () => queries.invalidateQueries({ queryKey: ['keys'] })
  const revoke = useMutation({
    mutationFn: (id: string) => call('DELETE /keys/{id}', { params: { id } }),
    onSuccess: refresh,
  })
  const columns: readonly Column<Key>[] = [
    { title: 'Name', cell: ({ name }) => name },
    { title: 'Begins with', cell: ({ prefix }) => <code>{prefix}</code> },
    { title: 'Servers', cell: ({ servers }) => servers?.join(', ') ?? 'all' },
    { title: 'Last used', cell: ({ lastUsedAt }) => (lastUsedAt ? <Time at={lastUsedAt} /> : 'never') },
    { title: 'Ends', cell: ({ expiresAt }) => (expiresAt ? <Time at={expiresAt} /> : 'never') },
    {
      title: '',
      cell: ({ id, name }) => <Confirm verb="Revoke" what={name} onConfirm={() => revoke.mutate(id)} />,
    },
  ]
  return (
    <>
      <h1>Keys</h1>
      <Make
        onMade={(secret) => {
          setMade(secret)
          void refresh()
        }}
      />
      {made !== undefined && (
        <div className="panel" role="status">
          <p>This is the key. It is shown this once: copy it now.</p>
          <Copy text={made} />
        </div>
      )}
      <Failure error={revoke.error} />
      <Loaded query={keys}>
        {(items) =>
          items.length === 0 ? (
            <Empty title="No keys yet">
              <p>A client that cannot log in calls with a key. Give it a name that says where it is used.</p>
            </Empty>
          ) : (
            <Table name="Keys" columns={columns} rows={items} idOf={({ id }) => id} />
          )
        }
      </Loaded>
    </>
  )
}

function Make({ onMade }: { readonly onMade: (secret: string) => void }) {
  const [name, setName] = useState('')
  const make = useMutation({
    mutationFn: () => call('POST /keys', { body: { name } }),
    onSuccess: ({ key }) => {
      setName('')
      onMade(key)
    },
  })
  return (
    <form
      className="row"
      onSubmit={(event) => {
        event.preventDefault()
        make.mutate()
      }}
    >
      <Field label="Name of a new key">
        <input value={name} onChange={(event) => setName(event.target.value)} required maxLength={100} />
      </Field>
      <button className="primary" disabled={make.isPending}>
        Make the key
      </button>
      <Failure error={make.error} />
    </form>
  )
}
