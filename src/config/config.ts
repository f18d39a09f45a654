// The configuration: one strict settingsSchema, read from flags, environment and file, with the place of every fault.
import { existsSync, readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { z } from 'zod'
import { parseMasterSecret } from '../base/master-secret.ts'
import { nearestName } from '../base/nearest-name.ts'
import { isObject } from '../base/is-object.ts'
import { getIn, setIn } from '../base/object-path.ts'
import { readVariableFiles } from '../base/variable-file.ts'
import { readYaml, type YamlFile } from '../base/yaml-file.ts'
import {
  findText,
  fromText,
  leaves,
  prefix,
  secretKeys,
  variableOf,
  type ConfigFlags,
  type Environment,
  type Origin,
} from './leaves.ts'
import { isLoopback, isSafeForLogin } from './reach.ts'
import { settingsSchema } from './schema.ts'

const maxFileBytes = 1024 * 1024

/** Secrets that have no business in a file that is shared. */
const environmentOnly = {
  secretKey: `${prefix}SECRET_KEY`,
  previousSecretKey: `${prefix}PREVIOUS_SECRET_KEY`,
  adminPassword: `${prefix}ADMIN_PASSWORD`,
} as const
/** Names that the command line's client reads. */
const clientNames = [`${prefix}URL`, `${prefix}KEY`, `${prefix}CONFIG`]

/** Variables that a file may stand in for: `NAME_FILE` has its path. */
const fileVariables = [
  ...Object.values(environmentOnly),
  ...['databaseUrl', ...secretKeys].map((key) => variableOf(key.split('.'))),
]

export type Settings = z.output<typeof settingsSchema>

/** The whole configuration, valid. Paths are absolute. */
export interface Config extends Omit<Settings, 'egress'> {
  readonly egress: { readonly allow: readonly string[] }
  /** The master secret where the environment gives one; else it is in the data folder. */
  readonly secretKey?: Uint8Array
  /** The one that it replaces. */
  readonly previousSecretKey?: Uint8Array
  readonly adminPassword?: string
  /** Values of the variables that `secrets` name, by variable. */
  readonly secretVariables: Readonly<Record<string, string>>
  /** What of our own environment the children of stdio servers may see. */
  readonly childEnvironment: Readonly<Record<string, string | undefined>>
  /** Where each value came from, by key (`http.maxDepth`). */
  readonly origins: Readonly<Record<string, Origin>>
  /** What is odd but no reason to refuse; one sentence each. */
  readonly warnings: readonly string[]
}

export interface ConfigFault {
  /** `--port`, `TOLLBRIDGE_PORT`, or `tollbridge.yaml:3:1`. */
  readonly where: string
  readonly message: string
}

/**
 * Reads the configuration: flags, else environment, else file, else defaults. Returns every fault there is, with its
 * place, where there is any.
 */
export function loadConfig(flags: ConfigFlags, given: Environment): Config | { faults: ConfigFault[] } {
  const faults: ConfigFault[] = []
  const { env, warnings, nameOf } = readVariableFiles(given, fileVariables, faults)
  const loaded = load({ flags, env, given, faults })
  if (faults.length > 0 || !loaded)
    return { faults: faults.map(({ where, message }) => ({ where: nameOf(where), message })) }
  const origins = Object.entries(loaded.origins).map(([key, origin]) => [
    key,
    { ...origin, where: nameOf(origin.where) },
  ])
  return { ...loaded, origins: Object.fromEntries(origins), warnings: [...loaded.warnings, ...warnings] }
}

interface LoadParts {
  readonly flags: ConfigFlags
  /** With what files hold. */
  readonly env: Environment
  readonly given: Environment
  readonly faults: ConfigFault[]
}

/** Undefined, or with faults added, where there is any. */
function load({ flags, env, given, faults }: LoadParts): Config | undefined {
  const file = readFile(flags, given, faults)
  const origins: Record<string, Origin> = {}
  const merged = structuredClone(isObject(file?.yaml.value) ? file.yaml.value : {})
  if (file && file.yaml.value !== null && file.yaml.value !== undefined && !isObject(file.yaml.value))
    faults.push({ where: file.path, message: 'must be a mapping of keys to values' })
  for (const leaf of leaves) {
    const found = findText(leaf, flags, env)
    if (found) {
      setIn(merged, leaf.path, fromText(leaf.kind, found.text))
      origins[leaf.key] = found.origin
      continue
    }
    const value = getIn(merged, leaf.path)
    if (typeof value === 'string') setIn(merged, leaf.path, fromText(leaf.kind, value))
    origins[leaf.key] =
      file && value !== undefined
        ? { kind: 'file', where: placeIn(file, leaf.path) }
        : { kind: 'default', where: 'default' }
  }
  const parsed = settingsSchema.safeParse(merged)
  for (const issue of parsed.error?.issues ?? []) faults.push(...faultsOf(issue, origins, file))
  if (parsed.data?.oauth.enabled === true && !isSafeForLogin(parsed.data))
    faults.push({
      where: origins['oauth.enabled']?.where ?? 'oauth.enabled',
      message: 'oauth.enabled needs a publicUrl that is https or loopback: users type their passwords there',
    })
  faults.push(...adminFaults(parsed.data, origins))
  const secrets = readSecrets(env, faults)
  const secretVariables = readNamedVariables(parsed.data, { file, env: given, faults })
  if (!parsed.success) return undefined
  return {
    ...parsed.data,
    data: resolve(parsed.data.data),
    egress: { allow: parsed.data.egress.allow ?? (isLoopback(parsed.data.host) ? ['loopback'] : []) },
    ...secrets,
    secretVariables,
    childEnvironment: { PATH: env['PATH'], HOME: env['HOME'], LANG: env['LANG'], TMPDIR: env['TMPDIR'] },
    origins,
    warnings: unknownNames(given),
  }
}

/** What is said of a listener that there is not, or that cannot be: the API must not be open where it is thought shut. */
function adminFaults(settings: Settings | undefined, origins: Config['origins']): ConfigFault[] {
  if (!settings) return []
  const { host, port, admin } = settings
  if (admin.port === undefined)
    return Object.keys(admin).flatMap((name) => {
      const { kind, where } = origins[`admin.${name}`] ?? { kind: 'default', where: '' }
      return kind === 'default' ? [] : [{ where, message: `admin.${name} means nothing without admin.port` }]
    })
  if (admin.port === 0 || admin.port !== port || admin.host !== host) return []
  const where = origins['admin.port']?.where ?? 'admin.port'
  return [{ where, message: 'admin.port must be another one than port, or admin.host another one than host' }]
}

interface ConfigFile {
  readonly path: string
  readonly yaml: YamlFile
}

function readFile(flags: ConfigFlags, env: Environment, faults: ConfigFault[]): ConfigFile | undefined {
  const named = typeof flags['config'] === 'string' ? flags['config'] : env[`${prefix}CONFIG`]
  const where = typeof flags['config'] === 'string' ? '--config' : `${prefix}CONFIG`
  const path = named || 'tollbridge.yaml'
  if (!named && !existsSync(path)) return undefined
  try {
    if (statSync(path).size > maxFileBytes) throw new Error('it is larger than 1 MiB')
    const yaml = readYaml(readFileSync(path, 'utf8'), env)
    for (const { line, column, message } of yaml.faults)
      faults.push({ where: `${path}:${line}:${column}`, message })
    return { path, yaml }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const reason =
      code === 'ENOENT' ? 'there is no such file' : code === 'EACCES' ? 'it may not be read' : message
    faults.push({ where: named ? where : path, message: `cannot read ${path}: ${reason}` })
    return undefined
  }
}

function placeIn(file: ConfigFile, path: readonly PropertyKey[]): string {
  const { line, column } = file.yaml.placeOf(path)
  return `${file.path}:${line}:${column}`
}

function faultsOf(
  issue: z.core.$ZodIssue,
  origins: Record<string, Origin>,
  file: ConfigFile | undefined,
): ConfigFault[] {
  const place = (path: readonly PropertyKey[]): string => {
    const known = leaves.find((leaf) => leaf.path.every((name, index) => path[index] === name))
    const origin = known && origins[known.key]
    if (origin && origin.kind !== 'file') return origin.where
    return file ? placeIn(file, path) : 'configuration'
  }
  const key = issue.path.map(String).join('.')
  if (issue.code !== 'unrecognized_keys')
    return [{ where: place(issue.path), message: `${key} ${issue.message}` }]
  return issue.keys.map((name) => ({
    where: place([...issue.path, name]),
    message: `unknown key ${[...issue.path, name].map(String).join('.')}${hintFor(name, issue.path)}`,
  }))
}

function hintFor(name: string, path: readonly PropertyKey[]): string {
  if (Object.hasOwn(environmentOnly, name))
    return `; set ${environmentOnly[name as keyof typeof environmentOnly]} in the environment instead`
  const siblings = leaves.filter((leaf) => path.every((step, index) => leaf.path[index] === step))
  const near = nearestName(name, [...new Set(siblings.map((leaf) => leaf.path[path.length] ?? ''))])
  const elsewhere = leaves.find((leaf) => leaf.path.at(-1) === name)?.key
  if (near !== undefined) return `; did you mean ${[...path, near].map(String).join('.')}?`
  return elsewhere === undefined ? '' : `; did you mean ${elsewhere}?`
}

function readSecrets(
  env: Environment,
  faults: ConfigFault[],
): Pick<Config, 'secretKey' | 'previousSecretKey' | 'adminPassword'> {
  const adminPassword = env[environmentOnly.adminPassword]
  const secretKey = readSecretKey(env, environmentOnly.secretKey, faults)
  const previousSecretKey = readSecretKey(env, environmentOnly.previousSecretKey, faults)
  if (previousSecretKey && !env[environmentOnly.secretKey])
    faults.push({
      where: environmentOnly.previousSecretKey,
      message: `means nothing without ${environmentOnly.secretKey}; a secret in the data folder is replaced by \`tollbridge secret rotate\``,
    })
  if (adminPassword && (adminPassword.length < 10 || adminPassword.length > 200))
    faults.push({ where: environmentOnly.adminPassword, message: 'must have 10 to 200 characters' })
  return {
    ...(secretKey && { secretKey }),
    ...(previousSecretKey && { previousSecretKey }),
    ...(adminPassword && { adminPassword }),
  }
}

/** The variables that `secrets` name; one that is not set is a fault. */
function readNamedVariables(
  settings: Settings | undefined,
  { file, env, faults }: { file: ConfigFile | undefined; env: Environment; faults: ConfigFault[] },
): Record<string, string> {
  const found: Record<string, string> = {}
  for (const [name, { env: variable }] of Object.entries(settings?.secrets ?? {})) {
    const value = variable === undefined ? undefined : env[variable]
    if (variable === undefined) continue
    if (value) found[variable] = value
    else
      faults.push({
        where: file ? placeIn(file, ['secrets', name, 'env']) : 'configuration',
        message: `secrets.${name}: the environment variable ${variable} is not set`,
      })
  }
  return found
}

function readSecretKey(env: Environment, name: string, faults: ConfigFault[]): Uint8Array | undefined {
  const text = env[name]
  const secret = text ? parseMasterSecret(text) : undefined
  if (!secret || !('problem' in secret)) return secret
  faults.push({ where: name, message: secret.problem })
  return undefined
}

/** Variables that look like ours and are none: a warning only, since others (such as Kubernetes) make some too. */
function unknownNames(env: Environment): string[] {
  const files = fileVariables.map((name) => `${name}_FILE`)
  const own = Object.values(environmentOnly)
  const known = [...leaves.map(({ variable }) => variable), ...own, ...clientNames, ...files]
  return Object.keys(env)
    .filter((name) => name.startsWith(prefix) && !known.includes(name))
    .map((name) => {
      const near = nearestName(name, known)
      return `The environment variable ${name} means nothing here${near ? `; did you mean ${near}?` : '.'}`
    })
}
