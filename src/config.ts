// The configuration: one strict settingsSchema, read from flags, environment and file, with the place of every fault.
import { existsSync, readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { z } from 'zod'
import { parseMasterSecret } from './base/master-secret.ts'
import { nearestName } from './base/nearest-name.ts'
import { isObject } from './base/is-object.ts'
import { getIn, setIn } from './base/object-path.ts'
import { readYaml, type YamlFile } from './base/yaml-file.ts'
import { settingsSchema } from './config-schema.ts'

const maxFileBytes = 1024 * 1024
const prefix = 'TOLLBRIDGE_'

/** Secrets that have no business in a file that is shared. */
const environmentOnly = {
  secretKey: `${prefix}SECRET_KEY`,
  previousSecretKey: `${prefix}PREVIOUS_SECRET_KEY`,
  adminPassword: `${prefix}ADMIN_PASSWORD`,
} as const
/** Names that the command line's client reads. */
const clientNames = [`${prefix}URL`, `${prefix}KEY`, `${prefix}CONFIG`]

export interface Origin {
  readonly kind: 'flag' | 'env' | 'file' | 'default'
  /** `--port`, `TOLLBRIDGE_PORT`, `tollbridge.yaml:3:1`, or `default`. */
  readonly where: string
}

type Settings = z.output<typeof settingsSchema>

/** The whole configuration, valid. Paths are absolute. */
export interface Config extends Omit<Settings, 'egress'> {
  readonly egress: { readonly allow: readonly string[] }
  /** The master secret where the environment gives one; else it is in the data folder. */
  readonly secretKey?: Uint8Array
  /** The one that it replaces. */
  readonly previousSecretKey?: Uint8Array
  readonly adminPassword?: string
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

/** Flags by key, as the command line gives them. `config` is the file's path. */
export type ConfigFlags = Readonly<Record<string, string | boolean | undefined>>
type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads the configuration: flags, else environment, else file, else defaults. Returns every fault there is, with its
 * place, where there is any.
 */
export function loadConfig(flags: ConfigFlags, env: Environment): Config | { faults: ConfigFault[] } {
  const faults: ConfigFault[] = []
  const file = readFile(flags, env, faults)
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
  const secrets = readSecrets(env, faults)
  if (!parsed.success || faults.length > 0) return { faults }
  return {
    ...parsed.data,
    data: resolve(parsed.data.data),
    egress: { allow: parsed.data.egress.allow ?? (isLoopback(parsed.data.host) ? ['loopback'] : []) },
    ...secrets,
    childEnvironment: { PATH: env['PATH'], HOME: env['HOME'], LANG: env['LANG'], TMPDIR: env['TMPDIR'] },
    origins,
    warnings: unknownNames(env),
  }
}

/** Whether a host means this machine only. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)

/** Whether passwords and codes may cross the wire to a public URL: where it is https, or stays on this machine. */
const isSafeForLogin = ({ publicUrl, host }: Pick<Config, 'publicUrl' | 'host'>): boolean => {
  if (publicUrl === undefined) return isLoopback(host)
  const { protocol, hostname } = new URL(publicUrl)
  return protocol === 'https:' || isLoopback(hostname)
}

/** Whether the gateway is an authorization server of its own. */
export const hasAuthorizationServer = (config: Pick<Config, 'oauth' | 'publicUrl' | 'host'>): boolean =>
  config.oauth.enabled ?? isSafeForLogin(config)

/** The JSON Schema of the file, for editors. */
export function configJsonSchema(): object {
  const title = 'Tollbridge configuration'
  return { ...z.toJSONSchema(settingsSchema, { io: 'input', unrepresentable: 'any' }), title }
}

/** Every key with its value and origin, secrets covered; for `config print`. */
export function describeConfig(config: Config): { key: string; value: unknown; origin: Origin }[] {
  return leaves.map(({ path, key }) => {
    const value = getIn(config as unknown as Record<string, unknown>, path)
    const origin = config.origins[key] ?? { kind: 'default', where: 'default' }
    return { key, value: covered(key, value), origin }
  })
}

const secretKeys = new Set([
  'metrics.token',
  'billing.stripeWebhookSecret',
  'billing.topUpWebhookSecret',
  'x402.facilitatorToken',
])

function covered(key: string, value: unknown): unknown {
  if (value === undefined) return null
  if (secretKeys.has(key)) return '[redacted]'
  return key === 'databaseUrl' && typeof value === 'string'
    ? value.replace(/(:\/\/[^:@/]*):[^@]*@/, '$1:[redacted]@')
    : value
}

interface Leaf {
  readonly path: readonly string[]
  /** `http.maxDepth` */
  readonly key: string
  /** `TOLLBRIDGE_HTTP_MAX_DEPTH` */
  readonly variable: string
  readonly kind: 'text' | 'number' | 'boolean' | 'list'
}

const leaves = leavesOf(settingsSchema, [])

function leavesOf(node: z.ZodType, path: readonly string[]): Leaf[] {
  const inner = unwrap(node)
  if (inner instanceof z.ZodObject) {
    return Object.entries(inner.shape).flatMap(([name, child]) =>
      leavesOf(child as z.ZodType, [...path, name]),
    )
  }
  const kinds = { number: 'number', boolean: 'boolean', array: 'list' } as const
  const kind = kinds[inner.type as keyof typeof kinds] ?? 'text'
  const variable = prefix + path.map((name) => name.replaceAll(/[A-Z]/g, '_$&').toUpperCase()).join('_')
  return [{ path, key: path.join('.'), variable, kind }]
}

function unwrap(node: z.ZodType): z.ZodType {
  const wrapped =
    node instanceof z.ZodDefault || node instanceof z.ZodPrefault || node instanceof z.ZodOptional
  return wrapped ? unwrap(node.unwrap() as z.ZodType) : node
}

function findText(
  leaf: Leaf,
  flags: ConfigFlags,
  env: Environment,
): { text: string; origin: Origin } | undefined {
  const flag = leaf.path.length === 1 ? flags[leaf.key] : undefined
  if (flag !== undefined) {
    const where = `--${leaf.key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
    return { text: String(flag), origin: { kind: 'flag', where } }
  }
  const value = env[leaf.variable]
  // An empty variable is an unset one, except for lists: there it says "none".
  if (value === undefined || (value === '' && leaf.kind !== 'list')) return undefined
  // Kubernetes sets NAME_PORT=tcp://… in every pod for a service of that name.
  if (leaf.key === 'port' && value.startsWith('tcp://')) return undefined
  return { text: value, origin: { kind: 'env', where: leaf.variable } }
}

/** Text as the kind of value that the key takes; what does not fit stays text, and the schema refuses it. */
function fromText(kind: Leaf['kind'], value: string): unknown {
  if (kind === 'number' && /^-?\d{1,15}$/.test(value)) return Number(value)
  if (kind === 'boolean' && /^(true|false)$/.test(value)) return value === 'true'
  if (kind !== 'list') return value
  return value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
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

function readSecretKey(env: Environment, name: string, faults: ConfigFault[]): Uint8Array | undefined {
  const text = env[name]
  const secret = text ? parseMasterSecret(text) : undefined
  if (!secret || !('problem' in secret)) return secret
  faults.push({ where: name, message: secret.problem })
  return undefined
}

/** Variables that look like ours and are none: a warning only, since others (such as Kubernetes) make some too. */
function unknownNames(env: Environment): string[] {
  const known = [...leaves.map(({ variable }) => variable), ...Object.values(environmentOnly), ...clientNames]
  return Object.keys(env)
    .filter((name) => name.startsWith(prefix) && !known.includes(name))
    .map((name) => {
      const near = nearestName(name, known)
      return `The environment variable ${name} means nothing here${near ? `; did you mean ${near}?` : '.'}`
    })
}
