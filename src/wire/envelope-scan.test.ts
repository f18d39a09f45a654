// The byte scan agrees with a slow reading of the same JSON, for any keys, escapes, nesting and white space.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { scanEnvelope, type EnvelopeFault } from './envelope-scan.ts'
import { runs } from '../../test/harness/fuzz.ts'

const top = ['jsonrpc', 'id', 'method', 'params']
const inner = ['name', 'uri', 'arguments', '_meta', 'taskId']

/** A JSON value that keeps the order and the number of its keys, as JSON.parse does not. */
type Node = { readonly members: readonly [string, Node][] } | { readonly items: readonly Node[] } | Scalar
type Scalar = string | number | boolean | null

const isObject = (node: Node): node is { readonly members: readonly [string, Node][] } =>
  typeof node === 'object' && node !== null && 'members' in node
const isArray = (node: Node): node is { readonly items: readonly Node[] } =>
  typeof node === 'object' && node !== null && 'items' in node

const depthOf = (node: Node): number => {
  if (isObject(node)) return 1 + Math.max(0, ...node.members.map(([, value]) => depthOf(value)))
  return isArray(node) ? 1 + Math.max(0, ...node.items.map(depthOf)) : 0
}

const sameIgnoringCase = (a: string, b: string): boolean =>
  a.localeCompare(b, 'en', { sensitivity: 'accent' }) === 0 || a.toUpperCase() === b.toUpperCase()

function faultOfKeys(keys: readonly string[], decisive: readonly string[]): EnvelopeFault | undefined {
  const seen = new Set<string>()
  for (const key of keys) {
    if (!decisive.some((known) => sameIgnoringCase(known, key))) continue
    if (!decisive.includes(key)) return 'ambiguous-key'
    if (seen.has(key)) return 'duplicate-key'
    seen.add(key)
  }
  return undefined
}

/** Every fault that the reference finds; the scan must find one of them, or none where there is none. */
function faultsOf(root: Node, maxDepth: number): EnvelopeFault[] {
  const faults: (EnvelopeFault | undefined)[] = [depthOf(root) > maxDepth ? 'too-deep' : undefined]
  if (isObject(root)) {
    faults.push(
      faultOfKeys(
        root.members.map(([key]) => key),
        top,
      ),
    )
    for (const [key, value] of root.members)
      if (key === 'params' && isObject(value))
        faults.push(
          faultOfKeys(
            value.members.map(([name]) => name),
            inner,
          ),
        )
  }
  return faults.filter((fault) => fault !== undefined)
}

const decisiveKeys = new Set<string>([...top, ...inner])

/** Writes a string with some of its characters escaped, and white space around it. */
function write(node: Node, next: () => number): string {
  const space = ['', '', ' ', '\n', '\t \r'][next() % 5] ?? ''
  const text = (value: string): string =>
    `"${Array.from(value, (char) => (next() % 3 === 0 ? escaped(char) : JSON.stringify(char).slice(1, -1))).join('')}"`
  if (isObject(node)) {
    // A decisive key in escapes is a fault of its own; the table below has those.
    const name = (key: string): string => (decisiveKeys.has(key) ? JSON.stringify(key) : text(key))
    const members = node.members.map(([key, value]) => `${space}${name(key)}${space}:${write(value, next)}`)
    return `${space}{${members.join(',')}${space}}`
  }
  if (isArray(node)) return `[${node.items.map((item) => write(item, next)).join(`${space},`)}]`
  return space + (typeof node === 'string' ? text(node) : JSON.stringify(node))
}

const escaped = (char: string): string =>
  Array.from(
    { length: char.length },
    (_, at) => `\\u${char.charCodeAt(at).toString(16).padStart(4, '0')}`,
  ).join('')

const key = fc.oneof(
  fc.constantFrom(
    ...top,
    ...inner,
    'Params',
    'METHOD',
    'taskid',
    'TASKID',
    'paramſ',
    'tasKId',
    'Name',
    '_META',
  ),
  fc.constantFrom('a', '"', '\\', '{', '"params":{"name"', '__proto__', 'нет', '💥', ''),
  fc.string({ unit: 'binary', maxLength: 4 }),
)
const scalar: fc.Arbitrary<Node> = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 6 }),
  fc.constantFrom('"', '\\', '\\"', '}{', '","params":{"name":1,"name":2}'),
  fc.integer(),
  fc.constant(null),
  fc.boolean(),
)
const { node } = fc.letrec<{ node: Node }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    scalar,
    fc.record({ members: fc.array(fc.tuple(key, tie('node')), { maxLength: 4 }) }),
    fc.record({ items: fc.array(tie('node'), { maxLength: 3 }) }),
  ),
}))
const params = fc.record({ members: fc.array(fc.tuple(key, node), { maxLength: 5 }) })
const envelope = fc.record({
  members: fc.array(fc.oneof(fc.tuple(key, node), fc.tuple(fc.constant('params'), params)), { maxLength: 5 }),
})

describe('the scan of an envelope', () => {
  test('finds the faults that a slow reading finds, and no other', () => {
    fc.assert(
      fc.property(
        fc.oneof(envelope, node),
        fc.integer({ min: 1, max: 6 }),
        fc.array(fc.nat(), { minLength: 1 }),
        (root, maxDepth, noise) => {
          let turn = 0
          const bytes = Buffer.from(write(root, () => noise[turn++ % noise.length] ?? 0))
          const expected = faultsOf(root, maxDepth)
          const found = scanEnvelope(bytes, maxDepth)
          if (expected.length === 0) expect(found).toBeUndefined()
          else expect(expected).toContain(found)
        },
      ),
      { numRuns: runs(3000) },
    )
  })

  test('never throws on bytes that are no JSON', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc
            .array(fc.constantFrom('{', '"', '\\', ':', '[', 'params', 'a'))
            .map((x) => Buffer.from(x.join(''))),
        ),
        (bytes) => void scanEnvelope(bytes, 8),
      ),
      { numRuns: runs(2000) },
    )
  })

  test.each([
    ['{"method":"a","method":"b"}', 'duplicate-key'],
    ['{"method":"a","m\\u0065thod":"b"}', 'duplicate-key'],
    ['{"params":{"name":"ok","na\\u006de":"secret"}}', 'duplicate-key'],
    ['{"params":{"name":"ok","Name":"secret"}}', 'ambiguous-key'],
    ['{"params":{"argumentſ":{}}}', 'ambiguous-key'],
    ['{"params":{"tas\\u212aId":"x"}}', 'ambiguous-key'],
    ['{"Params":{}}', 'ambiguous-key'],
    ['{"m\\u0065thod":"a"}', 'ambiguous-key'],
    ['{"params":{"nam\\u0065":"secret"}}', 'ambiguous-key'],
    ['{"params":{"arguments":{"nam\\u0065":"x"}}}', undefined],
    ['{"\\u0061":1}', undefined],
    ['{"params":{"arguments":{"name":"a","name":"b","Name":"c"}}}', undefined],
    ['{"result":{"name":"a","name":"b"}}', undefined],
    ['{"x":{"params":{"name":1,"name":2}},"params":{"name":1}}', undefined],
    ['{"params":[{"name":1},{"name":2}]}', undefined],
    ['{"params":{"taskId":"x"}}', undefined],
  ])('%s is %s', (text, fault) => {
    expect(scanEnvelope(Buffer.from(text), 64)).toBe(fault)
  })
})
