// The fields of what the gateway shows a server.
import { Field } from '../../parts/field.tsx'
import { credentialKinds, type CredentialKind, type TypedCredential } from './credential.ts'

interface FieldsProps {
  readonly typed: TypedCredential
  readonly onTyped: (typed: TypedCredential) => void
  readonly error?: string | undefined
}

const names: Readonly<Partial<Record<CredentialKind, string>>> = {
  'api-key': 'Name of the header',
  basic: 'User there',
  oauth2: 'Client id',
}
const secrets: Readonly<Partial<Record<CredentialKind, string>>> = {
  bearer: 'Bearer token',
  'api-key': 'API key',
  basic: 'Its password',
  oauth2: 'Client secret',
}

export function CredentialFields({ typed, onTyped, error }: FieldsProps) {
  const { kind } = typed
  const input = (member: 'name' | 'secret' | 'tokenUrl' | 'scope') => ({
    value: typed[member],
    onChange: (event: { target: { value: string } }) => onTyped({ ...typed, [member]: event.target.value }),
  })
  const [name, secret] = [names[kind], secrets[kind]]
  return (
    <>
      <Field label="Credential" error={error}>
        <select
          value={kind}
          onChange={(event) => onTyped({ ...typed, kind: event.target.value as CredentialKind })}
        >
          {Object.entries(credentialKinds).map(([value, title]) => (
            <option key={value} value={value}>
              {title}
            </option>
          ))}
        </select>
      </Field>
      {name !== undefined && (
        <Field label={name}>
          <input {...input('name')} autoComplete="off" required />
        </Field>
      )}
      {secret !== undefined && (
        <Field label={secret} hint="Sealed, and never shown again.">
          <input type="password" {...input('secret')} autoComplete="off" required />
        </Field>
      )}
      {kind === 'oauth2' && (
        <>
          <Field label="URL for tokens" hint="Empty: as the server says.">
            <input type="url" {...input('tokenUrl')} />
          </Field>
          <Field label="Scope">
            <input {...input('scope')} />
          </Field>
        </>
      )}
    </>
  )
}
