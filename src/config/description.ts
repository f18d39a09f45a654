// The configuration for people and editors: its JSON Schema, and each value with its origin and without secrets.
import { z } from 'zod'
import { isObject } from '../base/is-object.ts'
import { getIn } from '../base/object-path.ts'
import type { Config, Settings } from './config.ts'
import { leaves, secretKeys, type Origin } from './leaves.ts'
import { settingsSchema } from './schema.ts'

/** The JSON Schema of the file, for editors. */
export function configJsonSchema(): object {
  const title = 'Tollbridge configuration'
  return { ...z.toJSONSchema(settingsSchema, { io: 'input', unrepresentable: 'any' }), title }
}

export interface DescribedSetting {
  readonly key: string
  readonly value: unknown
  readonly origin: Origin
  readonly variable: string
  readonly description?: string
}

/** Every key with its value and origin, secrets covered. */
export function describeConfig(config: Config): DescribedSetting[] {
  return leaves.map(({ path, key, variable, description }) => {
    const value = getIn(config as unknown as Record<string, unknown>, path)
    const origin = config.origins[key] ?? { kind: 'default', where: 'default' }
    const said = description === undefined ? {} : { description }
    return { key, value: covered(key, value), origin, variable, ...said }
  })
}

function covered(key: string, value: unknown): unknown {
  if (value === undefined) return null
  if (secretKeys.has(key)) return '[redacted]'
  // Arguments of commands may hold what was filled in from the environment.
  if (key === 'secrets')
    return Object.fromEntries(
      Object.entries(value as Settings['secrets']).map(([name, { env, file, command }]) => [
        name,
        command ? `command ${command[0]}` : file === undefined ? `env ${env}` : `file ${file}`,
      ]),
    )
  if (Array.isArray(value)) return value.map((item: unknown) => coverMembers(item))
  return key === 'databaseUrl' && typeof value === 'string'
    ? value.replace(/(:\/\/[^:@/]*):[^@]*@/, '$1:[redacted]@')
    : value
}

/** An item of a list, with the secrets in it covered. */
function coverMembers(item: unknown): unknown {
  if (!isObject(item)) return item
  const cover = (name: string, value: unknown): unknown =>
    /secret|token|password/i.test(name) ? '[redacted]' : coverMembers(value)
  return Object.fromEntries(Object.entries(item).map(([name, value]) => [name, cover(name, value)]))
}
