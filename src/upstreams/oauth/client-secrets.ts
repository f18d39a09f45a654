// What the gateway proves itself with to authorization servers, with the secrets that it refers to.
import { referencesOf } from '../../registry/secret-reference.ts'
import type { ServerAuth } from '../../registry/server.ts'
import { noSecrets, ServerSecrets, type SecretReader } from '../secrets/server-secrets.ts'
import { TokenError } from './authorization-server.ts'

/** The credential of the server of this name as it is now. Rejects with TokenError where a secret cannot be used. */
export async function authWithSecrets<T extends ServerAuth>(
  { name, auth }: { readonly name: string; readonly auth: T },
  secrets: SecretReader = noSecrets,
): Promise<T> {
  const server = { name, auth, transport: { type: 'built-in' as const } }
  if (referencesOf(server).size === 0) return auth
  try {
    return (await new ServerSecrets(server, secrets).get()).auth
  } catch (cause) {
    throw new TokenError((cause as Error).message, { cause })
  }
}
