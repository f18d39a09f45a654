// From bytes and query text to validated values, with a field error for everything that does not fit.
import type { z } from 'zod'
import { GatewayError, errorCodes, type FieldError } from '../../base/errors.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * Parses a JSON body.
 * Throws GatewayError `invalid_request` where it is not UTF-8, not JSON, or nested deeper than `maxDepth`.
 */
export function parseJson(bytes: Uint8Array, maxDepth: number): unknown {
  if (isTooDeep(bytes, maxDepth)) {
    throw new GatewayError('invalid_request', {
      detail: `The body is nested deeper than ${maxDepth} levels; flatten it.`,
    })
  }
  try {
    return JSON.parse(utf8.decode(bytes)) as unknown
  } catch (cause) {
    throw new GatewayError('invalid_request', { detail: 'The body is not valid JSON in UTF-8.', cause })
  }
}

function isTooDeep(bytes: Uint8Array, maxDepth: number): boolean {
  let depth = 0
  let inString = false
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (inString) {
      if (byte === 0x5c) at++
      else if (byte === 0x22) inString = false
    } else if (byte === 0x22) inString = true
    else if (byte === 0x7b || byte === 0x5b) {
      depth++
      if (depth > maxDepth) return true
    } else if (byte === 0x7d || byte === 0x5d) depth--
  }
  return false
}

/** A form as an object for validation; a name that comes twice becomes an array. Throws `invalid_request`. */
export function parseForm(bytes: Uint8Array): Record<string, string | string[]> {
  try {
    return valuesOf(new URLSearchParams(utf8.decode(bytes)))
  } catch (cause) {
    throw new GatewayError('invalid_request', { detail: 'The body is not a form in UTF-8.', cause })
  }
}

/**
 * The value that `schema` makes of `input`.
 * Throws GatewayError `validation_failed` with one field error for each fault: a JSON pointer for the body (RFC 6901),
 * the parameter's name for query and path.
 */
export function validate(schema: z.ZodType, input: unknown, part: 'body' | 'query' | 'path'): unknown {
  const unknown = part === 'body' ? 'unknown field' : 'unknown parameter'
  // A schema may have words of its own for what it does not know.
  const result = schema.safeParse(input, {
    error: ({ code }) => (code === 'unrecognized_keys' ? unknown : undefined),
  })
  if (result.success) return result.data
  const fields = telling(result.error.issues).flatMap((issue) => fieldErrors(issue, input, part))
  throw new GatewayError('validation_failed', { fields, detail: summaryOf(fields) })
}

function summaryOf(fields: readonly FieldError[]): string {
  const [first] = fields
  if (!first || fields.length > 1) return errorCodes.validation_failed.sentence
  return `${first.field || 'The body'}: ${first.message}.`
}

type Issue = z.core.$ZodIssue
type Part = Parameters<typeof validate>[2]

function fieldErrors(issue: Issue, input: unknown, part: Part): FieldError[] {
  if (issue.code === 'unrecognized_keys') {
    const { message } = issue
    return issue.keys.map((key) => ({ field: nameOf([...issue.path, key], part), message }))
  }
  if (issue.code === 'invalid_union') {
    const closest = issue.errors.toSorted((a, b) => depthOf(b) - depthOf(a) || a.length - b.length)[0]
    const inner = closest?.map((each) => ({ ...each, path: [...issue.path, ...each.path] }))
    if (inner?.length) return inner.flatMap((each) => fieldErrors(each, input, part))
  }
  const missing = issue.code === 'invalid_type' && valueAt(input, issue.path) === undefined
  return [{ field: nameOf(issue.path, part), message: missing ? 'required' : lowerFirst(issue.message) }]
}

/** What an object lacks is not worth saying while it holds members that are none. */
function telling(issues: readonly Issue[]): Issue[] {
  const strange = new Set(
    issues.filter(({ code }) => code === 'unrecognized_keys').map(({ path }) => pointer(path)),
  )
  return issues.filter(({ code, path }) => code !== 'custom' || !strange.has(pointer(path)))
}

const nameOf = (path: readonly PropertyKey[], part: Part): string =>
  part === 'body' ? pointer(path) : path.map(String).join('.')

const depthOf = (issues: readonly Issue[]): number => Math.max(0, ...issues.map((issue) => issue.path.length))

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
    value = (value as Record<PropertyKey, unknown>)[key]
  }
  return value
}

const pointer = (path: readonly PropertyKey[]): string =>
  path.map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1)

/** Query text as an object for validation; a name that comes twice becomes an array, which schemas refuse or want. */
export function readQuery(url: string): Record<string, string | string[]> {
  const start = url.indexOf('?')
  return valuesOf(new URLSearchParams(start < 0 ? '' : url.slice(start + 1)))
}

function valuesOf(search: URLSearchParams): Record<string, string | string[]> {
  const values: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>
  for (const name of new Set(search.keys())) {
    const all = search.getAll(name)
    values[name] = all.length === 1 ? (all[0] ?? '') : all
  }
  return values
}
