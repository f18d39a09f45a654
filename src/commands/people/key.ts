// `key`: API keys.
import type { Command } from 'commander'
import { readWindow } from '../money/budget.ts'
import { CliError, confirm, type Io } from '../io.ts'
import { clientOf, compact, examples, segment, showList, showThing, wantsJson } from '../show.ts'

interface ShownKey {
  readonly id: string
  readonly name: string
  readonly prefix?: string
  readonly createdAt?: string
  readonly expiresAt?: string | null
  readonly lastUsedAt?: string | null
  readonly suspendedBy?: string
}

interface NewKey extends ShownKey {
  readonly key: string
}

export function addKeyCommands(program: Command, io: Io): void {
  const key = program.command('key').description('API keys')
  key
    .command('create <name>')
    .description('make a key; it is shown once')
    .option('--expires <time>', 'when it ends, ISO 8601')
    .option('--servers <names>', 'servers it is limited to, comma separated')
    .option('--budget <amount>', 'what it may spend')
    .option('--window <window>', 'of its budget: day, week, month, lifetime, or a number of seconds', 'month')
    .addHelpText(
      'after',
      examples(
        'key create laptop',
        'key create ci --expires 2027-01-01T00:00:00Z --servers weather',
        'key create agent --budget 5 --window day',
      ),
    )
    .action(
      async (
        name: string,
        options: Record<'expires' | 'servers' | 'budget' | 'window', string | undefined>,
        command: Command,
      ) => {
        const servers = options.servers?.split(',').map((each) => each.trim())
        const made = await clientOf(io, command).post<NewKey>(
          '/keys',
          compact({ name, expiresAt: options.expires, servers, budget: budgetOf(options) }),
        )
        showNew(io, command, made)
      },
    )
  key
    .command('ls')
    .description('list keys')
    .addHelpText('after', examples('key ls'))
    .action(async (_options: object, command: Command) => {
      const rows = await clientOf(io, command).list<ShownKey>('/keys')
      const columns = [
        { title: 'ID', value: (row: ShownKey) => row.id },
        { title: 'NAME', value: (row: ShownKey) => row.name },
        { title: 'PREFIX', value: (row: ShownKey) => row.prefix },
        { title: 'CREATED', value: (row: ShownKey) => row.createdAt },
        { title: 'EXPIRES', value: (row: ShownKey) => row.expiresAt ?? 'never' },
        { title: 'LAST USED', value: (row: ShownKey) => row.lastUsedAt ?? 'never' },
        { title: '', value: (row: ShownKey) => (row.suspendedBy === undefined ? '' : 'suspended') },
      ]
      showList(io, command, {
        rows,
        columns,
        none: 'No key yet; make one with `tollbridge key create NAME`.',
      })
    })
  key
    .command('rotate <key>')
    .description('give a key a new secret')
    .option('--overlap <seconds>', 'how long the old one works beside it', '0')
    .addHelpText('after', examples('key rotate laptop', 'key rotate laptop --overlap 3600'))
    .action(async (name: string, options: { overlap: string }, command: Command) => {
      const overlapSeconds = Number(options.overlap)
      if (!Number.isSafeInteger(overlapSeconds)) throw new CliError('--overlap takes whole seconds.', 2)
      const id = await idOf(io, command, name)
      showNew(
        io,
        command,
        await clientOf(io, command).post(`/keys/${segment(id)}/rotate`, { overlapSeconds }),
      )
    })
  addSuspension(key, io, {
    verb: 'suspend',
    suspended: true,
    description: 'keep a key from being used, at once',
  })
  addSuspension(key, io, {
    verb: 'resume',
    suspended: false,
    description: 'let a suspended key be used again',
  })
  key
    .command('rm <key>')
    .description('revoke a key, at once')
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', examples('key rm laptop', 'key rm key_01j… --yes'))
    .action(async (name: string, options: { yes?: boolean }, command: Command) => {
      const id = await idOf(io, command, name)
      await confirm(io, { what: `Revoke the key ${name}`, name, yes: options.yes })
      await clientOf(io, command).delete(`/keys/${segment(id)}`)
      io.talk(`Revoked ${name}`)
    })
}

function addSuspension(
  key: Command,
  io: Io,
  given: { verb: string; suspended: boolean; description: string },
): void {
  key
    .command(`${given.verb} <key>`)
    .description(given.description)
    .addHelpText('after', examples(`key ${given.verb} laptop`, `key ${given.verb} key_01j…`))
    .action(async (name: string, _options: object, command: Command) => {
      const id = await idOf(io, command, name)
      const { suspended } = given
      const changed = await clientOf(io, command).patch<ShownKey>(`/keys/${segment(id)}`, { suspended })
      if (wantsJson(command)) showThing(io, command, changed)
      io.talk(`${name} is ${suspended ? 'suspended' : 'usable again'}`)
    })
}

const budgetOf = ({
  budget,
  window = 'month',
}: {
  budget?: string | undefined
  window?: string | undefined
}) => (budget === undefined ? undefined : { amount: budget, window: readWindow(window) })

/** The secret alone on standard output, so that it can be piped; the rest is talk. */
function showNew(io: Io, command: Command, made: NewKey): void {
  if (wantsJson(command)) {
    showThing(io, command, made)
    return
  }
  io.talk(`${made.name} (${made.id}); the key is shown this once:`)
  io.out(made.key)
}

async function idOf(io: Io, command: Command, name: string): Promise<string> {
  if (name.startsWith('key_')) return name
  const found = (await clientOf(io, command).list<ShownKey>('/keys')).filter((key) => key.name === name)
  const [only] = found
  if (!only) throw new CliError(`There is no key "${name}"; \`tollbridge key ls\` lists them.`)
  if (found.length > 1) throw new CliError(`${found.length} keys are called "${name}"; name one by its id.`)
  return only.id
}
