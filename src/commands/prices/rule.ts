// `rule`: prices and which calls they are for.
import type { Command } from 'commander'
import { addSimulateCommand } from '../declared/commands.ts'
import { confirm, type Io } from '../io.ts'
import { addDraftCommands } from './rule-draft.ts'
import {
  bodyOf,
  idOf,
  ownCurrency,
  priceOf,
  withPrice,
  withRule,
  type RuleOptions,
  type ShownRule,
} from './rule-options.ts'
import { clientOf, compact, examples, segment, showList, showThing, words } from '../show.ts'

interface UsageOptions {
  readonly calls?: string
  readonly kb?: string
  readonly seconds?: string
  readonly tokens?: string
  readonly upstreamCost?: string
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
        { title: 'BOOK', value: (row: ShownRule) => row.book },
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
        "rule add packs --price 'package: { unit: call, size: 1000, price: 5, period: month, per: account }'",
      ),
    )
    .action(async (name: string, options: RuleOptions, command: Command) => {
      const client = clientOf(io, command)
      const currency = options.currency ?? (await ownCurrency(client))
      showThing(io, command, await client.post('/billing/rules', { ...bodyOf(options), name, currency }))
    })
  withRule(rule.command('set <rule>').description('change a rule; records keep the price they had'))
    .option('--name <name>', 'a new name')
    .option('--no-book', 'take it out of its price book')
    .addHelpText('after', examples('rule set basic --per-call 0.02', 'rule set basic --book gold'))
    .action(async (name: string, options: RuleOptions, command: Command) => {
      const id = await idOf(io, command, name)
      showThing(
        io,
        command,
        await clientOf(io, command).patch(`/billing/rules/${segment(id)}`, bodyOf(options)),
      )
    })
  addReading(rule, io)
  addDraftCommands(rule, io)
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
    .option('--tokens <count>', 'tokens')
    .option('--upstream-cost <amount>', 'what the calls cost the server')
    .option('--currency <code>', 'ISO 4217')
    .addHelpText(
      'after',
      examples(
        'rule quote --per-call 0.01 --per-kb 0.002 --calls 3 --kb 12.5',
        'rule quote --price @tiers.yaml --calls 12000',
      ),
    )
    .action(async (options: RuleOptions & UsageOptions, command: Command) => {
      const { calls, kb, seconds, tokens, upstreamCost, currency } = options
      const body = compact({
        price: priceOf(options) ?? {},
        usage: compact({ calls, kb, seconds, tokens, upstreamCost }),
        currency,
      })
      showThing(io, command, await clientOf(io, command).post('/billing/quote', body))
    })
}
