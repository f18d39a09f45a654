// Flags of the commands that read the configuration, and the configuration or exit 78 with all its faults.
import type { Command } from 'commander'
import type { MasterSecrets } from '../base/master-secret.ts'
import { SecretFile, secretPath } from '../base/secret-file.ts'
import { loadConfig, type Config, type ConfigFault } from '../config/config.ts'
import type { ConfigFlags } from '../config/leaves.ts'
import { CliError, type Io } from './io.ts'

/** A configuration whose master secret is there, from the environment or the data folder. */
export interface RunnableConfig extends Config {
  readonly masterSecrets: MasterSecrets
}

/** Adds the flags of the contract's table; their names are the configuration's keys. */
export function withConfigFlags(command: Command): Command {
  return command
    .option('--host <address>', 'address to listen on (TOLLBRIDGE_HOST)')
    .option('--port <number>', 'port; 0 takes any free one (TOLLBRIDGE_PORT)')
    .option('--data <folder>', 'data folder (TOLLBRIDGE_DATA)')
    .option('--database-url <url>', 'postgres://… instead of the embedded store (TOLLBRIDGE_DATABASE_URL)')
    .option('--config <file>', 'configuration file (TOLLBRIDGE_CONFIG)')
    .option('--public-url <url>', 'base of the URLs that clients get (TOLLBRIDGE_PUBLIC_URL)')
    .option('--log-level <level>', 'silent, error, warn, info, debug or trace (TOLLBRIDGE_LOG_LEVEL)')
    .option('--durability <level>', 'disk or process (TOLLBRIDGE_DURABILITY)')
}

/** The configuration. Throws CliError with exit code 78, after listing every fault with its place. */
export function readConfig(io: Io, flags: ConfigFlags): Config {
  const config = loadConfig(flags, io.env)
  if ('faults' in config) throw refuse(io, config.faults)
  for (const warning of config.warnings) io.talk(`tollbridge: ${warning}`)
  return config
}

/** Reads or makes the secret file where the environment gives no secret. Throws as `readConfig` does. */
export function withSecret(io: Io, config: Config): RunnableConfig {
  const { secretKey, previousSecretKey } = config
  if (secretKey) {
    const secrets = previousSecretKey ? [secretKey, previousSecretKey] : [secretKey]
    return { ...config, masterSecrets: { secrets } }
  }
  const where = secretPath(config.data)
  let file: ReturnType<typeof SecretFile.open>
  try {
    file = SecretFile.open(config.data)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw refuse(io, [{ where, message: `the data folder cannot be used: ${reason}` }])
  }
  if ('problem' in file) throw refuse(io, [{ where, message: file.problem }])
  return { ...config, masterSecrets: file }
}

function refuse(io: Io, faults: readonly ConfigFault[]): CliError {
  for (const { where, message } of faults) io.talk(`${where}: ${message}`)
  const count = faults.length === 1 ? 'one fault' : `${faults.length} faults`
  return new CliError(`the configuration has ${count}; see above`, 78)
}
