// The OpenAPI 3.1 document, made from the same route values that are served.
import { z } from 'zod'
import { errorCodes } from '../base/errors.ts'
import { auditAction } from './api/audited.ts'
import { usualStatus, type Route } from './api/route.ts'
import { titleOf } from './errors.ts'

type Json = Record<string, unknown>

export interface OpenApiDocument {
  readonly openapi: '3.1.0'
  readonly info: { readonly title: string; readonly version: string; readonly description: string }
  readonly security: readonly Json[]
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: {
    readonly schemas: Readonly<Record<string, Json>>
    readonly responses: Readonly<Record<string, Json>>
    readonly securitySchemes: Readonly<Record<string, Json>>
  }
}

export interface Operation extends Json {
  readonly operationId: string
  readonly summary: string
}

/** The document of these routes. Pure: the same routes give the same text. */
export function openApiDocument(routes: readonly Route[], version: string): OpenApiDocument {
  const schemas: Record<string, Json> = { Problem: problemSchema }
  const paths: Record<string, Record<string, Operation>> = {}
  for (const route of routes) {
    for (const [index, path] of [route.path, ...(route.aliases ?? [])].entries()) {
      const operation = describe(route, schemas)
      if (index > 0) Object.assign(operation, { operationId: `${operation.operationId}_alias${index}` })
      ;(paths[path] ??= {})[route.method.toLowerCase()] = operation
    }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Tollbridge', version, description: 'The HTTP API of a metered MCP gateway.' },
    security: [{ bearer: [] }, { apiKey: [] }],
    paths,
    components: {
      schemas,
      responses: {
        Problem: {
          description: 'A refusal or a fault (RFC 9457).',
          content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
        },
      },
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'An access token or an API key.' },
        apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
      },
    },
  }
}

const problemSchema: Json = {
  type: 'object',
  properties: {
    type: { type: 'string', format: 'uri-reference' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    code: { type: 'string', enum: Object.keys(errorCodes) },
    requestId: { type: 'string' },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        properties: {
          field: { type: 'string', description: 'A JSON pointer into the body, or the name of a parameter.' },
          message: { type: 'string' },
        },
        required: ['field', 'message'],
      },
    },
  },
  required: ['type', 'title', 'status', 'detail', 'code', 'requestId'],
}

function describe(route: Route, schemas: Record<string, Json>): Operation {
  const open = route.permission === 'public'
  return {
    operationId: operationId(route),
    summary: route.summary,
    ...(route.description !== undefined && { description: route.description }),
    tags: [tagOf(route.path)],
    ...(open && { security: [] }),
    ...(!open && route.permission !== 'signed-in' && { 'x-permission': route.permission }),
    ...(auditAction(route) !== undefined && { 'x-audit-action': auditAction(route) }),
    ...parametersOf(route, schemas),
    ...(route.body && {
      requestBody: {
        required: !route.body.safeParse(undefined).success,
        content: {
          [route.form ? 'application/x-www-form-urlencoded' : 'application/json']: {
            schema: schemaOf(route.body, 'input', schemas),
          },
        },
      },
    }),
    responses: responsesOf(route, schemas),
  }
}

/** For example `post_servers_id_test_connection`. */
const operationId = (route: Route): string =>
  `${route.method.toLowerCase()}_${local(route.path).replaceAll(/\W+/g, '_').replaceAll(/^_|_$/g, '') || 'root'}`

const local = (path: string): string => path.replace(/^\/api\/v1/, '')

function tagOf(path: string): string {
  if (path.startsWith('/oauth/')) return 'oauth'
  if (!path.startsWith('/api/v1/')) return 'operations'
  return local(path).split('/')[1] ?? 'operations'
}

function parametersOf(route: Route, schemas: Record<string, Json>): { parameters?: Json[] } {
  const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name)
  const paramSchema = route.params ? schemaOf(route.params, 'input', schemas) : undefined
  const querySchema = route.query ? schemaOf(route.query, 'input', schemas) : undefined
  const parameters: Json[] = inPath.map((name) => ({
    name,
    in: 'path',
    required: true,
    ...member(paramSchema, name),
  }))
  for (const name of Object.keys(querySchema?.['properties'] ?? {})) {
    const required = ((querySchema?.['required'] ?? []) as string[]).includes(name)
    parameters.push({ name, in: 'query', ...(required && { required }), ...member(querySchema, name) })
  }
  if (route.method === 'POST' && !route.keyless) {
    parameters.push({
      name: 'Idempotency-Key',
      in: 'header',
      description:
        'The same key with the same request gives the stored answer instead of a second execution.',
      schema: { type: 'string', minLength: 1, maxLength: 255 },
    })
  }
  return parameters.length > 0 ? { parameters } : {}
}

/** A member's schema as a parameter, its description lifted out; a plain string where nothing is known. */
function member(schema: Json | undefined, name: string): Json {
  const { description, ...rest } = (((schema?.['properties'] ?? {}) as Json)[name] ?? {
    type: 'string',
  }) as Json
  return { ...(description !== undefined && { description }), schema: rest }
}

function responsesOf(route: Route, schemas: Record<string, Json>): Json {
  const content = route.response
    ? { 'application/json': { schema: schemaOf(route.response, 'output', schemas) } }
    : route.contentType && { [route.contentType]: { schema: { type: 'string' } } }
  const problem = { $ref: '#/components/responses/Problem' }
  const refusals = [...(route.permission === 'public' ? [] : [401]), ...(route.errors ?? [])]
  return {
    [usualStatus(route)]: { description: route.summary, ...(content && { content }) },
    ...Object.fromEntries(refusals.map((status) => [status, problem])),
    default: problem,
  }
}

/**
 * A zod schema as JSON Schema; what carries an `id` in its metadata moves to the components. Where the same id means
 * something else in requests than in answers (defaults), the second one met gets a suffix.
 */
function schemaOf(schema: z.ZodType, io: 'input' | 'output', schemas: Record<string, Json>): Json {
  const {
    $schema: _,
    $defs = {},
    ...own
  } = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Json & {
    $defs?: Record<string, Json>
  }
  const plain = new Map(Object.keys($defs).map((id) => [id, id]))
  const names = new Map(
    Object.entries($defs).map(([id, definition]) => {
      const same = JSON.stringify(renamed(definition, plain)) === JSON.stringify(schemas[id])
      return [id, same || schemas[id] === undefined ? id : `${id}${titleOf(io)}`]
    }),
  )
  for (const [id, definition] of Object.entries($defs))
    schemas[names.get(id) ?? id] = renamed(definition, names) as Json
  return renamed(own, names) as Json
}

function renamed(value: unknown, names: ReadonlyMap<string, string>): unknown {
  if (Array.isArray(value)) return value.map((item) => renamed(item, names))
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([key, inner]): [string, unknown] => {
    const id = key === '$ref' && typeof inner === 'string' && /^#\/\$defs\/(.+)$/.exec(inner)?.[1]
    return [key, id ? `#/components/schemas/${names.get(id) ?? id}` : renamed(inner, names)]
  })
  return Object.fromEntries(entries)
}

/** Request bodies with an object that lets unknown fields through, as `METHOD path`; a test wants none. */
export function looseBodies(document: OpenApiDocument): string[] {
  return Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations)
      .filter(([, operation]) => isLoose(operation['requestBody'], document, new Set()))
      .map(([method]) => `${method.toUpperCase()} ${path}`),
  )
}

function isLoose(value: unknown, document: OpenApiDocument, seen: Set<string>): boolean {
  if (typeof value !== 'object' || value === null) return false
  const node = value as Json
  if ('properties' in node && !('additionalProperties' in node)) return true
  const reference = node['$ref']
  const name = typeof reference === 'string' ? reference.replace('#/components/schemas/', '') : undefined
  if (name !== undefined && !seen.has(name)) {
    if (isLoose(document.components.schemas[name], document, seen.add(name))) return true
  }
  return Object.values(node).some((inner) => isLoose(inner, document, seen))
}
