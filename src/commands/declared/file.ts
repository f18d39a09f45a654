// Declarations as YAML: written so that people can review them, read so that no decimal ever becomes a double.
import { stringify } from 'yaml'
import { isObject } from '../../base/is-object.ts'
import { readExactYaml } from '../exact-yaml.ts'
import { CliError } from '../io.ts'
import type { Item } from './kind.ts'
import { kinds } from './kinds.ts'
import { normalised } from './plan.ts'

const version = '1'
/** Members that are not text. Everything else stays as it is written: `perCall: 0.10` is "0.10". */
const numbers = new Set(['priority', 'rollingSeconds', 'calls', 'seconds', 'burst', 'concurrent'])
const switches = new Set(['active'])
const maxBytes = 4 * 1024 * 1024

export type Declarations = ReadonlyMap<string, readonly Item[]>

export function writeDeclarations(things: Declarations): string {
  const body = kinds.map((kind) => [
    kind.name,
    (things.get(kind.name) ?? [])
      .filter((item) => kind.isWritten?.(item) ?? true)
      .map((item) => normalised(kind, item))
      .toSorted((a, b) => (kind.nameOf(a) < kind.nameOf(b) ? -1 : 1)),
  ])
  const head = '# What `tollbridge import plan` and `tollbridge import apply` read.\n'
  return head + stringify({ tollbridge: version, ...Object.fromEntries(body) }, { lineWidth: 110 })
}

/** Throws a CliError that lists every fault of the file with its place. */
export function readDeclarations(text: string, name: string): Declarations {
  if (Buffer.byteLength(text) > maxBytes) throw new CliError(`${name} is larger than 4 MiB.`, 2)
  const { value, faults: unread } = readExactYaml(text)
  if (unread.length > 0) throw new CliError(unread.map((fault) => `${name}: ${fault}`).join('\n'), 2)
  const faults: string[] = []
  if (!isObject(value))
    throw new CliError(`${name} holds no declarations; \`tollbridge export\` writes some.`, 2)
  const { tollbridge, ...members } = value
  if (tollbridge !== version)
    throw new CliError(`${name} must begin with \`tollbridge: ${version}\`, the version of its format.`, 2)
  const found = new Map<string, readonly Item[]>()
  for (const [member, items] of Object.entries(members)) {
    if (!kinds.some((kind) => kind.name === member)) faults.push(`${member}: is none of ${kindNames}.`)
    else if (!Array.isArray(items) || !items.every(isObject))
      faults.push(`${member}: must be a list of things.`)
    else
      found.set(
        member,
        items.map((item) => typed(item) as Item),
      )
  }
  if (faults.length > 0) throw new CliError(faults.map((fault) => `${name}: ${fault}`).join('\n'), 2)
  return found
}

const kindNames = kinds.map((kind) => kind.name).join(', ')

/** Text as what its member holds. What is no number there stays text, and the gateway says what it wants. */
function typed(value: unknown, member = ''): unknown {
  if (Array.isArray(value)) return value.map((item) => typed(item))
  if (isObject(value))
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, typed(inner, name)]))
  if (numbers.has(member) && /^-?\d{1,15}$/.test(String(value))) return Number(value)
  if (switches.has(member)) return value === 'true' ? true : value === 'false' ? false : value
  return value
}
