// `limit`: how many calls may come in a time, and run at once, and how many bytes they may bring.
import { Option, type Command } from 'commander'
import { CliError, confirm, type Io } from '../io.ts'
import { clientOf, compact, examples, segment, showList, showThing, words } from '../show.ts'

interface ShownLimit {
  readonly id: string
  readonly name: string
  readonly match: Readonly<Record<string, string>>
  readonly per: readonly string[]
  readonly rate?: { readonly calls: number; readonly seconds: number; readonly burst: number }
  readonly bandwidth?: { readonly bytes: number; readonly seconds: number; readonly burst: number }
  readonly concurrent?: number
  readonly active: boolean
}

interface AddOptions {
  readonly rate?: string
  readonly burst?: string
  readonly bandwidth?: string
  readonly concurrent?: string
  readonly per?: string
  readonly server?: string
  readonly tool?: string
  readonly method?: string
  readonly user?: string
  readonly limitedKey?: string
  readonly account?: string
}

const secondsOf: Readonly<Record<string, number>> = { second: 1, minute: 60, hour: 3600, day: 86_400 }

export function addLimitCommands(program: Command, io: Io): void {
  const limit = program
    .command('limit')
    .description('limits of calls and bytes in a time, and of calls at once')
  addAdd(limit, io)
  limit
    .command('ls')
    .description('list the limits')
    .addHelpText('after', examples('limit ls'))
    .action(async (_options: object, command: Command) => {
      const rows = await clientOf(io, command).list<ShownLimit>('/limits')
      const columns = [
        { title: 'NAME', value: (row: ShownLimit) => row.name },
        {
          title: 'RATE',
          value: ({ rate }: ShownLimit) => (rate ? `${rate.calls} in ${rate.seconds} s` : '-'),
        },
        {
          title: 'BYTES',
          value: ({ bandwidth }: ShownLimit) =>
            bandwidth ? `${bandwidth.bytes} in ${bandwidth.seconds} s` : '-',
        },
        { title: 'AT ONCE', value: (row: ShownLimit) => String(row.concurrent ?? '-') },
        { title: 'PER', value: (row: ShownLimit) => row.per.join(',') || '-' },
        { title: 'MATCH', value: (row: ShownLimit) => words(row.match) || '-' },
        { title: 'ACTIVE', value: (row: ShownLimit) => (row.active ? 'yes' : 'no') },
      ]
      showList(io, command, { rows, columns, none: 'There is no limit.' })
    })
  limit
    .command('show <name>')
    .description('show a limit')
    .addHelpText('after', examples('limit show per-user'))
    .action(async (name: string, _options: object, command: Command) =>
      showThing(io, command, await clientOf(io, command).get(`/limits/${segment(name)}`)),
    )
  for (const [verb, active] of [
    ['enable', true],
    ['disable', false],
  ] as const)
    limit
      .command(`${verb} <name>`)
      .description(active ? 'let a limit count again' : 'let a limit rest')
      .addHelpText('after', examples(`limit ${verb} per-user`))
      .action(async (name: string, _options: object, command: Command) =>
        showThing(io, command, await clientOf(io, command).patch(`/limits/${segment(name)}`, { active })),
      )
  limit
    .command('rm <name>')
    .description('remove a limit')
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', examples('limit rm per-user --yes'))
    .action(async (name: string, options: { yes?: boolean }, command: Command) => {
      await confirm(io, { what: `Remove the limit ${name}`, name, yes: options.yes })
      await clientOf(io, command).delete(`/limits/${segment(name)}`)
      io.talk(`Removed ${name}`)
    })
}

function addAdd(limit: Command, io: Io): void {
  limit
    .command('add <name>')
    .description('make a limit')
    .option('--rate <calls/time>', 'such as 60/minute, 5/second, or 100/30 (seconds)')
    .option('--burst <calls>', 'how many may come at once (default: all of the rate)')
    .option(
      '--bandwidth <bytes/time>',
      'of requests and answers, such as 50MB/hour, 64KiB/second, or 4096/30',
    )
    .option('--concurrent <calls>', 'how many may run at once')
    .addOption(
      new Option(
        '--per <list>',
        'what is counted apart, of user, key, account, server, tool; none: all together',
      ).default('user'),
    )
    .option('--server <glob>', 'for these servers only')
    .option('--tool <glob>', 'for these tools only')
    .option('--method <glob>', 'for these methods only')
    .option('--user <id>', 'for this user only')
    .option('--limited-key <id>', 'for this API key only')
    .option('--account <id>', 'for this account only')
    .addHelpText(
      'after',
      examples(
        'limit add per-user --rate 60/minute',
        'limit add search --rate 5/second --burst 10 --tool "search*" --per user,tool',
        'limit add downloads --bandwidth 50MB/hour',
        'limit add slow-server --concurrent 4 --server reports --per none',
      ),
    )
    .action(async (name: string, options: AddOptions, command: Command) => {
      const { server, tool, method, user, limitedKey: key, account } = options
      const body = compact({
        name,
        match: compact({ server, tool, method, user, key, account }),
        per: options.per === 'none' ? [] : options.per?.split(',').map((one) => one.trim()),
        rate: options.rate === undefined ? undefined : rateOf(options.rate, options.burst),
        bandwidth: options.bandwidth === undefined ? undefined : bandwidthOf(options.bandwidth),
        concurrent: options.concurrent === undefined ? undefined : whole(options.concurrent, '--concurrent'),
      })
      showThing(io, command, await clientOf(io, command).post('/limits', body))
    })
}

const bytesOf: Readonly<Record<string, number>> = {
  '': 1,
  kb: 1000,
  mb: 1e6,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
}

const readSeconds = (time: string): number => secondsOf[time.replace(/s$/, '')] ?? Number(time || 'x')

function bandwidthOf(text: string): object {
  const [, count = '', unit = '', time = ''] = /^(\d{1,9})([a-z]*)\/(\w+)$/i.exec(text) ?? []
  const factor = bytesOf[unit.toLowerCase()]
  const seconds = readSeconds(time)
  if (factor === undefined || !Number.isInteger(seconds))
    throw new CliError('--bandwidth is like 50MB/hour, 64KiB/second, or 4096/30 (seconds).', 2)
  return { bytes: Number(count) * factor, seconds }
}

function rateOf(text: string, burst: string | undefined): object {
  const [, calls = '', time = ''] = /^(\d+)\/(\w+)$/.exec(text) ?? []
  const seconds = readSeconds(time)
  if (!Number.isInteger(seconds))
    throw new CliError('--rate is like 60/minute, 5/second, or 100/30 (seconds).', 2)
  return compact({
    calls: whole(calls, '--rate'),
    seconds,
    burst: burst === undefined ? undefined : whole(burst, '--burst'),
  })
}

function whole(text: string, option: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new CliError(`${option} takes a whole number.`, 2)
  return Number(text)
}
