// A YAML text as plain data, with variables filled in and the line and column of everything in it.
import { LineCounter, isMap, isNode, isScalar, parseDocument, visit, type Document } from 'yaml'

/** A fault at a place of the file. */
interface YamlFault {
  readonly line: number
  readonly column: number
  readonly message: string
}

export interface YamlFile {
  /** Undefined where the file is empty or could not be read. */
  readonly value: unknown
  readonly faults: readonly YamlFault[]
  /** Where the member at this path stands, or its nearest ancestor that is there. */
  placeOf(path: readonly PropertyKey[]): { line: number; column: number }
}

const variable = /\$\{([A-Za-z_]\w*)(?:(:-|:\?)([^}]*))?\}/g

/**
 * Reads YAML 1.2. Strings may hold `${NAME}` (must be set), `${NAME:-default}` and `${NAME:?message}`, which are
 * filled in from `variables`; one that is not set is a fault. Every fault is reported, not only the first.
 */
export function readYaml(text: string, variables: Readonly<Record<string, string | undefined>>): YamlFile {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const at = (offset: number): { line: number; column: number } => {
    const { line, col } = lines.linePos(offset)
    return { line, column: col }
  }
  const faults: YamlFault[] = document.errors.map(({ pos, message }) => ({ ...at(pos[0]), message }))
  let isWhole = document.errors.length === 0
  visit(document, {
    Alias(_key, node) {
      if (node.resolve(document)) return
      isWhole = false
      faults.push({
        ...at(node.range?.[0] ?? 0),
        message: `there is no anchor &${node.source} before this alias`,
      })
    },
    Scalar(_key, node) {
      if (typeof node.value !== 'string') return
      node.value = node.value.replaceAll(variable, (_whole, name: string, form?: string, rest = '') => {
        const value = variables[name]
        if (value !== undefined && (value !== '' || form === undefined)) return value
        if (form === ':-') return String(rest)
        const message = (form === ':?' && rest) || `the environment variable ${name} is not set`
        faults.push({ ...at(node.range?.[0] ?? 0), message })
        return ''
      })
    },
  })
  const value = isWhole ? toPlain(document, faults) : undefined
  return { value, faults, placeOf: (path) => at(offsetOf(document, path)) }
}

/** Undefined, with a fault, where aliases repeat more than a configuration ever needs. */
function toPlain(document: Document.Parsed, faults: YamlFault[]): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 })
  } catch {
    faults.push({ line: 1, column: 1, message: 'its aliases repeat too much' })
    return undefined
  }
}

/** Offset of a member's key, or of the value where it has no key (a sequence's item). */
function offsetOf(document: Document.Parsed, path: readonly PropertyKey[]): number {
  let node: unknown = document.contents
  let offset = startOf(node)
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && key.value === step)
      if (!pair) return offset
      offset = startOf(pair.key)
      node = pair.value
    } else {
      node =
        document.contents && isNode(node) && 'items' in node
          ? (node.items as unknown[])[Number(step)]
          : undefined
      if (node === undefined) return offset
      offset = startOf(node)
    }
  }
  return offset
}

const startOf = (node: unknown): number => (isNode(node) ? (node.range?.[0] ?? 0) : 0)
