// `oauth`: what OAuth clients were allowed, and clients that act for their user by themselves.
import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { isObject } from '../../base/is-object.ts'
import { CliError, confirm, type Io } from '../io.ts'
import { clientOf, compact, examples, segment, showList, showThing, wantsJson } from '../show.ts'

interface ShownGrant {
  readonly id: string
  readonly userId: string
  readonly clientName: string
  readonly resource: string
  readonly scopes: readonly string[]
  readonly lastUsedAt?: string
  readonly expiresAt: string
}

interface ShownClient {
  readonly id: string
  readonly name: string
  readonly authMethod: string
  readonly createdAt: string
  readonly lastUsedAt?: string
}

export function addOauthCommands(program: Command, io: Io): void {
  const oauth = program
    .command('oauth')
    .description('OAuth: what clients were allowed, and clients of your own')
  addGrantCommands(oauth, io)
  const client = oauth.command('client').description('clients that act for you by themselves')
  client
    .command('create <name>')
    .description('make a client; its secret is shown once')
    .option(
      '--public-keys <file>',
      'JSON file with its public keys (a JWK, a list, or a key set); then no secret',
    )
    .addHelpText(
      'after',
      examples('oauth client create nightly', 'oauth client create signer --public-keys keys.json'),
    )
    .action(async (name: string, options: { publicKeys?: string }, command: Command) => {
      const publicKeys = options.publicKeys === undefined ? undefined : readKeys(options.publicKeys)
      const made = await clientOf(io, command).post<ShownClient & { secret?: string }>(
        '/oauth/clients',
        compact({ name, publicKeys }),
      )
      if (wantsJson(command) || made.secret === undefined) return showThing(io, command, made)
      io.talk(`${made.name}: client_id ${made.id}; the client_secret is shown this once:`)
      io.out(made.secret)
    })
  client
    .command('ls')
    .description('list your clients')
    .addHelpText('after', examples('oauth client ls'))
    .action(async (_options: object, command: Command) => {
      const rows = await clientOf(io, command).list<ShownClient>('/oauth/clients')
      const columns = [
        { title: 'ID', value: (row: ShownClient) => row.id },
        { title: 'NAME', value: (row: ShownClient) => row.name },
        { title: 'PROVES ITSELF BY', value: (row: ShownClient) => row.authMethod },
        { title: 'CREATED', value: (row: ShownClient) => row.createdAt },
        { title: 'LAST USED', value: (row: ShownClient) => row.lastUsedAt ?? 'never' },
      ]
      const none = 'No client yet; make one with `tollbridge oauth client create NAME`.'
      showList(io, command, { rows, columns, none })
    })
  client
    .command('rm <id>')
    .description('remove a client and end its tokens, at once')
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', examples('oauth client rm ocl_01j… --yes'))
    .action(async (id: string, options: { yes?: boolean }, command: Command) => {
      await confirm(io, { what: `Remove the client ${id}`, name: id, yes: options.yes })
      await clientOf(io, command).delete(`/oauth/clients/${segment(id)}`)
      io.talk(`Removed ${id}`)
    })
}

function addGrantCommands(oauth: Command, io: Io): void {
  oauth
    .command('grants')
    .description('list what you allowed clients')
    .option('--user <id>', 'of this user, or * for everybody (administrators)')
    .addHelpText('after', examples('oauth grants', "oauth grants --user '*'"))
    .action(async (options: { user?: string }, command: Command) => {
      const rows = await clientOf(io, command).list<ShownGrant>('/oauth/grants', { user: options.user })
      const columns = [
        { title: 'ID', value: (row: ShownGrant) => row.id },
        { title: 'CLIENT', value: (row: ShownGrant) => row.clientName },
        { title: 'ENDPOINT', value: (row: ShownGrant) => row.resource },
        { title: 'SCOPES', value: (row: ShownGrant) => row.scopes.join(' ') },
        { title: 'LAST USED', value: (row: ShownGrant) => row.lastUsedAt ?? 'never' },
        { title: 'EXPIRES', value: (row: ShownGrant) => row.expiresAt },
      ]
      showList(io, command, { rows, columns, none: 'No client is allowed anything.' })
    })
  oauth
    .command('revoke <grant>')
    .description('take back what you allowed a client, at once')
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', examples('oauth revoke ogr_01j… --yes'))
    .action(async (id: string, options: { yes?: boolean }, command: Command) => {
      await confirm(io, { what: `Take back the grant ${id}`, name: id, yes: options.yes })
      await clientOf(io, command).delete(`/oauth/grants/${segment(id)}`)
      io.talk(`Took back ${id}`)
    })
}

/** One JWK, a list of them, or a key set. The gateway says what is wrong with a key. */
function readKeys(path: string): unknown[] {
  let value: unknown
  try {
    value = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new CliError(`${path} cannot be read as JSON: ${error instanceof Error ? error.message : ''}`)
  }
  const keys = isObject(value) && 'keys' in value ? value['keys'] : value
  return Array.isArray(keys) ? keys : [keys]
}
