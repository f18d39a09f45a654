// One's passkeys: what the browser or a security key holds, to log in without a password.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { call } from '../../api/client.ts'
import type { Schemas } from '../../api/types.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { Field } from '../../parts/field.tsx'
import { Time } from '../../parts/format.tsx'
import { Failure, Loaded } from '../../parts/states.tsx'
import { Table } from '../../parts/table.tsx'

const queryKey = ['passkeys']

export function Passkeys() {
  const queries = useQueryClient()
  const refresh = () => queries.invalidateQueries({ queryKey })
  const passkeys = useQuery({ queryKey, queryFn: () => call('GET /me/passkeys') })
  const remove = useMutation({
    mutationFn: (id: string) => call('DELETE /me/passkeys/{id}', { params: { id } }),
    onSettled: refresh,
  })
  return (
    <section>
      <h2>Passkeys</h2>
      <Add onDone={refresh} />
      <Failure error={remove.error} />
      <Loaded query={passkeys}>
        {({ items }) =>
          items.length === 0 ? (
            <p className="quiet">None yet. A passkey cannot be phished, and nothing has to be remembered.</p>
          ) : (
            <Table<Schemas['Passkey']>
              name="Passkeys"
              rows={items}
              idOf={({ id }) => id}
              columns={[
                { title: 'Name', cell: ({ name }) => name },
                { title: 'Made', cell: ({ createdAt }) => <Time at={createdAt} /> },
                {
                  title: 'Last used',
                  cell: ({ lastUsedAt }) => (lastUsedAt ? <Time at={lastUsedAt} /> : 'never'),
                },
                {
                  title: '',
                  cell: ({ id, name }) => (
                    <Confirm verb="Remove" what={name} onConfirm={() => remove.mutate(id)} />
                  ),
                },
              ]}
            />
          )
        }
      </Loaded>
    </section>
  )
}

function Add({ onDone }: { readonly onDone: () => unknown }) {
  const [name, setName] = useState('')
  const [password, setPassword] = useState('')
  const add = useMutation({
    mutationFn: () => makePasskey(name, password),
    onSuccess: () => {
      setName('')
      setPassword('')
      return onDone()
    },
  })
  return (
    <form
      className="row"
      aria-label="A new passkey"
      onSubmit={(event) => {
        event.preventDefault()
        add.mutate()
      }}
    >
      <Field label="Name of a new passkey">
        <input value={name} onChange={(event) => setName(event.target.value)} required maxLength={100} />
      </Field>
      <Field label="Your password">
        <input
          type="password"
          autoComplete="current-password"
          value={password}
          onChange={(event) => setPassword(event.target.value)}
          required
        />
      </Field>
      <button disabled={add.isPending}>Make the passkey</button>
      <Failure error={add.error} />
    </form>
  )
}

async function makePasskey(name: string, password: string) {
  const { options, state } = await call('POST /me/passkeys/options', { body: { password } })
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(
    options as unknown as PublicKeyCredentialCreationOptionsJSON,
  )
  const made = (await navigator.credentials.create({ publicKey })) as PublicKeyCredential | null
  if (!made) throw new Error('No passkey was made.')
  return call('POST /me/passkeys', { body: { state, response: { ...made.toJSON() }, name } })
}
