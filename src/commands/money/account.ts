// `account`: balances, grants, the tree of accounts, and whether an account has to be funded.
import { Argument, type Command } from 'commander'
import type { Io } from '../io.ts'
import { accountIdOf } from './account-id.ts'
import { addStatementCommands } from './statement.ts'
import { clientOf, compact, examples, segment, showList, showThing } from '../show.ts'

interface ShownAccount {
  readonly id: string
  readonly name?: string
  readonly kind?: string
  readonly parentId?: string
  readonly mode: string
  readonly currency: string
  readonly balance: string
  readonly held?: string
  readonly spent?: string
}

export function addAccountCommands(program: Command, io: Io): void {
  const account = program.command('account').description('accounts that pay for calls')
  account
    .command('ls')
    .description('list accounts')
    .option('--parent <account>', 'only the children of this one, by id or name')
    .addHelpText('after', examples('account ls', 'account ls --parent engineering'))
    .action(async (options: { parent?: string }, command: Command) => {
      const parent = options.parent && (await accountIdOf(io, command, options.parent))
      const rows = await clientOf(io, command).list<ShownAccount>('/billing/accounts', { parent })
      const columns = [
        { title: 'ID', value: (row: ShownAccount) => row.id },
        { title: 'NAME', value: (row: ShownAccount) => row.name },
        { title: 'KIND', value: (row: ShownAccount) => row.kind },
        { title: 'MODE', value: (row: ShownAccount) => row.mode },
        { title: 'BALANCE', align: 'right' as const, value: (row: ShownAccount) => row.balance },
        { title: 'HELD', align: 'right' as const, value: (row: ShownAccount) => row.held },
        { title: 'SPENT', align: 'right' as const, value: (row: ShownAccount) => row.spent },
        { title: '', value: (row: ShownAccount) => row.currency },
      ]
      showList(io, command, { rows, columns, none: 'No account that you may see.' })
    })
  account
    .command('show [account]')
    .description('show an account, by id or name; your own without one')
    .addHelpText('after', examples('account show', 'account show ann'))
    .action(async (name: string | undefined, _options: object, command: Command) => {
      const id = await accountIdOf(io, command, name)
      showThing(io, command, await clientOf(io, command).get(`/billing/accounts/${segment(id)}`))
    })
  account
    .command('grant <account> <amount>')
    .description('add credit to an account')
    .option('--priority <number>', 'lower burns first')
    .option('--starts <time>', 'when it can be spent first, ISO 8601')
    .option('--expires <time>', 'when it ends, ISO 8601')
    .option('--reason <text>', 'why, for the statement')
    .addHelpText(
      'after',
      examples(
        'account grant ann 25.00',
        "account grant ann 5 --reason 'welcome' --expires 2027-01-01T00:00:00Z",
      ),
    )
    .action(async (name: string, amount: string, options: Record<string, string>, command: Command) => {
      const id = await accountIdOf(io, command, name)
      const priority = options['priority'] === undefined ? undefined : Number(options['priority'])
      const { starts: startsAt, expires: expiresAt, reason } = options
      const body = compact({ amount, priority, startsAt, expiresAt, reason })
      showThing(
        io,
        command,
        await clientOf(io, command).post(`/billing/accounts/${segment(id)}/grants`, body),
      )
    })
  account
    .command('adjust <account> <amount>')
    .description('correct a balance; a negative amount takes')
    .requiredOption('--reason <text>', 'why, for the statement')
    .option('--record <id>', 'the usage record that is put right')
    .addHelpText(
      'after',
      examples(
        "account adjust ann 2.50 --reason 'the server was down' --record use_01j…",
        "account adjust ann --reason 'counted twice' -- -0.01",
      ),
    )
    .action(async (name: string, amount: string, options: Record<string, string>, command: Command) => {
      const id = await accountIdOf(io, command, name)
      const body = compact({ amount, reason: options['reason'], record: options['record'] })
      const path = `/billing/accounts/${segment(id)}/adjustments`
      showThing(io, command, await clientOf(io, command).post(path, body))
    })
  account
    .command('mode <account>')
    .addArgument(
      new Argument('<mode>', 'prepaid has a hard balance; postpaid is only metered').choices([
        'prepaid',
        'postpaid',
      ]),
    )
    .description('choose whether an account has to be funded')
    .addHelpText('after', examples('account mode ann prepaid'))
    .action(async (name: string, mode: string, _options: object, command: Command) => {
      const id = await accountIdOf(io, command, name)
      showThing(io, command, await clientOf(io, command).patch(`/billing/accounts/${segment(id)}`, { mode }))
    })
  addTreeCommands(account, io)
  addBookOption(account, io)
  addStatementCommands(account, io)
}

function addTreeCommands(account: Command, io: Io): void {
  account
    .command('create')
    .description("make an organisation's or a team's account")
    .addArgument(new Argument('<kind>', 'where it stands in the tree').choices(['organisation', 'team']))
    .argument('<name>', 'what to call it')
    .option('--parent <account>', 'whom it is under, by id or name')
    .option('--mode <mode>', 'prepaid or postpaid')
    .option('--currency <code>', 'ISO 4217; cannot be changed')
    .option('--time-zone <zone>', 'of its billing periods')
    .addHelpText(
      'after',
      examples('account create organisation acme', 'account create team engineering --parent acme'),
    )
    .action(async (kind: string, name: string, options: Record<string, string>, command: Command) => {
      const { parent, mode, currency, timeZone } = options
      const parentId = parent === undefined ? undefined : await accountIdOf(io, command, parent)
      const body = compact({ kind, name, parentId, mode, currency, timeZone })
      showThing(io, command, await clientOf(io, command).post('/billing/accounts', body))
    })
  account
    .command('move <account> [parent]')
    .description('put an account, with all below it, under another; without one, make it a root')
    .addHelpText('after', examples('account move ann engineering', 'account move ann'))
    .action(async (name: string, parent: string | undefined, _options: object, command: Command) => {
      const id = await accountIdOf(io, command, name)
      const parentId = parent === undefined ? null : await accountIdOf(io, command, parent)
      showThing(
        io,
        command,
        await clientOf(io, command).patch(`/billing/accounts/${segment(id)}`, { parentId }),
      )
    })
}

function addBookOption(account: Command, io: Io): void {
  account
    .command('book <account> [book]')
    .description(
      'give an account a price book of its own, or with --plan that of its plan; none takes it away',
    )
    .option('--plan', "the plan's instead of its own")
    .addHelpText(
      'after',
      examples('account book ann acme', 'account book ann gold --plan', 'account book ann'),
    )
    .action(async (name: string, book: string | undefined, options: { plan?: boolean }, command: Command) => {
      const id = await accountIdOf(io, command, name)
      const body = { [options.plan ? 'plan' : 'priceBook']: book ?? null }
      showThing(io, command, await clientOf(io, command).patch(`/billing/accounts/${segment(id)}`, body))
    })
}
