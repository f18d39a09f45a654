// `access`: who may use which tools, prompts and resources.
import { Option, type Command } from 'commander'
import { CliError, confirm, type Io } from '../io.ts'
import { clientOf, compact, examples, segment, showList, showThing, wantsJson, words } from '../show.ts'

interface ShownRule {
  readonly name: string
  readonly priority: number
  readonly effect: string
  readonly who?: Readonly<Record<string, readonly string[]>>
  readonly server: string
  readonly kind?: string
  readonly item: string
  readonly from?: string
  readonly until?: string
  readonly active: boolean
}

interface Explanation {
  readonly allowed: boolean
  readonly decidedBy: ShownRule | null
  readonly tested: readonly { readonly rule: string; readonly matches: boolean; readonly mismatch?: string }[]
}

interface AddOptions {
  readonly server?: string
  readonly kind?: string
  readonly item?: string
  readonly users?: string
  readonly keys?: string
  readonly roles?: string
  readonly groups?: string
  readonly priority?: string
  readonly from?: string
  readonly until?: string
  readonly note?: string
  readonly arguments?: string
}

function jsonOf(text: string, option: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new CliError(`${option} must be JSON.`, 2)
  }
}

const list = (text: string | undefined): string[] | undefined => text?.split(',').map((one) => one.trim())

export function addAccessCommands(program: Command, io: Io): void {
  const access = program.command('access').description('who may use which tools, prompts and resources')
  access
    .command('ls')
    .description('list the rules in the order in which they decide')
    .addHelpText('after', examples('access ls'))
    .action(async (_options: object, command: Command) => {
      const rows = await clientOf(io, command).list<ShownRule>('/access-rules')
      const columns = [
        { title: 'PRIORITY', value: (row: ShownRule) => String(row.priority) },
        { title: 'NAME', value: (row: ShownRule) => row.name },
        { title: 'EFFECT', value: (row: ShownRule) => row.effect },
        { title: 'SERVER', value: (row: ShownRule) => row.server },
        { title: 'KIND', value: (row: ShownRule) => row.kind ?? 'all' },
        { title: 'ITEM', value: (row: ShownRule) => row.item },
        { title: 'WHO', value: ({ who }: ShownRule) => (who ? words(who) : 'everybody') },
        { title: 'ACTIVE', value: (row: ShownRule) => (row.active ? 'yes' : 'no') },
      ]
      showList(io, command, {
        rows,
        columns,
        none: 'There is no access rule: who may use a server may use all of it.',
      })
    })
  addAdd(access, io)
  addExplain(access, io)
  access
    .command('show <name>')
    .description('show a rule')
    .addHelpText('after', examples('access show no-deletes'))
    .action(async (name: string, _options: object, command: Command) =>
      showThing(io, command, await clientOf(io, command).get(`/access-rules/${segment(name)}`)),
    )
  access
    .command('rm <name>')
    .description('remove a rule')
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', examples('access rm no-deletes --yes'))
    .action(async (name: string, options: { yes?: boolean }, command: Command) => {
      await confirm(io, { what: `Remove the access rule ${name}`, name, yes: options.yes })
      await clientOf(io, command).delete(`/access-rules/${segment(name)}`)
      io.talk(`Removed ${name}`)
    })
}

function addAdd(access: Command, io: Io): void {
  access
    .command('add <effect> <name>')
    .description('make a rule: allow or deny; the first one that matches decides')
    .option('--server <glob>', 'of these servers (default: all)')
    .addOption(new Option('--kind <kind>', 'of this kind only').choices(['tool', 'prompt', 'resource']))
    .option('--item <glob>', "the server's own names of tools and prompts, or URIs (default: all)")
    .option('--users <ids>', 'for these users')
    .option('--keys <ids>', 'for these API keys')
    .option('--roles <roles>', 'for those with one of these roles')
    .option('--groups <names>', 'for members of these groups')
    .option('--arguments <schema>', 'of tools: calls with arguments that fit this JSON Schema')
    .option('--priority <number>', 'its place; lower ones decide first (default: 100)')
    .option('--from <time>', 'from then on')
    .option('--until <time>', 'until then')
    .option('--note <text>', 'why')
    .addHelpText(
      'after',
      examples(
        'access add deny no-deletes --server crm --kind tool --item "delete*"',
        'access add allow admins-delete --server crm --item "delete*" --roles admin --priority 10',
        `access add allow small --kind tool --item pay --arguments '{"properties":{"amount":{"type":"number","maximum":100}}}'`,
      ),
    )
    .action(async (effect: string, name: string, options: AddOptions, command: Command) => {
      if (effect !== 'allow' && effect !== 'deny') throw new CliError('The effect is allow or deny.', 2)
      const { users, keys, roles, priority, server, kind, item, from, until, note } = options
      const who = compact({
        users: list(users),
        keys: list(keys),
        roles: list(roles),
        groups: list(options.groups),
      })
      const body = compact({
        name,
        effect,
        server,
        kind,
        item,
        from,
        until,
        note,
        who: Object.keys(who).length > 0 ? who : undefined,
        arguments: options.arguments === undefined ? undefined : jsonOf(options.arguments, '--arguments'),
        priority: priority === undefined ? undefined : Number(priority),
      })
      showThing(io, command, await clientOf(io, command).post('/access-rules', body))
    })
}

function addExplain(access: Command, io: Io): void {
  access
    .command('explain <server> <item>')
    .description('say whether a user may use something, and which rule decides')
    .requiredOption('--user <id>', 'who')
    .addOption(
      new Option('--kind <kind>', 'what it is').choices(['tool', 'prompt', 'resource']).default('tool'),
    )
    .option('--arguments <json>', 'those of a call (default: whether it is listed)')
    .option('--with <key>', 'with this API key, by id')
    .addHelpText('after', examples('access explain crm delete_customer --user usr_01j…'))
    .action(
      async (
        server: string,
        item: string,
        options: { user: string; kind: string; with?: string; arguments?: string },
        command: Command,
      ) => {
        const given = options.arguments === undefined ? undefined : jsonOf(options.arguments, '--arguments')
        const body = compact({
          user: options.user,
          server,
          item,
          kind: options.kind,
          key: options.with,
          arguments: given,
        })
        const told = await clientOf(io, command).post<Explanation>('/access-rules/explain', body)
        if (wantsJson(command)) return showThing(io, command, told)
        for (const { rule, matches, mismatch } of told.tested)
          io.out(matches ? `${rule}: matches` : `${rule}: does not match (${mismatch})`)
        const why = told.decidedBy ? `by ${told.decidedBy.name}` : 'since no rule matches'
        io.out(`${told.allowed ? 'Allowed' : 'Denied'} ${why}.`)
      },
    )
}
