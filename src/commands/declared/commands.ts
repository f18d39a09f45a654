// `export` and `import`: prices, accounts and budgets as one file that people review, compared with the gateway and applied.
import { readFileSync, writeFileSync } from 'node:fs'
import type { Command } from 'commander'
import type { ApiClient } from '../client.ts'
import { CliError, confirm, type Io } from '../io.ts'
import { draftsOption } from '../prices/drafts-option.ts'
import { clientOf, examples, segment, showThing, wantsJson } from '../show.ts'
import { readDeclarations, writeDeclarations, type Declarations } from './file.ts'
import type { Item, List } from './kind.ts'
import { kinds } from './kinds.ts'
import { PlanFaults, planOf, type Plan, type Step } from './plan.ts'

interface PlanOptions {
  readonly prune?: boolean
  readonly check?: boolean
  readonly yes?: boolean
}

interface SimulateOptions {
  readonly from?: string
  readonly to?: string
  readonly account?: string
  readonly keep?: boolean
  readonly drafts?: string
}

export function addDeclaredCommands(program: Command, io: Io): void {
  program
    .command('export')
    .description(
      'write prices, accounts with their plans, budgets, access rules and limits as a file to review and apply elsewhere',
    )
    .option('-o, --out <file>', 'write there instead of to standard output')
    .addHelpText('after', examples('export > prices.yaml', 'export --out prices.yaml'))
    .action(async ({ out }: { out?: string }, command: Command) => {
      const present = await readPresent(clientOf(io, command))
      const text = writeDeclarations(present)
      if (out === undefined) io.out(text.trimEnd())
      else writeFile(out, text)
    })
  const group = program.command('import').description('bring the gateway to what a file declares')
  group
    .command('plan <file>')
    .description('show what would change; `-` reads standard input')
    .option('--prune', 'also remove what the file does not name')
    .option('--check', 'exit 1 where anything would change')
    .addHelpText('after', examples('import plan prices.yaml', 'import plan prices.yaml --prune --check'))
    .action(async (file: string, options: PlanOptions, command: Command) => {
      const plan = await planFor(io, command, { file, options })
      show(io, command, plan)
      if (options.check && plan.steps.length > 0) throw new CliError('')
    })
  group
    .command('apply <file>')
    .description('make these changes; records keep the price they had')
    .option('--prune', 'also remove what the file does not name')
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', examples('import apply prices.yaml', 'import apply prices.yaml --prune --yes'))
    .action(async (file: string, options: PlanOptions, command: Command) => {
      const plan = await planFor(io, command, { file, options })
      show(io, command, plan)
      if (plan.steps.length === 0) return
      const what = `Apply ${plan.steps.length} changes to ${clientOf(io, command).url}`
      await confirm(io, { what, name: 'yes', yes: options.yes })
      await carryOut(io, clientOf(io, command), plan)
    })
}

async function readPresent(client: ApiClient): Promise<Map<string, readonly Item[]>> {
  const present = new Map<string, readonly Item[]>()
  const list = listerOf(client)
  for (const kind of kinds) {
    const items = await list(kind.path)
    present.set(kind.name, kind.read ? await kind.read(items, list) : items)
  }
  return present
}

const listerOf =
  (client: ApiClient): List =>
  (path) =>
    client.list<Item>(path)

/** `rule simulate`: what past usage would have cost under the rules of a file. */
export function addSimulateCommand(rule: Command, io: Io): void {
  rule
    .command('simulate [file]')
    .description(
      'what past usage would have cost under the rules of a file, or under drafts; nothing is changed',
    )
    .option('--from <time>', 'calls from this time on, ISO 8601; the last month where it is absent')
    .option('--to <time>', 'calls before this time')
    .option('--account <id>', 'of this account alone')
    .option('--keep', 'leave the published rules in force beside them; drafts always do')
    .option('--drafts <ids>', 'drafts in place of the rules that they are of: `all`, or ids, comma separated')
    .addHelpText(
      'after',
      examples(
        'rule simulate prices.yaml',
        'rule simulate --drafts all',
        'rule simulate draft.yaml --keep --account acc_01j…',
      ),
    )
    .action(async (file: string | undefined, options: SimulateOptions, command: Command) => {
      if (file === undefined && options.drafts === undefined)
        throw new CliError('Name a file of rules, or drafts with --drafts.', 2)
      const { drafts, ...rest } = options
      const { rules = [] } = file === undefined ? {} : Object.fromEntries(await readFileOf(io, file))
      const body = { rules, ...rest, ...draftsOption(drafts) }
      showThing(io, command, await clientOf(io, command).post('/billing/simulate', body))
    })
}

async function readFileOf(io: Io, file: string): Promise<Declarations> {
  const text = file === '-' ? await io.readInput() : readFile(file)
  return readDeclarations(text, file === '-' ? 'standard input' : file)
}

async function planFor(
  io: Io,
  command: Command,
  { file, options }: { file: string; options: PlanOptions },
): Promise<Plan> {
  const declared = await readFileOf(io, file)
  const present = await readPresent(clientOf(io, command))
  const given = kinds.map((kind) => ({
    kind,
    declared: declared.get(kind.name),
    present: present.get(kind.name) ?? [],
  }))
  try {
    return planOf(given, { prune: options.prune === true })
  } catch (error) {
    if (error instanceof PlanFaults) throw new CliError(error.faults.join('\n'))
    throw error
  }
}

/** One after another: a fault stops the rest, and the same command goes on from there. */
async function carryOut(io: Io, client: ApiClient, { steps }: Plan): Promise<void> {
  for (const [index, step] of steps.entries()) {
    try {
      await take(client, step)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new CliError(
        `${lineOf(step)}: ${reason}\n${index} of ${steps.length} changes were made; mend it and apply again.`,
      )
    }
    io.talk(`${lineOf(step)}: done`)
  }
}

async function take(client: ApiClient, step: Step): Promise<void> {
  const { path, send } = step.kind
  if (step.act === 'remove') return client.delete(`${path}/${segment(step.id)}`)
  const body = send ? await send(step.body, listerOf(client)) : step.body
  if (step.act === 'make') await client.post(path, body)
  else await client.patch(`${path}/${segment(step.id)}`, body)
}

const marks = { make: '+', change: '~', remove: '-' } as const
const lineOf = ({ act, kind, name }: Step): string => `${marks[act]} ${kind.name} ${name}`

function show(io: Io, command: Command, { steps, unnamed }: Plan): void {
  if (wantsJson(command)) {
    const plain = steps.map(({ kind, ...step }) => ({ ...step, kind: kind.name }))
    return io.out(JSON.stringify({ steps: plain, unnamed }, undefined, 2))
  }
  for (const step of steps) {
    io.out(lineOf(step))
    if (step.act === 'make') io.out(`    ${JSON.stringify(step.body)}`)
    if (step.act === 'change')
      for (const { member, from, to } of step.differences)
        io.out(`    ${member}: ${JSON.stringify(from) ?? 'nothing'} → ${JSON.stringify(to) ?? 'nothing'}`)
  }
  const removed = steps.filter(({ act }) => act === 'remove').length
  const kept = removed > 0 ? [] : unnamed
  if (kept.length > 0) io.talk(`Not in the file and left alone (--prune removes them): ${kept.join(', ')}`)
  const count = (act: Step['act']): number => steps.filter((step) => step.act === act).length
  io.talk(
    steps.length === 0
      ? 'Nothing to change.'
      : `${count('make')} to make, ${count('change')} to change, ${count('remove')} to remove.`,
  )
}

function readFile(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    throw new CliError(`${path} cannot be read.`, 2)
  }
}

function writeFile(path: string, text: string): void {
  try {
    writeFileSync(path, text)
  } catch {
    throw new CliError(`${path} cannot be written.`, 2)
  }
}
