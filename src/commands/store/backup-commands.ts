// `backup` and `restore`: of the embedded store; for PostgreSQL they say which of its own programs to run.
import type { Command } from 'commander'
import type { Config } from '../../config/config.ts'
import type { ConfigFlags } from '../../config/leaves.ts'
import { CliError, type Io } from '../io.ts'
import { examples, showThing, wantsJson } from '../show.ts'
import { readConfig, withConfigFlags } from '../settings.ts'
import type { Manifest } from './backup-files.ts'

type Flags = ConfigFlags & { readonly withSecretKey?: boolean; readonly force?: boolean }

export function addBackupCommands(program: Command, io: Io): void {
  withConfigFlags(
    program
      .command('backup <folder>')
      .description('copy the store into a new folder, while the gateway runs'),
  )
    .option(
      '--with-secret-key',
      'also the secret key of the data folder: whoever has both can read every credential',
    )
    .addHelpText('after', examples('backup /backups/monday --data ./data', 'backup /backups/monday --json'))
    .action(async (folder: string, flags: Flags, command: Command) => {
      const config = readConfig(io, flags)
      refusePostgres(config, 'backed up', pgDump)
      const { backUpStore } = await import('./backup-store.ts')
      const made = await backUpStore(config, { folder, withSecretKey: flags.withSecretKey ?? false })
      if (wantsJson(command)) return showThing(io, command, { ...made })
      io.talk(`${made.folder} has ${markOf(made)}, as of ${made.createdAt}; made in ${made.tookMs} ms.`)
      io.talk(
        made.secretKey
          ? 'The secret key is in it: keep it as safe as every credential that it opens.'
          : 'The secret key is not in it, and without that its credentials cannot be read: keep a copy elsewhere.',
      )
    })
  withConfigFlags(
    program
      .command('restore <folder>')
      .description('put a backup into a data folder that no gateway runs on'),
  )
    .option('--force', 'where a store is there: move it aside, into a folder beside')
    .addHelpText(
      'after',
      examples('restore /backups/monday --data ./data', 'restore /backups/monday --force'),
    )
    .action(async (folder: string, flags: Flags, command: Command) => {
      const config = readConfig(io, flags)
      refusePostgres(config, 'restored', pgRestore)
      const { restoreStore } = await import('./restore-store.ts')
      const done = await restoreStore(config, { folder, force: flags.force ?? false })
      if (wantsJson(command)) return showThing(io, command, { ...done })
      io.talk(`${done.data} has ${markOf(done)}, as of ${done.createdAt}; restored in ${done.tookMs} ms.`)
      if (done.movedTo !== undefined) io.talk(`What was there is in ${done.movedTo}.`)
      if (!done.hasSecretKey)
        io.talk(
          `The secret key is missing: put the secret.key of that time into ${done.data} (mode 0600), or set TOLLBRIDGE_SECRET_KEY, before you start the gateway.`,
        )
    })
}

const markOf = ({ mark }: Pick<Manifest, 'mark'>): string =>
  `${mark.records} records and ${mark.transfers} transfers`

const pgDump = (url: string): string => `pg_dump --format=custom --file=tollbridge.dump '${url}'`
const pgRestore = (url: string): string =>
  `pg_restore --clean --if-exists --no-owner --exit-on-error --dbname='${url}' tollbridge.dump`

function refusePostgres(config: Config, what: string, toCommand: (url: string) => string): void {
  if (config.databaseUrl === undefined) return
  throw new CliError(
    `A PostgreSQL database is ${what} with its own programs: ${toCommand(withoutPassword(config.databaseUrl))}`,
    2,
  )
}

function withoutPassword(text: string): string {
  if (!URL.canParse(text)) return 'postgres://…'
  const url = new URL(text)
  url.password = ''
  return url.href.replaceAll("'", '%27')
}
