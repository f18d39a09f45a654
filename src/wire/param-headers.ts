// `Mcp-Param-*` headers: a tool's schema says which arguments are mirrored, and the mirror must not lie (SEP-2243).
import { isObject } from '../base/is-object.ts'
import { decodeHeaderValue } from './headers.ts'

const maxSchemaDepth = 16
const isNumeric = (type: unknown): boolean => type === 'integer' || type === 'number'
/** Other spellings, such as `0x2a` or `4.2e1`, are not read alike by everybody between a client and us. */
const plainDecimal = /^-?\d+(\.\d+)?$/

/** Where a mirrored argument lies in `arguments`, and the header (in lower case) that mirrors it. */
export interface MirroredParam {
  readonly path: readonly string[]
  readonly header: string
  /** Whether its schema asks for a number, so that `42` and `42.0` are the same. */
  readonly isNumber: boolean
}

/** The annotated parameters of a tool's input schema, reachable by `properties` only. */
export function mirroredParams(inputSchema: unknown): MirroredParam[] {
  const found: MirroredParam[] = []
  const visit = (schema: unknown, path: readonly string[]): void => {
    if (!isObject(schema) || path.length > maxSchemaDepth) return
    const name = schema['x-mcp-header']
    if (typeof name === 'string' && path.length > 0)
      found.push({ path, header: `mcp-param-${name.toLowerCase()}`, isNumber: isNumeric(schema['type']) })
    if (isObject(schema['properties']))
      for (const [key, inner] of Object.entries(schema['properties'])) visit(inner, [...path, key])
  }
  visit(inputSchema, [])
  return found
}

/** The first disagreement between the mirrored arguments and their headers, as a sentence; undefined where there is none. */
export function paramMismatch(
  mirrored: readonly MirroredParam[],
  args: unknown,
  headers: Readonly<Record<string, string | string[] | undefined>>,
): string | undefined {
  for (const { path, header, isNumber } of mirrored) {
    let value: unknown = args
    for (const key of path) value = isObject(value) ? value[key] : undefined
    const sent = headers[header]
    const isPlain = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    if (!isPlain) {
      if (sent !== undefined && value !== undefined)
        return `The ${header} header mirrors an argument that is no plain value.`
      if (sent !== undefined)
        return `The ${header} header has a value, but the argument ${path.join('.')} is absent.`
      continue
    }
    // Past 2^53 a number is not the same for every reader of the body, so that clients do not mirror it.
    if (sent === undefined && Number.isInteger(value) && !Number.isSafeInteger(value)) continue
    if (typeof sent !== 'string')
      return `The ${header} header that mirrors the argument ${path.join('.')} is missing.`
    const decoded = decodeHeaderValue(sent)
    if (decoded === undefined) return `The ${header} header holds an invalid base64 value.`
    const agrees =
      decoded === String(value) ||
      (isNumber && typeof value === 'number' && plainDecimal.test(decoded) && Number(decoded) === value)
    if (!agrees) return `The ${header} header disagrees with the argument ${path.join('.')}.`
  }
  return undefined
}
