// The keys of the configuration one by one: their flags, their variables, and what is read from those.
import { z } from 'zod'
import { settingsSchema } from './schema.ts'

export const prefix = 'TOLLBRIDGE_'

export interface Origin {
  readonly kind: 'flag' | 'env' | 'file' | 'default'
  /** `--port`, `TOLLBRIDGE_PORT`, `tollbridge.yaml:3:1`, or `default`. */
  readonly where: string
}

/** Flags by key, as the command line gives them. `config` is the file's path. */
export type ConfigFlags = Readonly<Record<string, string | boolean | undefined>>
export type Environment = Readonly<Record<string, string | undefined>>

export interface Leaf {
  readonly path: readonly string[]
  /** `http.maxDepth` */
  readonly key: string
  /** `TOLLBRIDGE_HTTP_MAX_DEPTH` */
  readonly variable: string
  readonly kind: 'text' | 'number' | 'boolean' | 'list'
  /** What it is for, where its name does not say it. */
  readonly description?: string
}

/** Every key that has a value of its own. */
export const leaves = leavesOf(settingsSchema, [])

function leavesOf(node: z.ZodType, path: readonly string[]): Leaf[] {
  const inner = unwrap(node)
  if (inner instanceof z.ZodObject) {
    return Object.entries(inner.shape).flatMap(([name, child]) =>
      leavesOf(child as z.ZodType, [...path, name]),
    )
  }
  const kinds = { number: 'number', boolean: 'boolean', array: 'list' } as const
  const kind = kinds[inner.type as keyof typeof kinds] ?? 'text'
  const { description = inner.description } = node
  const said = description === undefined ? {} : { description }
  return [{ path, key: path.join('.'), variable: variableOf(path), kind, ...said }]
}

export function variableOf(path: readonly string[]): string {
  return prefix + path.map((name) => name.replaceAll(/[A-Z]/g, '_$&').toUpperCase()).join('_')
}

function unwrap(node: z.ZodType): z.ZodType {
  const wrapped =
    node instanceof z.ZodDefault || node instanceof z.ZodPrefault || node instanceof z.ZodOptional
  return wrapped ? unwrap(node.unwrap() as z.ZodType) : node
}

export function findText(
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
  if (leaf.path.at(-1) === 'port' && value.startsWith('tcp://')) return undefined
  return { text: value, origin: { kind: 'env', where: leaf.variable } }
}

/** Text as the kind of value that the key takes; what does not fit stays text, and the schema refuses it. */
export function fromText(kind: Leaf['kind'], value: string): unknown {
  if (kind === 'number' && /^-?\d{1,15}$/.test(value)) return Number(value)
  if (kind === 'boolean' && /^(true|false)$/.test(value)) return value === 'true'
  if (kind !== 'list') return value
  return value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}

/** Never shown. */
export const secretKeys = new Set([
  'metrics.token',
  'billing.stripeWebhookSecret',
  'billing.topUpWebhookSecret',
  'x402.facilitatorToken',
])
