// Commands about this machine's gateway: config, doctor, migrate, verify, healthcheck.
import type { Command } from 'commander'
import { configJsonSchema, describeConfig } from '../config/description.ts'
import type { ConfigFlags } from '../config/leaves.ts'
import { gatewayUrl, type ClientOptions } from './client.ts'
import { CliError, type Io } from './io.ts'
import { clientOf, examples, showList, showThing, wantsJson } from './show.ts'
import { readConfig, withConfigFlags } from './settings.ts'

/** What a comparison of records, rollups and ledger found. */
interface VerifyAnswer {
  readonly ok: boolean
  readonly checked: unknown
  readonly differences: readonly unknown[]
}

export function addLocalCommands(program: Command, io: Io): void {
  addConfigCommands(program, io)
  addStoreCommands(program, io)
  addRebuildCommand(program, io)
  withConfigFlags(program.command('doctor').description('look for what keeps the gateway from working'))
    .addHelpText('after', examples('doctor', 'doctor --config /etc/tollbridge.yaml --json'))
    .action(async (flags: ConfigFlags, command: Command) => {
      const { examine } = await import('./doctor.ts')
      const findings = await examine(flags, io.env)
      const columns = [
        { title: '', value: (finding: (typeof findings)[number]) => (finding.ok ? 'ok' : 'FAULT') },
        { title: 'CHECK', value: (finding: (typeof findings)[number]) => finding.name },
        { title: 'FOUND', value: (finding: (typeof findings)[number]) => finding.found },
      ]
      showList(io, command, { rows: findings, columns, none: '' })
      const faults = findings.filter(({ ok }) => !ok)
      if (faults.length > 0) {
        throw new CliError('', faults.some(({ name }) => name === 'config' || name === 'secret') ? 78 : 1)
      }
    })
  program
    .command('healthcheck')
    .description('exit 0 where the gateway is ready; for container images without curl')
    .addHelpText('after', examples('healthcheck', 'healthcheck --url http://127.0.0.1:8080'))
    .action(async (_options: object, command: Command) => checkHealth(io, command))
}

async function checkHealth(io: Io, command: Command): Promise<void> {
  const url = gatewayUrl(io, command.optsWithGlobals<ClientOptions>())
  const response = await fetch(`${url}/readyz?verbose`, { signal: AbortSignal.timeout(5000) }).catch(
    () => undefined,
  )
  if (!response) throw new CliError(`No gateway answers at ${url}.`)
  const text = (await response.text()).trimEnd()
  if (wantsJson(command)) io.out(JSON.stringify({ ready: response.ok, url }))
  else io.talk(text)
  if (!response.ok) throw new CliError(`The gateway at ${url} is not ready.`)
}

function addConfigCommands(program: Command, io: Io): void {
  const config = program.command('config').description('the configuration')
  withConfigFlags(config.command('check').description('list every fault; exit 78 where there is one'))
    .addHelpText('after', examples('config check --config tollbridge.yaml'))
    .action((flags: ConfigFlags) => {
      readConfig(io, flags)
      io.talk('The configuration has no fault.')
    })
  withConfigFlags(config.command('print').description('every value and where it comes from, secrets covered'))
    .addHelpText('after', examples('config print', 'config print --json'))
    .action((flags: ConfigFlags, command: Command) => {
      const rows = describeConfig(readConfig(io, flags))
      type Row = (typeof rows)[number]
      const columns = [
        { title: 'KEY', value: (row: Row) => row.key },
        { title: 'VALUE', value: (row: Row) => (row.value === null ? undefined : JSON.stringify(row.value)) },
        { title: 'FROM', value: (row: Row) => row.origin.where },
      ]
      showList(io, command, { rows, columns, none: '' })
    })
  config
    .command('schema')
    .description('the JSON Schema of the file')
    .addHelpText('after', examples('config schema > tollbridge.schema.json'))
    .action(() => io.out(JSON.stringify(configJsonSchema(), undefined, 2)))
}

function addStoreCommands(program: Command, io: Io): void {
  withConfigFlags(
    program.command('migrate').description("bring the store's schema up to date; a start does it too"),
  )
    .addHelpText('after', examples('migrate', 'migrate --database-url postgres://gate@db/tollbridge'))
    .action(async (flags: ConfigFlags, command: Command) => {
      const { migrateStore } = await import('./store/migrate-store.ts')
      const applied = await migrateStore(readConfig(io, flags))
      if (wantsJson(command)) io.out(JSON.stringify({ applied }))
      else io.talk(applied.length > 0 ? `Applied ${applied.join(', ')}.` : 'The store is up to date.')
    })
  withConfigFlags(
    program.command('verify').description('compare records, rollups and ledger; exit 1 where they differ'),
  )
    .option('--offline', 'read the store itself, while no gateway runs on it, instead of asking the gateway')
    .addHelpText('after', examples('verify', 'verify --offline --data ./data --json'))
    .action(async (flags: ConfigFlags, command: Command) => {
      const answer = flags['offline'] ? await verifyOffline(io, flags) : await askToVerify(io, command)
      showThing(io, command, answer)
      if (!answer.ok)
        throw new CliError('Records, rollups and ledger differ; the differences are listed above.')
    })
}

function addRebuildCommand(program: Command, io: Io): void {
  withConfigFlags(
    program
      .command('rebuild')
      .description(
        'make rollups out of records and balances out of transfers anew; no gateway may run meanwhile',
      ),
  )
    .addHelpText(
      'after',
      examples('rebuild --data ./data', 'rebuild --database-url postgres://gate@db/tollbridge'),
    )
    .action(async (flags: ConfigFlags, command: Command) => {
      const { rebuildStore } = await import('./store/rebuild-store.ts')
      showThing(io, command, { ...(await rebuildStore(readConfig(io, flags))) })
    })
}

const askToVerify = (io: Io, command: Command): Promise<VerifyAnswer> =>
  clientOf(io, command).get<VerifyAnswer>('/billing/verify')

async function verifyOffline(io: Io, flags: ConfigFlags): Promise<VerifyAnswer> {
  const { verifyStore } = await import('./store/verify-store.ts')
  return verifyStore(readConfig(io, flags))
}
