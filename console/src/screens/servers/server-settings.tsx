// What whoever manages a server changes of it: who may use it, its credential, its quarantine, its end.
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { call } from '../../api/client.ts'
import type { Schemas } from '../../api/types.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { Field } from '../../parts/field.tsx'
import { Failure } from '../../parts/states.tsx'
import { CredentialFields } from './credential-fields.tsx'
import { authOf, noCredential } from './credential.ts'

type Server = Schemas['Server']
interface SettingsProps {
  readonly server: Server
}

/** One change after another; each shows what it did. */
function useChange(name: string) {
  const queries = useQueryClient()
  return useMutation({
    mutationFn: (act: () => Promise<unknown>) => act(),
    onSettled: () =>
      Promise.all(
        [['server', name], ['servers'], ['definitions', name]].map((queryKey) =>
          queries.invalidateQueries({ queryKey }),
        ),
      ),
  })
}

export function ServerSettings({ server }: SettingsProps) {
  const { name, status } = server
  const navigate = useNavigate()
  const change = useChange(name)
  const params = { id: name }
  const isShut = status === 'inactive'
  return (
    <section className="stack" aria-label="Manage it">
      <div className="row">
        <button
          type="button"
          disabled={change.isPending}
          onClick={() =>
            change.mutate(() =>
              call('PUT /servers/{id}/status', { params, body: { status: isShut ? 'active' : 'inactive' } }),
            )
          }
        >
          {isShut ? 'End the quarantine' : 'Quarantine it'}
        </button>
        <Confirm
          verb="Remove"
          what={name}
          onConfirm={() =>
            change.mutate(async () => {
              await call('DELETE /servers/{id}', { params })
              await navigate({ to: '/servers' })
            })
          }
        />
      </div>
      <Failure error={change.error} />
      <Change key={server.revision} server={server} />
    </section>
  )
}

function Change({ server }: SettingsProps) {
  const { name, transport, auth } = server
  const change = useChange(name)
  const [access, setAccess] = useState(server.access)
  const [description, setDescription] = useState(server.description ?? '')
  const [approval, setApproval] = useState(server.definitions?.approval ?? 'off')
  const [credential, setCredential] = useState(noCredential)
  const [isReplacing, setReplacing] = useState(false)
  const save = (): void =>
    change.mutate(() =>
      call('PATCH /servers/{id}', {
        params: { id: name },
        body: {
          access,
          description: description === '' ? null : description,
          definitions: { approval },
          ...(isReplacing && { auth: authOf(credential) }),
        },
      }),
    )
  return (
    <details className="panel">
      <summary>Change it</summary>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault()
          save()
        }}
      >
        <Field label="Description">
          <input value={description} onChange={(event) => setDescription(event.target.value)} />
        </Field>
        <Field label="Who may use it">
          <select value={access} onChange={(event) => setAccess(event.target.value as Server['access'])}>
            <option value="private">private</option>
            <option value="authenticated">authenticated</option>
            <option value="public">public</option>
          </select>
        </Field>
        <Field label="Definitions of its tools" hint="What waits for approval is held back.">
          <select value={approval} onChange={(event) => setApproval(event.target.value as typeof approval)}>
            <option value="off">need no approval</option>
            <option value="changes">need approval when they change</option>
            <option value="all">need approval always</option>
          </select>
        </Field>
        {transport.type !== 'stdio' &&
          (isReplacing ? (
            <CredentialFields typed={credential} onTyped={setCredential} />
          ) : (
            <div className="row">
              <p className="quiet">Credential: {shownCredential(auth)}</p>
              <button type="button" onClick={() => setReplacing(true)}>
                Replace it
              </button>
            </div>
          ))}
        <Failure error={change.error} />
        <div className="row">
          <button className="primary" disabled={change.isPending}>
            Save
          </button>
        </div>
      </form>
    </details>
  )
}

/** What may be seen of it: its kind, and how it ends. */
function shownCredential(auth: Server['auth']): string {
  if (!auth || auth.type === 'none') return 'none'
  return 'last4' in auth && auth.last4 !== undefined ? `${auth.type}, ends with ${auth.last4}` : auth.type
}
