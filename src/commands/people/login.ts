// `login` and `logout`: a saved login for each gateway; and `me`.
import type { Command } from 'commander'
import { ApiClient, toLogin, type TokenAnswer } from '../client.ts'
import { changeCredentials, credentialsPath, readCredentials } from '../credentials.ts'
import { CliError, type Io } from '../io.ts'
import { clientOf, examples, showThing, wantsJson } from '../show.ts'

interface LoginOptions {
  readonly username?: string
  readonly passwordStdin?: boolean
}

export function addLoginCommands(program: Command, io: Io): void {
  program
    .command('login')
    .description('log in to a gateway and remember it')
    .option('-u, --username <name>', 'user to log in as')
    .option('--password-stdin', 'read the password from standard input')
    .addHelpText(
      'after',
      examples('login -u admin', 'login --url https://gate.example -u ann --password-stdin < secret'),
    )
    .action(async (options: LoginOptions, command: Command) => logIn(io, options, command))
  program
    .command('logout')
    .description('end the saved login')
    .addHelpText('after', examples('logout'))
    .action(async (_options: object, command: Command) => logOut(io, clientOf(io, command)))
  program
    .command('me')
    .description('show who you are to the gateway')
    .addHelpText('after', examples('me --json'))
    .action(async (_options: object, command: Command) => {
      showThing(io, command, await clientOf(io, command).get('/me'))
    })
}

async function logIn(io: Io, options: LoginOptions, command: Command): Promise<void> {
  const client = clientOf(io, command)
  if (!io.interactive && !(options.username && options.passwordStdin)) {
    throw new CliError('Where nobody can be asked, login needs --username and --password-stdin.', 2)
  }
  const username = options.username ?? (await io.ask('User: ')).trim()
  const password = options.passwordStdin
    ? (await io.readInput()).replace(/\r?\n$/, '')
    : await io.ask('Password: ', true)
  const answer = await client.open<TokenAnswer>('POST', '/api/v1/auth/authenticate', { username, password })
  await changeCredentials(io, (saved) => ({
    current: client.url,
    logins: { ...saved.logins, [client.url]: toLogin(answer) },
  }))
  if (wantsJson(command)) io.out(JSON.stringify({ url: client.url, username: answer.username }))
  io.talk(`Logged in to ${client.url} as ${answer.username}; saved in ${credentialsPath(io)}`)
}

async function logOut(io: Io, client: ApiClient): Promise<void> {
  const login = readCredentials(io).logins[client.url]
  if (!login) throw new CliError(`There is no saved login for ${client.url}.`)
  try {
    await client.post('/auth/logout', { refreshToken: login.refreshToken })
  } finally {
    await changeCredentials(io, ({ logins }) => {
      const { [client.url]: _, ...rest } = logins
      return { logins: rest }
    })
  }
  io.talk(`Logged out of ${client.url}`)
}
