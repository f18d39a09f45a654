// What an operator should look at in the definition of a tool, since a model will read all of it.
import { isObject } from '../../base/is-object.ts'
import type { DefinitionFlagKind } from '../../registry/definition-policy.ts'

export interface DefinitionFlag {
  readonly kind: DefinitionFlagKind
  /** JSON pointer into the definition. */
  readonly at: string
  /** The place, with everything that does not print escaped. */
  readonly shown: string
}

/** A tool as its server lists it. */
export interface Definition {
  readonly name: string
  readonly [member: string]: unknown
}

/** Zero-width and direction marks, soft hyphens, tags (U+E0000…) and the variation selectors that text does not need. */
const hidden = /[\u00AD\u061C\u180E\u200B-\u200F\u202A-\u202E\u2060-\u2069\uFEFF\u{E0000}-\u{E01EF}]/u
/** Between two pictures a zero-width joiner makes one of them. */
const emojiJoiner = /(?<=\p{Extended_Pictographic}\uFE0F?)\u200D(?=\p{Extended_Pictographic})/gu
/** Terminal sequences begin with one of these. */
// oxlint-disable-next-line no-control-regex
const control = /[\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]/
/** Texts that speak to the model rather than of the tool. Bounded, so that they take linear time. */
const instructions = [
  /\b(?:ignore|disregard|forget|override)\b.{0,40}\b(?:previous|prior|above|earlier|other|all)\b.{0,40}\b(?:instruction|prompt|rule|tool|message)s?\b/i,
  /\b(?:do not|don't|never)\b.{0,20}\b(?:tell|inform|mention|show|reveal|notify)\b.{0,40}\buser\b/i,
  /<\/?(?:important|system|secret|instructions?|admin)>/i,
  /\bbefore (?:using|calling) (?:this|any) (?:other )?tool\b.{0,60}\b(?:read|send|call|fetch|include)\b/i,
  /\b(?:system prompt|id_rsa|\.ssh\/|\.env file|api[_ -]?keys? of the user)\b/i,
]

const mostFlags = 20
const mostNodes = 20_000
const mostDepth = 64
const mostChars = 1_000_000
const shownChars = 80

/** Letters that look like Latin ones, by the letter that they look like (Unicode TS 39, the common part of it). */
const lookAlikes = new Map(
  Object.entries({
    a: 'аαɑ',
    b: 'Ьвβ',
    c: 'сϲ',
    d: 'ԁ',
    e: 'еεё',
    g: 'ɡ',
    h: 'һн',
    i: 'іιı',
    j: 'ј',
    k: 'кκ',
    l: 'ӏⅼ1',
    m: 'м',
    n: 'ոη',
    o: 'оοσօ0',
    p: 'рρ',
    q: 'ԛ',
    r: 'гꭇ',
    s: 'ѕ',
    t: 'тτ',
    u: 'υս',
    v: 'ѵν',
    w: 'ԝω',
    x: 'хχ',
    y: 'уγ',
    z: 'ᴢ',
  }).flatMap(([latin, others]) => Array.from(others, (other) => [other, latin] as const)),
)

/** Names with the same skeleton look alike; it is the name itself where that is plain ASCII. */
export function skeletonOf(name: string): string {
  const plain = name.normalize('NFKC').toLowerCase()
  return Array.from(plain, (letter) => lookAlikes.get(letter) ?? letter).join('')
}

/** What a definition is compared with. */
export interface Surroundings {
  /** Names of the other tools that a model may be shown. */
  readonly tools?: readonly string[] | undefined
  /** Names of other servers. */
  readonly servers?: readonly string[] | undefined
}

/** At most 20 flags. Takes time in proportion to the definition. */
export function flagsOf(tool: Definition, around: Surroundings = {}): DefinitionFlag[] {
  const flags: DefinitionFlag[] = []
  for (const flag of findFlags(tool, around)) {
    if (flags.push(flag) >= mostFlags) break
  }
  return flags
}

/** The first flag of one of these kinds, however many others a definition has. */
export function findFlag(
  tool: Definition,
  kinds: readonly DefinitionFlagKind[],
  around: Surroundings = {},
): DefinitionFlag | undefined {
  if (kinds.length === 0) return undefined
  const isStructural = kinds.every((kind) => kind === 'too-large' || kind === 'remote-reference')
  for (const flag of isStructural ? findStructuralFlags(tool) : findFlags(tool, around))
    if (kinds.includes(flag.kind)) return flag
  return undefined
}

function* findFlags(
  tool: Definition,
  { tools = [], servers = [] }: Surroundings,
): Generator<DefinitionFlag, void> {
  const isLookAlike = (other: string): boolean =>
    other !== tool.name && skeletonOf(other) === skeletonOf(tool.name) && !isCaseAlone(other, tool.name)
  if (/[^\x20-\x7e]/.test(tool.name) || tools.some(isLookAlike))
    yield { kind: 'look-alike-name', at: '/name', shown: printable(tool.name) }
  yield* findStructuralFlags(tool, (text, at) => flagsOfText(text, at, servers))
}

/** Each text of the definition, keys included, is read by `ofText`. */
function* findStructuralFlags(
  tool: Definition,
  ofText: (text: string, at: string) => Iterable<DefinitionFlag> = () => [],
): Generator<DefinitionFlag, void> {
  const waiting: { value: unknown; at: string; depth: number }[] = [{ value: tool, at: '', depth: 0 }]
  let chars = 0
  for (let nodes = 0; waiting.length > 0; nodes++) {
    const { value, at, depth } = waiting.pop() ?? { value: undefined, at: '', depth: 0 }
    const excess =
      (nodes > mostNodes && 'too many members') ||
      (depth > mostDepth && 'nested too deep') ||
      (chars > mostChars && 'too much text')
    if (excess) {
      yield { kind: 'too-large', at: printable(at), shown: excess }
      return
    }
    if (typeof value === 'string') {
      chars += value.length
      yield* ofText(value, at)
    } else if (Array.isArray(value))
      for (const [place, item] of value.entries())
        waiting.push({ value: item, at: `${at}/${place}`, depth: depth + 1 })
    else if (isObject(value))
      for (const [key, member] of Object.entries(value)) {
        const place = `${at}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`
        if (isReference(key) && typeof member === 'string' && !member.startsWith('#'))
          yield { kind: 'remote-reference', at: printable(place), shown: printable(member) }
        chars += key.length
        yield* ofText(key, place)
        waiting.push({ value: member, at: place, depth: depth + 1 })
      }
  }
  if (chars > mostChars) yield { kind: 'too-large', at: '', shown: 'too much text' }
}

const isReference = (key: string): boolean =>
  key === '$ref' || key === '$dynamicRef' || key === '$recursiveRef'

/** Names that differ in case alone are told apart by everybody. */
const isCaseAlone = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase()

function* flagsOfText(text: string, at: string, servers: readonly string[]): Generator<DefinitionFlag> {
  const found = (kind: DefinitionFlag['kind'], index: number): DefinitionFlag => ({
    kind,
    at: printable(at),
    shown: printable(text.slice(Math.max(0, index - shownChars / 2), index + shownChars / 2)),
  })
  const hiddenAt = text.replaceAll(emojiJoiner, ' ').search(hidden)
  if (hiddenAt >= 0) yield found('hidden-characters', hiddenAt)
  const controlAt = text.search(control)
  if (controlAt >= 0) yield found('control-characters', controlAt)
  for (const pattern of instructions) {
    const index = text.search(pattern)
    if (index < 0) continue
    yield found('instructions', index)
    break
  }
  // A tool that speaks of another server's tools, by their names on plain /mcp, would have a say in how these are used.
  for (const name of servers) {
    const index = text.indexOf(`${name}__`)
    if (index < 0 || /[a-z0-9-]/.test(text[index - 1] ?? '')) continue
    yield found('names-other-server', index)
    break
  }
}

/** Everything that is not visible ASCII as `\u{…}`. */
const printable = (text: string): string =>
  Array.from(text.slice(0, 200), (letter) =>
    /[\x20-\x7e]/.test(letter) ? letter : `\\u{${(letter.codePointAt(0) ?? 0).toString(16)}}`,
  ).join('')
