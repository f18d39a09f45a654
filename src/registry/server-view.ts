// A server as callers may see it: every credential, header value and variable is masked.
import { definitionPolicyOf } from './definition-policy.ts'
import { findReference } from './secret-reference.ts'
import type { LastFailure, Server, ServerAuth, ServerTransport } from './server.ts'

/** Stands for a secret; `last4` are stars where four characters would be much of it. Or names what is referred to. */
type SecretView =
  | { readonly hasSecret: true; readonly last4: string }
  | { readonly reference: string; readonly prefix?: string }

function mask(secret: string): SecretView {
  const reference = findReference(secret)
  if (!reference) return { hasSecret: true, last4: secret.length >= 8 ? secret.slice(-4) : '****' }
  const { name, prefix } = reference
  return { reference: name, ...(prefix !== '' && { prefix }) }
}

const maskAll = (values: Readonly<Record<string, string>>): Record<string, SecretView> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, mask(value)]))

function authView(auth: ServerAuth): object {
  if (auth.type === 'bearer') return { type: auth.type, ...mask(auth.token) }
  if (auth.type === 'basic') return { type: auth.type, username: auth.username, ...mask(auth.password) }
  if (auth.type === 'api-key') return { type: auth.type, in: auth.in, name: auth.name, ...mask(auth.value) }
  if (auth.type === 'oauth2') {
    const { clientSecret, privateKey, ...open } = auth
    const isPublic = clientSecret === undefined && privateKey === undefined
    // Not even the end of a key is shown.
    const shown = clientSecret ?? (privateKey !== undefined && findReference(privateKey) ? privateKey : '')
    return { ...open, ...(!isPublic && mask(shown)) }
  }
  return { type: auth.type }
}

function transportView(transport: ServerTransport): object {
  if (transport.type === 'aggregate' || transport.type === 'built-in') return transport
  if (transport.type === 'stdio') return { ...transport, env: maskAll(transport.env) }
  return { ...transport, ...(transport.headers && { headers: maskAll(transport.headers) }) }
}

const isoTime = (ms: number): string => new Date(ms).toISOString()

/** `{stage, message, at, since}` of the contract. */
const failureView = ({ stage, message, atMs, sinceMs }: LastFailure): object => ({
  stage,
  message,
  at: isoTime(atMs),
  since: isoTime(sinceMs),
})

/** The JSON of `GET /servers/{id}`; holds no secret. */
export function serverView(server: Server): Record<string, unknown> {
  const { publicAccountId, lastFailure, createdAtMs, updatedAtMs, transport, auth, ...plain } = server
  return {
    ...plain,
    definitions: definitionPolicyOf(server),
    transport: transportView(transport),
    auth: authView(auth),
    ...(publicAccountId !== undefined && { account: publicAccountId }),
    ...(lastFailure && { lastFailure: failureView(lastFailure) }),
    createdAt: isoTime(createdAtMs),
    updatedAt: isoTime(updatedAtMs),
  }
}

/** The JSON of `GET /servers/{id}/status`. */
export const statusView = ({ id, name, status, lastFailure }: Server): Record<string, unknown> => ({
  id,
  name,
  status,
  ...(lastFailure && { lastFailure: failureView(lastFailure) }),
})
