// `user`: people and what they may.
import type { Command } from 'commander'
import { roles } from '../../identity/principal.ts'
import { CliError, confirm, type Io } from '../io.ts'
import { clientOf, compact, examples, segment, showList, showThing, wantsJson } from '../show.ts'

interface ShownUser {
  readonly id: string
  readonly username: string
  readonly email?: string
  readonly roles: readonly string[]
  readonly groups: readonly string[]
  readonly accountId: string
  readonly disabled: boolean
}

interface UserOptions {
  readonly roles?: string
  readonly groups?: string
  readonly email?: string
  readonly password?: boolean
  readonly passwordStdin?: boolean
  readonly disabled?: boolean
}

const path = '/users'
const rolesHelp = `${roles.join(', ')}; comma separated`

export function addUserCommands(program: Command, io: Io): void {
  const user = program.command('user').description('people, and what they may')
  addReading(user, io)
  addWriting(user, io)
}

function addReading(user: Command, io: Io): void {
  user
    .command('ls')
    .description('list users')
    .addHelpText('after', examples('user ls'))
    .action(async (_options: object, command: Command) => {
      const rows = await clientOf(io, command).list<ShownUser>(path)
      const columns = [
        { title: 'NAME', value: (row: ShownUser) => row.username },
        { title: 'ID', value: (row: ShownUser) => row.id },
        { title: 'ROLES', value: (row: ShownUser) => row.roles.join(',') },
        { title: 'GROUPS', value: (row: ShownUser) => row.groups.join(',') },
        { title: 'ACCOUNT', value: (row: ShownUser) => row.accountId },
        { title: 'EMAIL', value: (row: ShownUser) => row.email },
        { title: '', value: (row: ShownUser) => (row.disabled ? 'disabled' : '') },
      ]
      showList(io, command, { rows, columns, none: 'No user.' })
    })
  user
    .command('show <user>')
    .description('show a user, by name or id')
    .addHelpText('after', examples('user show ann'))
    .action(async (name: string, _options: object, command: Command) => {
      showUser(io, command, await findUser(io, command, name))
    })
}

function addWriting(user: Command, io: Io): void {
  user
    .command('add <name>')
    .description('make a user with an account; the password is asked for')
    .option('--roles <names>', rolesHelp)
    .option('--groups <names>', 'groups, for access rules; comma separated')
    .option('--email <address>', 'an e-mail address')
    .option('--password-stdin', 'read the password from standard input')
    .addHelpText('after', examples('user add ann', 'user add ops --roles operator --password-stdin < secret'))
    .action(async (username: string, options: UserOptions, command: Command) => {
      const password = await readPassword(io, options)
      const body = compact({
        username,
        password,
        email: options.email,
        roles: names(options.roles),
        groups: names(options.groups),
      })
      showUser(io, command, await clientOf(io, command).post<ShownUser>(path, body))
    })
  user
    .command('set <user>')
    .description('change a user; a new password or fewer roles end what is open')
    .option('--roles <names>', rolesHelp)
    .option('--groups <names>', 'groups, for access rules; comma separated, an empty text for none')
    .option('--email <address>', 'an e-mail address; an empty one removes it')
    .option('--password', 'ask for a new password')
    .option('--password-stdin', 'read a new password from standard input')
    .option('--disabled', 'let the user in no more')
    .option('--no-disabled', 'let the user in again')
    .addHelpText('after', examples('user set ann --roles member,auditor', 'user set bob --disabled'))
    .action(async (name: string, options: UserOptions, command: Command) => {
      const wantsPassword = options.password === true || options.passwordStdin === true
      const password = wantsPassword ? await readPassword(io, options) : undefined
      const email = options.email === '' ? null : options.email
      const body = compact({
        password,
        email,
        roles: names(options.roles),
        groups: names(options.groups),
        disabled: options.disabled,
      })
      const { id } = await findUser(io, command, name)
      showUser(io, command, await clientOf(io, command).patch<ShownUser>(`${path}/${segment(id)}`, body))
    })
  user
    .command('rm <user>')
    .description('delete a user; the account, its records and the name stay')
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', examples('user rm bob --yes'))
    .action(async (name: string, options: { yes?: boolean }, command: Command) => {
      const { id, username } = await findUser(io, command, name)
      await confirm(io, { what: `Delete the user ${username}`, name: username, yes: options.yes })
      await clientOf(io, command).delete(`${path}/${segment(id)}`)
      io.talk(`Deleted ${username}`)
    })
}

const names = (text: string | undefined): string[] | undefined =>
  text?.split(',').flatMap((name) => name.trim() || [])

async function readPassword(io: Io, { passwordStdin }: UserOptions): Promise<string> {
  if (passwordStdin) return (await io.readInput()).replace(/\r?\n$/, '')
  if (!io.interactive) throw new CliError('Where nobody can be asked, a password needs --password-stdin.', 2)
  const password = await io.ask('Password: ', true)
  if ((await io.ask('Once more: ', true)) !== password)
    throw new CliError('The two differ; nothing was changed.')
  return password
}

async function findUser(io: Io, command: Command, name: string): Promise<ShownUser> {
  const client = clientOf(io, command)
  if (name.startsWith('usr_')) return client.get<ShownUser>(`${path}/${segment(name)}`)
  const found = (await client.list<ShownUser>(path)).find(({ username }) => username === name)
  if (!found) throw new CliError(`There is no user "${name}"; \`tollbridge user ls\` lists them.`)
  return found
}

function showUser(io: Io, command: Command, user: ShownUser): void {
  showThing(
    io,
    command,
    wantsJson(command) ? user : { ...user, roles: user.roles.join(','), groups: user.groups.join(',') },
  )
}
