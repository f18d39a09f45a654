// TypeScript out of OpenAPI 3.1, for the part of it that this API uses.
import { readFileSync } from 'node:fs'

interface Schema {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly allOf?: readonly Schema[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | Schema
  readonly items?: Schema
}

interface Media {
  readonly content?: Readonly<Record<string, { readonly schema?: Schema }>>
}

interface Operation {
  readonly parameters?: readonly {
    readonly name: string
    readonly in: string
    readonly required?: boolean
    readonly schema: Schema
  }[]
  readonly requestBody?: Media
  readonly responses: Readonly<Record<string, Media>>
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}

const base = '/api/v1'

/** The text of the module that declares `Schemas` and `Operations`. */
export function consoleTypes(path: string): string {
  const { paths, components } = JSON.parse(readFileSync(path, 'utf8')) as Document
  const schemas = Object.entries(components.schemas).map(([name, schema]) => `${name}: ${typeOf(schema)}`)
  const operations = Object.entries(paths)
    .filter(([route]) => route.startsWith(`${base}/`))
    .flatMap(([route, methods]) =>
      Object.entries(methods).flatMap(([method, operation]) => {
        const name = `${method.toUpperCase()} ${route.slice(base.length)}`
        return isOfJson(operation) ? [`'${name}': ${operationType(operation)}`] : []
      }),
    )
  return `// Made by \`npm run console:types\` out of docs/openapi.json; not edited by hand.
export interface Schemas {
${schemas.join('\n')}
}

export interface Operations {
${operations.join('\n')}
}
`
}

/** Answers with JSON, or with nothing. */
function isOfJson({ responses }: Operation): boolean {
  return Object.values(responses).every(({ content = {} }) =>
    Object.keys(content).every((type) => type.endsWith('json')),
  )
}

function operationType(operation: Operation): string {
  const of = (place: string): Schema | undefined => {
    const all = (operation.parameters ?? []).filter((parameter) => parameter.in === place)
    if (all.length === 0) return undefined
    return {
      type: 'object',
      properties: Object.fromEntries(all.map(({ name, schema }) => [name, schema])),
      required: all.filter(({ required }) => required === true).map(({ name }) => name),
    }
  }
  const good = Object.entries(operation.responses).find(([status]) => status.startsWith('2'))
  const answer = good?.[1].content?.['application/json']?.schema
  const body = operation.requestBody?.content?.['application/json']?.schema
  const member = (name: string, schema: Schema | undefined): string => {
    if (!schema) return `${name}?: undefined`
    // A query of which nothing is needed need not be given.
    const isNeeded = name === 'body' || (schema.required?.length ?? 0) > 0
    return `${name}${isNeeded ? '' : '?'}: ${typeOf(schema)}`
  }
  const members = [member('params', of('path')), member('query', of('query')), member('body', body)]
  return `{ ${[...members, `answer: ${answer ? typeOf(answer) : 'undefined'}`].join('; ')} }`
}

function typeOf(schema: Schema): string {
  if (schema.$ref !== undefined) return `Schemas['${schema.$ref.split('/').at(-1)}']`
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ')
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  const choices = schema.anyOf ?? schema.oneOf
  if (choices) return choices.map((choice) => `(${typeOf(choice)})`).join(' | ')
  if (schema.allOf) return schema.allOf.map((part) => `(${typeOf(part)})`).join(' & ')
  if (Array.isArray(schema.type))
    return schema.type.map((type: string) => typeOf({ ...schema, type })).join(' | ')
  switch (schema.type) {
    case 'object':
      return objectType(schema)
    case 'array':
      return `readonly (${typeOf(schema.items ?? {})})[]`
    case 'integer':
    case 'number':
      return 'number'
    case 'string':
    case 'boolean':
    case 'null':
      return schema.type
    default:
      return 'unknown'
  }
}

function objectType({ properties = {}, required = [], additionalProperties }: Schema): string {
  const members = Object.entries(properties).map(([name, schema]) => {
    const key = /^[a-z_]\w*$/i.test(name) ? name : `'${name}'`
    return `readonly ${key}${required.includes(name) ? '' : '?'}: ${typeOf(schema)}`
  })
  if (typeof additionalProperties === 'object' && members.length === 0)
    return `Readonly<Record<string, ${typeOf(additionalProperties)}>>`
  if (members.length === 0) return 'Readonly<Record<string, unknown>>'
  return `{ ${members.join('; ')} }`
}
