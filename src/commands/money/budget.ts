// `budget`: limits on what accounts, users, keys, sessions and servers may spend.
import { Argument, Option, type Command } from 'commander'
import { CliError, confirm, type Io } from '../io.ts'
import { clientOf, compact, examples, segment, showList, showThing, words } from '../show.ts'

const scopes = ['account', 'user', 'key', 'session', 'server'] as const

interface ShownBudget {
  readonly id: string
  readonly name?: string
  readonly scope: Readonly<Record<string, string>>
  readonly amount: string
  readonly unit: string
  readonly currency?: string
  readonly window: string | { readonly rollingSeconds: number }
  readonly mode: string
  readonly spent: string
  readonly remaining: string
  readonly state: string
}

interface BudgetOptions {
  readonly name?: string
  readonly amount?: string
  readonly unit?: string
  readonly currency?: string
  readonly window?: string
  readonly timeZone?: string
  readonly mode?: string
  readonly thresholds?: string
}

const modeOption = () =>
  new Option('--mode <mode>', 'hard refuses calls; soft and shadow only raise events').choices([
    'hard',
    'soft',
    'shadow',
  ])

/** `day`, `week`, `month`, `lifetime`, or a number of seconds. */
export const readWindow = (text: string): unknown =>
  /^\d+$/.test(text) ? { rollingSeconds: Number(text) } : text

const readThresholds = (text: string | undefined): string[] | undefined =>
  text === undefined ? undefined : text.split(',').flatMap((part) => part.trim() || [])

export function addBudgetCommands(program: Command, io: Io): void {
  const budget = program.command('budget').description('limits on spending, and on the number of calls')
  addReading(budget, io)
  addWriting(budget, io)
}

function addReading(budget: Command, io: Io): void {
  budget
    .command('ls')
    .description('list budgets with what is left of them')
    .addHelpText('after', examples('budget ls'))
    .action(async (_options: object, command: Command) => {
      const rows = await clientOf(io, command).list<ShownBudget>('/billing/budgets')
      const columns = [
        { title: 'ID', value: (row: ShownBudget) => row.id },
        { title: 'NAME', value: (row: ShownBudget) => row.name },
        { title: 'SCOPE', value: (row: ShownBudget) => words(row.scope) },
        { title: 'WINDOW', value: windowText },
        { title: 'MODE', value: (row: ShownBudget) => row.mode },
        { title: 'AMOUNT', align: 'right' as const, value: (row: ShownBudget) => row.amount },
        { title: 'SPENT', align: 'right' as const, value: (row: ShownBudget) => row.spent },
        { title: 'LEFT', align: 'right' as const, value: (row: ShownBudget) => row.remaining },
        { title: '', value: (row: ShownBudget) => row.currency ?? row.unit },
        { title: 'STATE', value: (row: ShownBudget) => row.state },
      ]
      showList(io, command, {
        rows,
        columns,
        none: 'No budget yet; make one with `tollbridge budget create`.',
      })
    })
  budget
    .command('show <budget>')
    .description('show a budget, by id or name')
    .option('--subject <id>', 'whose figures, of a budget for each')
    .addHelpText('after', examples('budget show ann-daily', 'budget show per-key --subject key_01j…'))
    .action(async (name: string, options: { subject?: string }, command: Command) => {
      const id = await idOf(io, command, name)
      const { subject } = options
      showThing(io, command, await clientOf(io, command).get(`/billing/budgets/${segment(id)}`, { subject }))
    })
}

function addWriting(budget: Command, io: Io): void {
  budget
    .command('create')
    .description('make a budget; what was spent earlier in its window counts')
    .addArgument(new Argument('<scope>', 'whose calls count').choices(scopes))
    .argument('<subject>', 'an id or a name; * for each on its own (not of accounts)')
    .argument('<amount>', 'a decimal amount')
    .option('--window <window>', 'day, week, month, lifetime, or a number of seconds that rolls', 'month')
    .option('--name <name>', 'what to call it')
    .addOption(modeOption())
    .addOption(new Option('--unit <unit>', 'what it bounds').choices(['money', 'calls']).default('money'))
    .option('--currency <code>', "ISO 4217; the account's or the configured one where it is absent")
    .option('--time-zone <zone>', "of the window's days")
    .option('--thresholds <parts>', 'when events are raised, comma separated', '0.5,0.8,1')
    .addHelpText(
      'after',
      examples(
        'budget create account engineering 500 --name engineering',
        'budget create user ann 5 --window day --time-zone Europe/Berlin',
        "budget create session '*' 0.50 --window lifetime",
        "budget create key '*' 1000 --unit calls --window day",
        'budget create server search 10 --window 3600 --mode shadow',
      ),
    )
    .action(
      async (
        ...given: [scope: string, subject: string, amount: string, options: BudgetOptions, command: Command]
      ) => {
        const [scope, subject, amount, options, command] = given
        const { name, mode, unit, currency, timeZone } = options
        const body = compact({
          scope: { [scope]: subject },
          amount,
          window: readWindow(options.window ?? 'month'),
          name,
          mode,
          unit,
          currency,
          timeZone,
          thresholds: readThresholds(options.thresholds),
        })
        showThing(io, command, await clientOf(io, command).post('/billing/budgets', body))
      },
    )
  budget
    .command('change <budget>')
    .description("change a budget's name, amount, mode or thresholds")
    .option('--name <name>', 'a new name')
    .option('--amount <amount>', 'a decimal amount')
    .addOption(modeOption())
    .option('--thresholds <parts>', 'comma separated')
    .addHelpText('after', examples('budget change engineering --amount 800'))
    .action(async (name: string, options: BudgetOptions, command: Command) => {
      const id = await idOf(io, command, name)
      const body = compact({ ...options, thresholds: readThresholds(options.thresholds) })
      showThing(io, command, await clientOf(io, command).patch(`/billing/budgets/${segment(id)}`, body))
    })
  budget
    .command('increase <budget> <amount>')
    .description('raise a budget until a time')
    .requiredOption('--until <time>', 'when it ends, ISO 8601')
    .addHelpText('after', examples('budget increase engineering 100 --until 2027-01-01T00:00:00Z'))
    .action(async (name: string, amount: string, { until }: { until: string }, command: Command) => {
      const id = await idOf(io, command, name)
      const path = `/billing/budgets/${segment(id)}/increase`
      showThing(io, command, await clientOf(io, command).post(path, { amount, until }))
    })
  budget
    .command('rm <budget>')
    .alias('delete')
    .description('remove a budget')
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', examples('budget rm engineering --yes'))
    .action(async (name: string, options: { yes?: boolean }, command: Command) => {
      const id = await idOf(io, command, name)
      await confirm(io, { what: `Remove the budget ${name}`, name, yes: options.yes })
      await clientOf(io, command).delete(`/billing/budgets/${segment(id)}`)
      io.talk(`Removed ${name}`)
    })
}

const windowText = ({ window }: ShownBudget): string =>
  typeof window === 'string' ? window : `${window.rollingSeconds} s`

async function idOf(io: Io, command: Command, name: string): Promise<string> {
  if (name.startsWith('bud_')) return name
  const found = (await clientOf(io, command).list<ShownBudget>('/billing/budgets')).filter(
    (each) => each.name === name,
  )
  const [only] = found
  if (!only) throw new CliError(`There is no budget "${name}"; \`tollbridge budget ls\` lists them.`)
  if (found.length > 1)
    throw new CliError(`${found.length} budgets are called "${name}"; name one by its id.`)
  return only.id
}
