// The form that registers a server.
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { ApiError, call } from '../../api/client.ts'
import type { Operations, Schemas } from '../../api/types.ts'
import { has, useUser } from '../../app/session.ts'
import { Field } from '../../parts/field.tsx'
import { Failure } from '../../parts/states.tsx'
import { CredentialFields } from './credential-fields.tsx'
import { authOf, noCredential } from './credential.ts'

type Body = Operations['POST /servers']['body']
type Transport = Body['transport']['type']

const transports: Readonly<Record<Transport, string>> = {
  'streamable-http': 'Streamable HTTP',
  sse: 'HTTP+SSE',
  websocket: 'WebSocket',
  stdio: 'stdio: a command on the gateway’s machine',
}

const transportOf = (type: Transport, place: string): Body['transport'] => {
  if (type !== 'stdio') return { type, url: place }
  const [command = '', ...args] = place.split(/\s+/).filter((each) => each !== '')
  return { type, command, args }
}

export function RegisterServer({ onDone }: { readonly onDone: () => void }) {
  const user = useUser()
  const queries = useQueryClient()
  const [name, setName] = useState('')
  const [type, setType] = useState<Transport>('streamable-http')
  const [place, setPlace] = useState('')
  const [credential, setCredential] = useState(noCredential)
  const [access, setAccess] = useState<Schemas['Server']['access']>('private')
  const add = useMutation({
    mutationFn: () => {
      const auth = type === 'stdio' ? { type: 'none' as const } : authOf(credential)
      return call('POST /servers', { body: { name, access, transport: transportOf(type, place), auth } })
    },
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ['servers'] })
      onDone()
    },
  })
  const fault = (field: string): string | undefined =>
    add.error instanceof ApiError
      ? add.error.fields.find((each) => each.field.startsWith(field))?.message
      : undefined
  return (
    <form
      className="panel"
      onSubmit={(event) => {
        event.preventDefault()
        add.mutate()
      }}
    >
      <Field label="Name" hint="In its address: /mcp/NAME" error={fault('/name')}>
        <input value={name} onChange={(event) => setName(event.target.value)} required />
      </Field>
      <Field label="Transport">
        <select value={type} onChange={(event) => setType(event.target.value as Transport)}>
          {Object.entries(transports)
            .filter(([value]) => value !== 'stdio' || has(user, 'admin'))
            .map(([value, title]) => (
              <option key={value} value={value}>
                {title}
              </option>
            ))}
        </select>
      </Field>
      {type === 'stdio' ? (
        <Field
          label="Command"
          hint="With its arguments, without quotes. It has to be on the list of the setting stdio.allow."
          error={fault('/transport')}
        >
          <input value={place} onChange={(event) => setPlace(event.target.value)} required />
        </Field>
      ) : (
        <>
          <Field label="URL" error={fault('/transport')}>
            <input type="url" value={place} onChange={(event) => setPlace(event.target.value)} required />
          </Field>
          <CredentialFields typed={credential} onTyped={setCredential} error={fault('/auth')} />
        </>
      )}
      <Field label="Who may use it">
        <select
          value={access}
          onChange={(event) => setAccess(event.target.value as Schemas['Server']['access'])}
        >
          <option value="private">private: you and administrators</option>
          <option value="authenticated">authenticated: everybody who is logged in</option>
          <option value="public">public: everybody</option>
        </select>
      </Field>
      <Failure error={add.error} />
      <div className="row">
        <button className="primary" disabled={add.isPending}>
          Register
        </button>
        <button type="button" onClick={onDone}>
          Cancel
        </button>
      </div>
    </form>
  )
}
