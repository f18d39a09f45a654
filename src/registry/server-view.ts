// A server as callers may see it: every credential, header value and variable is masked.
import type { LastFailure, Server, ServerAuth, ServerTransport } from './server.ts'

/** Stands for a secret; `last4` are stars where four characters would be much of it. */
interface SecretView {
  readonly hasSecret: true
  readonly last4: string
}

const mask = (secret: string): SecretView => ({
  hasSecret: true,
  last4: secret.length >= 8 ? secret.slice(-4) : '****',
})

const maskAll = (values: Readonly<Record<string, string>>): Record<string, SecretView> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, mask(value)]))

function authView(auth: ServerAuth): object {
  if (auth.type === 'bearer') return { type: auth.type, ...mask(auth.token) }
  if (auth.type === 'basic') return { type: auth.type, username: auth.username, ...mask(auth.password) }
  if (auth.type === 'api-key') return { type: auth.type, in: auth.in, name: auth.name, ...mask(auth.value) }
  if (auth.type === 'oauth2') {
    const { clientSecret = '', privateKey: _, ...open } = auth
    return { ...open, ...mask(clientSecret) }
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
