// The secrets that the configuration names: who may use which, and their values, read when they are used.
import type { Clock } from '../base/clock.ts'
import { compileGlob, type Glob } from '../base/glob.ts'
import type { Log } from '../base/log.ts'
import { CommandSecret } from './command-secret.ts'
import { FileSecret } from './file-secret.ts'
import { SecretProblem, type NamedSecret, type SecretSource } from './named-secret.ts'

export interface NamedSecretsOptions {
  readonly secrets: Readonly<Record<string, NamedSecret>>
  /** Values of the variables that they name, by variable. */
  readonly variables: Readonly<Record<string, string>>
  /** All that commands see of our own environment. */
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  readonly log: Log
}

interface Entry {
  readonly source: SecretSource
  readonly servers: readonly Glob[]
  /** The last problem that was logged; undefined while all is well. */
  problem?: string | undefined
}

const usualTimeoutMs = 10_000
const usualCacheSeconds = 300

export class NamedSecrets {
  readonly #entries: ReadonlyMap<string, Entry>
  readonly #log: Log

  constructor(options: NamedSecretsOptions) {
    this.#log = options.log
    this.#entries = new Map(
      Object.entries(options.secrets).map(([name, secret]) => [
        name,
        { source: sourceOf(name, secret, options), servers: secret.servers.map(compileGlob) },
      ]),
    )
  }

  /**
   * Why a server of this name may not use this secret; undefined where it may. A secret that is for others looks like
   * one that does not exist.
   */
  problem(secret: string, server: string): string | undefined {
    if (this.#find(secret, server)) return undefined
    return `there is no secret ${secret} for this server; an administrator names secrets, and the servers that may use them, in the configuration`
  }

  /** The value, where it is known and fresh; undefined where it has to be waited for, or must not be used. */
  current(secret: string, server: string): string | undefined {
    return this.#find(secret, server)?.source.current
  }

  /** Rejects with an Error whose message names the secret and holds nothing of it. */
  async get(secret: string, server: string): Promise<string> {
    const entry = this.#find(secret, server)
    if (!entry) throw new Error(`There is no secret ${secret} for this server.`)
    try {
      const value = await entry.source.get()
      entry.problem = undefined
      return value
    } catch (error) {
      const problem = error instanceof SecretProblem ? error.message : 'cannot be read'
      if (entry.problem !== problem)
        this.#log.warn({ name: secret, server, problem }, 'a secret cannot be used')
      entry.problem = problem
      throw new Error(`The secret ${secret} ${problem}.`, { cause: error })
    }
  }

  /** Ends commands that run. */
  close(): void {
    for (const { source } of this.#entries.values()) source.close()
  }

  #find(secret: string, server: string): Entry | undefined {
    const entry = this.#entries.get(secret)
    return entry?.servers.some((glob) => glob.matches(server)) ? entry : undefined
  }
}

function sourceOf(name: string, secret: NamedSecret, options: NamedSecretsOptions): SecretSource {
  const { clock, log, variables, environment } = options
  const { env, file, command, timeoutMs = usualTimeoutMs, cacheSeconds = usualCacheSeconds } = secret
  if (command)
    return new CommandSecret({ command, timeoutMs, cacheMs: cacheSeconds * 1000, environment, clock })
  if (file !== undefined) {
    const onExposed = () => log.warn({ name, file }, 'the file of a secret can be read by others; chmod it')
    return new FileSecret({ path: file, clock, onExposed })
  }
  return new FixedSecret(env === undefined ? undefined : variables[env])
}

/** A value of the environment. */
class FixedSecret implements SecretSource {
  readonly current: string | undefined

  constructor(value: string | undefined) {
    this.current = value
  }

  get(): Promise<string> {
    return this.current === undefined
      ? Promise.reject(new SecretProblem('is not set'))
      : Promise.resolve(this.current)
  }

  close(): void {}
}
