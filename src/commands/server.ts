// `server`: registering MCP servers and looking after them.
import { Option, type Command } from 'commander'
import { CliError, confirm, type Io } from './io.ts'
import {
  clientOf,
  collect,
  compact,
  examples,
  segment,
  showList,
  showThing,
  wantsJson,
  words,
} from './show.ts'

interface AddOptions {
  readonly description?: string
  readonly access?: string
  readonly transport?: string
  readonly messageUrl?: string
  readonly sessionId?: string
  readonly sharing?: string
  readonly header?: string[]
  readonly env?: string[]
  readonly cwd?: string
  readonly bearer?: string
  readonly basic?: string
  readonly apiKeyHeader?: string
  readonly apiKeyQuery?: string
}

interface ShownServer {
  readonly name: string
  readonly id: string
  readonly status: string
  readonly access: string
  readonly transport: {
    readonly type: string
    readonly url?: string
    readonly command?: string
    readonly args?: string[]
  }
}

interface TestAnswer {
  readonly ok: boolean
  readonly tools?: readonly { readonly name: string }[]
}

export function addServerCommands(program: Command, io: Io): void {
  const server = program.command('server').description('MCP servers behind the gateway')
  addAdd(server, io)
  server
    .command('ls')
    .description('list the servers that you may use')
    .addHelpText('after', examples('server ls', 'server ls --json'))
    .action(async (_options: object, command: Command) => {
      const rows = await clientOf(io, command).list<ShownServer>('/servers')
      const columns = [
        { title: 'NAME', value: (row: ShownServer) => row.name },
        { title: 'STATUS', value: (row: ShownServer) => row.status },
        { title: 'ACCESS', value: (row: ShownServer) => row.access },
        { title: 'TRANSPORT', value: (row: ShownServer) => row.transport.type },
        { title: 'TARGET', value: ({ transport }: ShownServer) => targetOf(transport) },
      ]
      showList(io, command, { rows, columns, none: 'No server yet; add one with `tollbridge server add`.' })
    })
  server
    .command('show <name>')
    .description('show a server')
    .addHelpText('after', examples('server show weather'))
    .action(async (name: string, _options: object, command: Command) =>
      showThing(io, command, await clientOf(io, command).get(`/servers/${segment(name)}`)),
    )
  server
    .command('test <name>')
    .description('connect to a server and shake hands')
    .addHelpText('after', examples('server test weather'))
    .action(async (name: string, _options: object, command: Command) => {
      const answer = await clientOf(io, command).post<TestAnswer>(`/servers/${segment(name)}/test-connection`)
      // For people the tools' names are enough; their schemas come with --json.
      const tools = answer.tools?.map((tool) => tool.name).join(', ')
      showThing(io, command, wantsJson(command) ? answer : { ...answer, tools })
      if (!answer.ok) throw new CliError(`${name} does not answer as an MCP server.`)
    })
  addTools(server, io)
  server
    .command('rm <name>')
    .description('take a server away; its records stay')
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', examples('server rm weather', 'server rm weather --yes'))
    .action(async (name: string, options: { yes?: boolean }, command: Command) => {
      const client = clientOf(io, command)
      await confirm(io, { what: `Remove the server ${name}`, name, yes: options.yes })
      await client.delete(`/servers/${segment(name)}`)
      io.talk(`Removed ${name}`)
    })
  addSwitch(server, io, { verb: 'enable', status: 'active', description: 'let a server take calls' })
  addSwitch(server, io, { verb: 'disable', status: 'inactive', description: 'refuse calls to a server' })
}

interface ShownTool {
  readonly name: string
  /** Null where no rule prices a call of it. */
  readonly price: {
    readonly name: string
    readonly currency: string
    readonly price: Readonly<Record<string, string>>
    readonly billOn: readonly string[]
  } | null
}

function addTools(server: Command, io: Io): void {
  server
    .command('tools <name>')
    .description("list a server's tools with what a call of yours costs now")
    .addHelpText('after', examples('server tools weather', 'server tools weather --json'))
    .action(async (name: string, _options: object, command: Command) => {
      const rows = await clientOf(io, command).list<ShownTool>(`/servers/${segment(name)}/tools`)
      const columns = [
        { title: 'TOOL', value: (row: ShownTool) => row.name },
        {
          title: 'PRICE',
          value: ({ price }: ShownTool) => (price ? `${words(price.price)} ${price.currency}` : 'unpriced'),
        },
        { title: 'BILLED ON', value: ({ price }: ShownTool) => price?.billOn.join(', ') },
        { title: 'RULE', value: ({ price }: ShownTool) => price?.name },
      ]
      showList(io, command, { rows, columns, none: `${name} has no tools.` })
    })
}

const targetOf = ({ url, command, args }: ShownServer['transport']): string =>
  url ?? [command, ...(args ?? [])].join(' ')

function addSwitch(
  server: Command,
  io: Io,
  given: { verb: string; status: string; description: string },
): void {
  server
    .command(`${given.verb} <name>`)
    .description(given.description)
    .addHelpText('after', examples(`server ${given.verb} weather`))
    .action(async (name: string, _options: object, command: Command) => {
      const answer = await clientOf(io, command).put(`/servers/${segment(name)}/status`, {
        status: given.status,
      })
      if (wantsJson(command)) io.out(JSON.stringify(answer ?? { name, status: given.status }))
      io.talk(`${name} is ${given.status}`)
    })
}

function addAdd(server: Command, io: Io): void {
  server
    .command('add <name> <target...>')
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
    .option('--header <name:value>', 'a fixed header for the server (repeatable)', collect)
    .option('--env <name=value>', "a variable of the command's environment (repeatable)", collect)
    .option('--cwd <path>', "the command's working folder")
    .option('--bearer <token>', 'credential: a bearer token; - reads it from standard input')
    .option('--basic <user:password>', 'credential: basic; - reads it from standard input')
    .option('--api-key-header <name=value>', 'credential: a header; - reads NAME=VALUE from standard input')
    .option(
      '--api-key-query <name=value>',
      'credential: a query parameter; - reads NAME=VALUE from standard input',
    )
    .addHelpText(
      'after',
      examples(
        'server add weather https://weather.example/mcp --access authenticated',
        'server add weather https://weather.example/mcp --bearer - < token',
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
        transport: transportOf(target, options),
        auth: await authOf(io, options),
      })
      const added = await clientOf(io, command).post<ShownServer>('/servers', body)
      showThing(io, command, added)
      io.talk(`Registered; try \`tollbridge server test ${name}\``)
    })
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

async function authOf(io: Io, options: AddOptions): Promise<Record<string, unknown> | undefined> {
  const given = [options.bearer, options.basic, options.apiKeyHeader, options.apiKeyQuery].filter(
    (value) => value !== undefined,
  )
  const [value] = given
  if (given.length > 1) throw new CliError('A server takes one credential.', 2)
  if (value === undefined) return undefined
  const secret = value === '-' ? (await io.readInput()).replace(/\r?\n$/, '') : value
  if (options.bearer !== undefined) return { type: 'bearer', token: secret }
  if (options.basic !== undefined) {
    const [username, password] = pair(secret, ':')
    return { type: 'basic', username, password }
  }
  const [name, keyValue] = pair(secret, '=')
  return {
    type: 'api-key',
    in: options.apiKeyHeader === undefined ? 'query' : 'header',
    name,
    value: keyValue,
  }
}

function placeOf(text: string): { in: string; name: string } {
  const [place, name] = pair(text, ':')
  return { in: place, name }
}

const pairs = (texts: readonly string[], by: string): Record<string, string> =>
  Object.fromEntries(texts.map((text) => pair(text, by)))

function pair(text: string, by: string): [string, string] {
  const at = text.indexOf(by)
  if (at < 1) throw new CliError(`Expected NAME${by}VALUE.`, 2)
  return [text.slice(0, at).trim(), text.slice(at + 1).trim()]
}
