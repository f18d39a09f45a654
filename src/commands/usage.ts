// `usage`: the records of calls and their sums.
import { Option, type Command } from 'commander'
import { CliError, type Io } from './io.ts'
import { clientOf, examples, segment, showList, showThing, wantsJson } from './show.ts'
import { formatFields, formatTable, type Column } from './table.ts'

const filters = [
  'user',
  'account',
  'key',
  'server',
  'tool',
  'method',
  'session',
  'outcome',
  'from',
  'to',
] as const
type Filters = Partial<Record<(typeof filters)[number], string>> & { callerKey?: string }

interface ShownRecord {
  readonly id: string
  readonly time: string
  readonly server: string
  readonly method: string
  readonly tool?: string
  readonly outcome: string
  readonly durationMs: number
  readonly cost: string
  readonly currency: string
}

interface Summary extends Record<string, unknown> {
  readonly groups: readonly Record<string, string | number>[]
}

/** `--key` is the credential of every command, so the filter by key has another name. */
function withFilters(command: Command): Command {
  for (const name of filters) {
    const flag = name === 'key' ? '--caller-key <key>' : `--${name} <${name}>`
    command.addOption(
      new Option(
        flag,
        name === 'from' || name === 'to' ? `${name} this time, ISO 8601` : `only this ${name}`,
      ),
    )
  }
  return command
}

const queryOf = ({ callerKey, ...rest }: Filters): Record<string, string | undefined> => ({
  ...Object.fromEntries(filters.map((name) => [name, rest[name]])),
  key: callerKey,
})

export function addUsageCommands(program: Command, io: Io): void {
  const usage = program.command('usage').description('calls and what they cost')
  withFilters(usage.command('ls').description('list records, newest first'))
    .option('-n, --limit <count>', 'how many', '50')
    .addHelpText(
      'after',
      examples('usage ls', 'usage ls --server weather --outcome tool_error -n 500 --json'),
    )
    .action(async (options: Filters & { limit: string }, command: Command) => {
      const limit = Number(options.limit)
      if (!Number.isSafeInteger(limit) || limit < 1)
        throw new CliError('--limit takes a whole number above 0.', 2)
      const rows = await clientOf(io, command).list<ShownRecord>('/billing/usage', queryOf(options), limit)
      showList(io, command, { rows, columns: recordColumns, none: 'No call is recorded that fits.' })
    })
  usage
    .command('show <id>')
    .description('show a record with its price')
    .addHelpText('after', examples('usage show use_01j…'))
    .action(async (id: string, _options: object, command: Command) =>
      showThing(io, command, await clientOf(io, command).get(`/billing/usage/${segment(id)}`)),
    )
  usage
    .command('payload <id>')
    .description('show what a call was asked and answered, where that is kept; for auditors')
    .addHelpText('after', examples('usage payload use_01j…', 'usage payload use_01j… --json'))
    .action(async (id: string, _options: object, command: Command) =>
      showThing(io, command, await clientOf(io, command).get(`/billing/usage/${segment(id)}/payload`)),
    )
  withFilters(usage.command('export').description('write records, oldest first, to standard output'))
    .addOption(
      new Option('--format <format>', 'what to write')
        .choices(['csv', 'jsonl', 'focus', 'cloudevents'])
        .default('csv'),
    )
    .addHelpText(
      'after',
      examples(
        'usage export > usage.csv',
        'usage export --format focus --from 2026-11-01T00:00:00Z > focus.csv',
      ),
    )
    .action(async (options: Filters & { format: string }, command: Command) => {
      const query = { ...queryOf(options), format: options.format }
      for await (const line of clientOf(io, command).lines('/billing/export', query)) io.out(line)
    })
  withFilters(usage.command('summary').description('sums over records'))
    .option('--group-by <names>', 'server,tool,method,user,account,key,outcome,currency,month,week,day,hour')
    .option('--time-zone <zone>', 'whose months, weeks, days and hours')
    .addHelpText(
      'after',
      examples('usage summary', 'usage summary --group-by server,tool --from 2026-11-01T00:00:00Z'),
    )
    .action(async (options: Filters & { groupBy?: string; timeZone?: string }, command: Command) => {
      const { groupBy, timeZone } = options
      const query = { ...queryOf(options), groupBy, timeZone }
      showSummary(io, command, await clientOf(io, command).get<Summary>('/billing/usage/summary', query))
    })
}

const recordColumns: readonly Column<ShownRecord>[] = [
  { title: 'TIME', value: ({ time }) => time },
  { title: 'ID', value: ({ id }) => id },
  { title: 'SERVER', value: ({ server }) => server },
  { title: 'CALL', value: ({ method, tool }) => (tool === undefined ? method : `${method} ${tool}`) },
  { title: 'OUTCOME', value: ({ outcome }) => outcome },
  { title: 'MS', align: 'right', value: ({ durationMs }) => durationMs },
  { title: 'COST', align: 'right', value: ({ cost }) => cost },
  { title: '', value: ({ currency }) => currency },
]

function showSummary(io: Io, command: Command, summary: Summary): void {
  if (wantsJson(command)) {
    showThing(io, command, summary)
    return
  }
  const { groups, ...totals } = summary
  io.out(formatFields(totals))
  const [first] = groups
  if (!first) return
  const numbers = new Set(['calls', 'failedCalls', 'unpricedCalls', 'cost', 'p50Ms', 'p95Ms'])
  const columns = Object.keys(first).map((name): Column<Record<string, string | number>> => ({
    title: name.replaceAll(/[A-Z]/g, ' $&').toUpperCase(),
    ...(numbers.has(name) && { align: 'right' }),
    value: (row) => row[name],
  }))
  io.out(`\n${formatTable(groups, columns)}`)
}
