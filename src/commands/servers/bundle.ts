// `bundle`: one endpoint over several servers.
import { Option, type Command } from 'commander'
import { CliError, confirm, type Io } from '../io.ts'
import { clientOf, collect, compact, examples, segment, showList, showThing } from '../show.ts'

interface AddOptions {
  readonly description?: string
  readonly access?: string
  readonly account?: string
  readonly include?: string[]
  readonly exclude?: string[]
  readonly rename?: string[]
}

interface Member {
  readonly server: string
  readonly include?: string[]
  readonly exclude?: string[]
  readonly rename?: Record<string, string>
}

interface ShownBundle {
  readonly name: string
  readonly access: string
  readonly members: readonly Member[]
}

export function addBundleCommands(program: Command, io: Io): void {
  const bundle = program.command('bundle').description('one endpoint over several servers')
  bundle
    .command('add <name> <server...>')
    .description('make a bundle of servers')
    .option('--description <text>', 'what it is')
    .addOption(
      new Option('--access <level>', 'who may use it').choices(['private', 'authenticated', 'public']),
    )
    .option('--account <id>', 'pays for calls without a credential (public bundles)')
    .option('--include <server=glob>', 'show only these of a server (repeatable)', collect)
    .option('--exclude <server=glob>', 'do not show these of a server (repeatable)', collect)
    .option('--rename <server=old:new>', 'show a tool or prompt under another name (repeatable)', collect)
    .addHelpText(
      'after',
      examples(
        'bundle add travel weather maps --access authenticated',
        "bundle add travel weather maps --exclude 'maps=admin_*' --rename weather=get_forecast:forecast",
      ),
    )
    .action(async (name: string, servers: string[], options: AddOptions, command: Command) => {
      const { description, access, account } = options
      const body = compact({ name, description, access, account, members: membersOf(servers, options) })
      showThing(io, command, await clientOf(io, command).post('/bundles', body))
      io.talk(`Made; its endpoint is /mcp/${name}`)
    })
  addReading(bundle, io)
  bundle
    .command('rm <name>')
    .description('take a bundle away; its servers stay')
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', examples('bundle rm travel', 'bundle rm travel --yes'))
    .action(async (name: string, options: { yes?: boolean }, command: Command) => {
      const client = clientOf(io, command)
      await confirm(io, { what: `Remove the bundle ${name}`, name, yes: options.yes })
      await client.delete(`/bundles/${segment(name)}`)
      io.talk(`Removed ${name}`)
    })
}

function addReading(bundle: Command, io: Io): void {
  bundle
    .command('ls')
    .description('list the bundles that you may use')
    .addHelpText('after', examples('bundle ls', 'bundle ls --json'))
    .action(async (_options: object, command: Command) => {
      const rows = await clientOf(io, command).list<ShownBundle>('/bundles')
      const columns = [
        { title: 'NAME', value: (row: ShownBundle) => row.name },
        { title: 'ACCESS', value: (row: ShownBundle) => row.access },
        {
          title: 'SERVERS',
          value: ({ members }: ShownBundle) => members.map(({ server }) => server).join(', '),
        },
      ]
      showList(io, command, { rows, columns, none: 'No bundle yet; make one with `tollbridge bundle add`.' })
    })
  bundle
    .command('show <name>')
    .description('show a bundle')
    .addHelpText('after', examples('bundle show travel'))
    .action(async (name: string, _options: object, command: Command) =>
      showThing(io, command, await clientOf(io, command).get(`/bundles/${segment(name)}`)),
    )
}

function membersOf(servers: readonly string[], { include, exclude, rename }: AddOptions): Member[] {
  const included = byServer(servers, include, '--include')
  const excluded = byServer(servers, exclude, '--exclude')
  const renamed = byServer(servers, rename, '--rename')
  return servers.map((server) => {
    const own = { include: included.get(server), exclude: excluded.get(server) }
    const names = renamed.get(server)?.map((text) => split(text, ':', 'SERVER=OLD:NEW'))
    return {
      server,
      ...(own.include && { include: own.include }),
      ...(own.exclude && { exclude: own.exclude }),
      ...(names && { rename: Object.fromEntries(names) }),
    }
  })
}

/** `SERVER=TEXT` options by server; a server that is not in the bundle is a mistake. */
function byServer(
  servers: readonly string[],
  texts: readonly string[] = [],
  option: string,
): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const text of texts) {
    const [server, rest] = split(text, '=', 'SERVER=…')
    if (!servers.includes(server))
      throw new CliError(`${option} names ${server}, which is no server of the bundle.`, 2)
    found.set(server, [...(found.get(server) ?? []), rest])
  }
  return found
}

function split(text: string, by: string, shape: string): [string, string] {
  const at = text.indexOf(by)
  if (at < 1 || at === text.length - 1) throw new CliError(`Expected ${shape}, not "${text}".`, 2)
  return [text.slice(0, at), text.slice(at + 1)]
}
