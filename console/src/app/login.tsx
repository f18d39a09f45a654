// The login: by password, by passkey, or at another issuer.
import { useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { call } from '../api/client.ts'
import { Failure } from '../parts/states.tsx'
import { Field } from '../parts/field.tsx'
import { useNoteSession } from './session.ts'

export function Login() {
  const note = useNoteSession()
  const [username, setUsername] = useState('')
  const [password, setPassword] = useState('')
  const issuers = useQuery({ queryKey: ['issuers'], queryFn: () => call('GET /auth/oidc') })
  const byPassword = useMutation({
    mutationFn: () => call('POST /auth/session', { body: { username, password } }),
    onSuccess: note,
  })
  const byPasskey = useMutation({ mutationFn: answerPasskey, onSuccess: note })
  const back = encodeURIComponent(location.pathname + location.search)
  return (
    <main className="login">
      <form
        onSubmit={(event) => {
          event.preventDefault()
          byPassword.mutate()
        }}
      >
        <h1>Log in to Tollbridge</h1>
        <Field label="User name">
          <input
            value={username}
            onChange={(event) => setUsername(event.target.value)}
            autoComplete="username webauthn"
            autoFocus
            required
          />
        </Field>
        <Field label="Password">
          <input
            type="password"
            value={password}
            onChange={(event) => setPassword(event.target.value)}
            autoComplete="current-password"
            required
          />
        </Field>
        <Failure error={byPassword.error ?? byPasskey.error} />
        <div className="row">
          <button className="primary" disabled={byPassword.isPending}>
            Log in
          </button>
          <button type="button" onClick={() => byPasskey.mutate()} disabled={byPasskey.isPending}>
            Use a passkey
          </button>
        </div>
        {issuers.data?.items.map(({ name, title }) => (
          <a key={name} className="button" href={`/api/v1/auth/oidc/${name}/start?return=${back}`}>
            Log in with {title}
          </a>
        ))}
      </form>
    </main>
  )
}

async function answerPasskey() {
  const { options, state } = await call('POST /auth/passkey/options', { body: {} })
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(
    options as unknown as PublicKeyCredentialRequestOptionsJSON,
  )
  const found = (await navigator.credentials.get({ publicKey })) as PublicKeyCredential | null
  if (!found) throw new Error('No passkey was chosen.')
  const response = { ...found.toJSON() }
  return call('POST /auth/passkey', { body: { state, response } })
}
