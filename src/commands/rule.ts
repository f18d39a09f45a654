// `rule`: prices and which calls they are for.
import { Option, type Command } from 'commander'
import type { ApiClient } from './client.ts'
import { addSimulateCommand } from './declared/commands.ts'
import { CliError, confirm, type Io } from './io.ts'
import { clientOf, compact, examples, segment, showList, showThing, words } from './show.ts'

const matchNames = ['server', 'tool', 'method', 'user', 'account', 'transport'] as const
const priceNames = ['perCall', 'perKb', 'perSecond', 'perToken', 'flat', 'minimum', 'maximum'] as const

type RuleOptions = Partial<Record<(typeof matchNames)[number] | (typeof priceNames)[number], string>> & {
  readonly name?: string
  readonly priority?: string
  readonly currency?: string
  readonly billOn?: string
  readonly active?: boolean
  readonly effectiveFrom?: string
  readonly effectiveTo?: string
}

interface ShownRule {
  readonly id: string
  readonly name: string
  readonly version: number
  readonly priority: number
  readonly active: boolean
  readonly currency: string
  readonly match: Readonly<Record<string, string>>
  readonly price: Readonly<Record<string, string>>
}

const dashed = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

function withPrice(command: Command): Command {
  for (const name of priceNames)
    command.addOption(new Option(`--${dashed(name)} <amount>`, 'a decimal amount'))
  return command
}

function withMatch(command: Command): Command {
  for (const name of matchNames) command.addOption(new Option(`--${name} <glob>`, `which ${name}`))
  return command
}

const withRule = (command: Command): Command =>
  withPrice(withMatch(command))
    .option('--priority <number>', 'higher wins')
    .option('--currency <code>', "ISO 4217; a new rule takes your account's where it is absent")
    .option('--bill-on <outcomes>', 'which outcomes are charged, comma separated')
    .option('--active', 'switch it on')
    .option('--no-active', 'switch it off')
    .option('--effective-from <time>', 'ISO 8601')
    .option('--effective-to <time>', 'ISO 8601')

const pick = (
  names: readonly (keyof RuleOptions)[],
  options: RuleOptions,
): Record<string, unknown> | undefined => {
  const members = compact(Object.fromEntries(names.map((name) => [name, options[name]])))
  return Object.keys(members).length > 0 ? members : undefined
}

function bodyOf(options: RuleOptions): Record<string, unknown> {
  const priority = options.priority === undefined ? undefined : Number(options.priority)
  if (priority !== undefined && !Number.isSafeInteger(priority)) {
    throw new CliError('--priority takes a whole number.', 2)
  }
  return compact({
    name: options.name,
    priority,
    active: options.active,
    currency: options.currency,
    match: pick(matchNames, options),
    price: pick(priceNames, options),
    billOn: options.billOn?.split(',').map((outcome) => outcome.trim()),
    effectiveFrom: options.effectiveFrom,
    effectiveTo: options.effectiveTo,
  })
}

export function addRuleCommands(program: Command, io: Io): void {
  const rule = program.command('rule').description('prices')
  rule
    .command('ls')
    .description('list rules')
    .addHelpText('after', examples('rule ls'))
    .action(async (_options: object, command: Command) => {
      const rows = await clientOf(io, command).list<ShownRule>('/billing/rules')
      const columns = [
        { title: 'NAME', value: (row: ShownRule) => row.name },
        { title: 'ID', value: (row: ShownRule) => row.id },
        { title: 'V', align: 'right' as const, value: (row: ShownRule) => row.version },
        { title: 'PRIORITY', align: 'right' as const, value: (row: ShownRule) => row.priority },
        { title: 'ACTIVE', value: (row: ShownRule) => row.active },
        { title: 'MATCH', value: (row: ShownRule) => words(row.match) || 'everything' },
        { title: 'PRICE', value: (row: ShownRule) => `${words(row.price)} ${row.currency}` },
      ]
      showList(io, command, {
        rows,
        columns,
        none: 'No rule yet, so calls are unpriced; add one with `tollbridge rule add`.',
      })
    })
  withRule(rule.command('add <name>').description('add a rule'))
    .addHelpText(
      'after',
      examples(
        'rule add basic --server weather --per-call 0.01',
        "rule add search --tool 'search*' --per-kb 0.002 --minimum 0.01",
      ),
    )
    .action(async (name: string, options: RuleOptions, command: Command) => {
      const client = clientOf(io, command)
      const currency = options.currency ?? (await ownCurrency(client))
      showThing(io, command, await client.post('/billing/rules', { ...bodyOf(options), name, currency }))
    })
  withRule(rule.command('set <rule>').description('change a rule; records keep the price they had'))
    .option('--name <name>', 'a new name')
    .addHelpText('after', examples('rule set basic --per-call 0.02'))
    .action(async (name: string, options: RuleOptions, command: Command) => {
      const id = await idOf(io, command, name)
      showThing(
        io,
        command,
        await clientOf(io, command).patch(`/billing/rules/${segment(id)}`, bodyOf(options)),
      )
    })
  addReading(rule, io)
  addSimulateCommand(rule, io)
}

function addReading(rule: Command, io: Io): void {
  rule
    .command('show <rule>')
    .description('show a rule')
    .addHelpText('after', examples('rule show basic'))
    .action(async (name: string, _options: object, command: Command) => {
      const id = await idOf(io, command, name)
      showThing(io, command, await clientOf(io, command).get(`/billing/rules/${segment(id)}`))
    })
  rule
    .command('rm <rule>')
    .description('end a rule; records keep its price')
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', examples('rule rm basic --yes'))
    .action(async (name: string, options: { yes?: boolean }, command: Command) => {
      const id = await idOf(io, command, name)
      await confirm(io, { what: `Remove the rule ${name}`, name, yes: options.yes })
      await clientOf(io, command).delete(`/billing/rules/${segment(id)}`)
      io.talk(`Removed ${name}`)
    })
  rule
    .command('explain')
    .description('which rule prices a call, and why the others do not')
    .requiredOption('--server <name>', 'the server')
    .option('--method <method>', 'the method', 'tools/call')
    .option('--tool <name>', 'the tool')
    .option('--user <id>', 'for this user')
    .option('--at <time>', 'at this time, ISO 8601')
    .addHelpText('after', examples('rule explain --server weather --tool forecast'))
    .action(async (options: Record<string, string>, command: Command) => {
      const { server, method, tool, user, at } = options
      const body = compact({ server, method, tool, userId: user, at })
      showThing(io, command, await clientOf(io, command).post('/billing/explain', body))
    })
  withPrice(rule.command('quote').description('what usage would cost at a price; nothing is stored'))
    .option('--calls <count>', 'calls')
    .option('--kb <amount>', 'kilobytes')
    .option('--seconds <amount>', 'seconds')
    .option('--currency <code>', 'ISO 4217')
    .addHelpText('after', examples('rule quote --per-call 0.01 --per-kb 0.002 --calls 3 --kb 12.5'))
    .action(
      async (options: RuleOptions & { calls?: string; kb?: string; seconds?: string }, command: Command) => {
        const { calls, kb, seconds, currency } = options
        const body = compact({
          price: pick(priceNames, options) ?? {},
          usage: compact({ calls, kb, seconds }),
          currency,
        })
        showThing(io, command, await clientOf(io, command).post('/billing/quote', body))
      },
    )
}

/** The currency of the account that the caller pays from; a rule prices calls of its own currency only. */
async function ownCurrency(client: ApiClient): Promise<string> {
  const { accountId } = await client.get<{ accountId: string }>('/me')
  const account = await client.get<{ currency: string }>(`/billing/accounts/${segment(accountId)}`)
  return account.currency
}

async function idOf(io: Io, command: Command, name: string): Promise<string> {
  if (name.startsWith('rul_')) return name
  const found = (await clientOf(io, command).list<ShownRule>('/billing/rules')).filter(
    (rule) => rule.name === name,
  )
  const [only] = found
  if (!only) throw new CliError(`There is no rule "${name}"; \`tollbridge rule ls\` lists them.`)
  if (found.length > 1) throw new CliError(`${found.length} rules are called "${name}"; name one by its id.`)
  return only.id
}
