// How a server's credential is given on the command line.
import { readFileSync } from 'node:fs'
import { Option, type Command } from 'commander'
import { CliError, type Io } from '../io.ts'
import { compact } from '../show.ts'

export interface CredentialOptions {
  readonly bearer?: string
  readonly basic?: string
  readonly apiKeyHeader?: string
  readonly apiKeyQuery?: string
  readonly oauth?: string
  readonly oauthGrant?: keyof typeof grants
  readonly oauthKey?: string
  readonly oauthTokenUrl?: string
  readonly oauthIssuer?: string
  readonly oauthScope?: string
}

const grants = {
  client: 'client-credentials',
  user: 'authorization-code',
  exchange: 'token-exchange',
} as const

export const credentialOptions = (command: Command): Command =>
  command
    .option('--bearer <token>', 'credential: a bearer token; - reads it from standard input')
    .option('--basic <user:password>', 'credential: basic; - reads it from standard input')
    .option('--api-key-header <name=value>', 'credential: a header; - reads NAME=VALUE from standard input')
    .option(
      '--api-key-query <name=value>',
      'credential: a query parameter; - reads NAME=VALUE from standard input',
    )
    .option(
      '--oauth <id:secret>',
      'credential: an OAuth client; - reads ID:SECRET from standard input; with --oauth-key the id alone',
    )
    .addOption(
      new Option(
        '--oauth-grant <grant>',
        'oauth: one token for all (client), one that each user agrees to (user), or one for our word of who calls (exchange)',
      ).choices(Object.keys(grants)),
    )
    .option('--oauth-key <file>', 'oauth: a private key (PEM or JWK) in place of the secret')
    .option('--oauth-token-url <url>', 'oauth: where tokens are given, where the server does not say it')
    .option('--oauth-issuer <url>', 'oauth: the authorization server, where the MCP server does not say it')
    .option('--oauth-scope <scopes>', 'oauth: the scopes to ask for')

/** `auth` of a registration; undefined where no credential is given. Throws CliError where several are. */
export async function authOf(
  io: Io,
  options: CredentialOptions,
): Promise<Record<string, unknown> | undefined> {
  const { bearer, basic, apiKeyHeader, apiKeyQuery, oauth } = options
  const given = [bearer, basic, apiKeyHeader, apiKeyQuery, oauth].filter((value) => value !== undefined)
  const [value] = given
  if (given.length > 1) throw new CliError('A server takes one credential.', 2)
  const isPersonal = options.oauthGrant === 'user'
  if (
    oauth === undefined &&
    !isPersonal &&
    (options.oauthGrant ??
      options.oauthKey ??
      options.oauthTokenUrl ??
      options.oauthIssuer ??
      options.oauthScope)
  )
    throw new CliError('--oauth-key, --oauth-token-url, --oauth-issuer and --oauth-scope go with --oauth.', 2)
  if (value === undefined) return isPersonal ? oauthOf('', options) : undefined
  const secret = value === '-' ? (await io.readInput()).replace(/\r?\n$/, '') : value
  if (bearer !== undefined) return { type: 'bearer', token: secret }
  if (oauth !== undefined) return oauthOf(secret, options)
  if (basic !== undefined) {
    const [username, password] = pair(secret, ':')
    return { type: 'basic', username, password }
  }
  const [name, keyValue] = pair(secret, '=')
  return { type: 'api-key', in: apiKeyHeader === undefined ? 'query' : 'header', name, value: keyValue }
}

function oauthOf(text: string, options: CredentialOptions): Record<string, unknown> {
  const { oauthKey, oauthGrant = 'client' } = options
  const isAlone = oauthKey !== undefined || (oauthGrant === 'user' && !text.includes(':'))
  const [clientId, clientSecret] = isAlone ? [text || undefined, undefined] : pair(text, ':')
  return compact({
    type: 'oauth2',
    grant: grants[oauthGrant],
    clientId,
    clientSecret,
    privateKey: oauthKey === undefined ? undefined : readKeyFile(oauthKey),
    tokenUrl: options.oauthTokenUrl,
    issuer: options.oauthIssuer,
    scope: options.oauthScope,
  })
}

function readKeyFile(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new CliError(`${path} cannot be read: ${(error as Error).message}`)
  }
}

/** Two parts of a text. Throws CliError where `by` does not stand between them. */
export function pair(text: string, by: string): [string, string] {
  const at = text.indexOf(by)
  if (at < 1) throw new CliError(`Expected NAME${by}VALUE.`, 2)
  return [text.slice(0, at).trim(), text.slice(at + 1).trim()]
}
