// `server add`: a server out of a URL or a command line, with its credential.
import { Option, type Command } from 'commander'
import { CliError, type Io } from '../io.ts'
import type { ShownServer } from './server.ts'
import { authOf, credentialOptions, pair, type CredentialOptions } from './server-credential.ts'
import { clientOf, collect, compact, examples, showThing } from '../show.ts'

interface AddOptions extends CredentialOptions {
  readonly description?: string
  readonly access?: string
  readonly transport?: string
  readonly messageUrl?: string
  readonly sessionId?: string
  readonly sharing?: string
  readonly approval?: string
  readonly identity?: boolean
  readonly identityClaims?: string
  readonly header?: string[]
  readonly env?: string[]
  readonly cwd?: string
}

export function addServerAdd(server: Command, io: Io): void {
  credentialOptions(server.command('add <name> <target...>'))
    .description('register a server: a URL (http, https, ws, wss), or a command with its arguments after --')
    .option('--description <text>', 'what it is')
    .addOption(
      new Option('--access <level>', 'who may use it').choices(['private', 'authenticated', 'public']),
    )
    .addOption(
      new Option('--transport <type>', 'how an http(s) URL is spoken to (default: streamable-http)').choices([
        'streamable-http',
        'sse',
      ]),
    )
    .option('--message-url <url>', 'sse: where messages go, in place of what the server says')
    .option(
      '--session-id <place:name>',
      "where the server wants the session's id: query:NAME, header:NAME, or path:NAME with {NAME} in the URL",
    )
    .addOption(
      new Option('--sharing <who>', 'who shares one session with the server').choices([
        'session',
        'user',
        'server',
      ]),
    )
    .addOption(
      new Option(
        '--approval <which>',
        'definitions of tools that wait for approval: changed ones, or all',
      ).choices(['off', 'changes', 'all']),
    )
    .option('--identity', 'tell the server who calls, by a signed note with each request')
    .option('--identity-claims <names>', 'what it says: username, account, roles, groups; comma separated')
    .option('--header <name:value>', 'a fixed header for the server (repeatable)', collect)
    .option('--env <name=value>', "a variable of the command's environment (repeatable)", collect)
    .option('--cwd <path>', "the command's working folder")
    .addHelpText(
      'after',
      examples(
        'server add weather https://weather.example/mcp --access authenticated',
        'server add weather https://weather.example/mcp --bearer - < token',
        'server add linear https://mcp.example/mcp --oauth client-id:secret --oauth-scope "read write"',
        'server add old https://old.example/sse --transport sse',
        'server add live wss://live.example/ws --session-id query:sid',
        'server add everything -- npx -y @modelcontextprotocol/server-everything',
      ),
    )
    .action(async (name: string, target: string[], options: AddOptions, command: Command) => {
      const body = compact({
        name,
        description: options.description,
        access: options.access,
        sharing: options.sharing,
        definitions: options.approval === undefined ? undefined : { approval: options.approval },
        identity: identityOf(options),
        transport: transportOf(target, options),
        auth: await authOf(io, options),
      })
      const added = await clientOf(io, command).post<ShownServer>('/servers', body)
      showThing(io, command, added)
      io.talk(`Registered; try \`tollbridge server test ${name}\``)
    })
}

function identityOf({ identity, identityClaims }: AddOptions): object | undefined {
  if (!identity && identityClaims === undefined) return undefined
  return compact({ claims: identityClaims?.split(',').map((name) => name.trim()) })
}

function transportOf(target: readonly string[], options: AddOptions): Record<string, unknown> {
  const [first = '', ...args] = target
  const scheme = /^(https?|wss?):\/\//i.exec(first)?.[1]?.toLowerCase()
  if (scheme !== undefined) {
    if (args.length > 0) throw new CliError('A URL takes no further arguments.', 2)
    if (options.env || options.cwd) throw new CliError('--env and --cwd are for commands, not for URLs.', 2)
    const isWebSocket = scheme.startsWith('ws')
    if (isWebSocket && options.transport !== undefined)
      throw new CliError('--transport is for http and https URLs.', 2)
    return compact({
      type: isWebSocket ? 'websocket' : (options.transport ?? 'streamable-http'),
      url: first,
      messageUrl: options.messageUrl,
      headers: options.header && pairs(options.header, ':'),
      sessionId: options.sessionId === undefined ? undefined : placeOf(options.sessionId),
    })
  }
  if (options.header || options.transport || options.messageUrl || options.sessionId)
    throw new CliError('--header, --transport, --message-url and --session-id are for URLs.', 2)
  return compact({
    type: 'stdio',
    command: first,
    args,
    env: options.env && pairs(options.env, '='),
    cwd: options.cwd,
  })
}

function placeOf(text: string): { in: string; name: string } {
  const [place, name] = pair(text, ':')
  return { in: place, name }
}

const pairs = (texts: readonly string[], by: string): Record<string, string> =>
  Object.fromEntries(texts.map((text) => pair(text, by)))
