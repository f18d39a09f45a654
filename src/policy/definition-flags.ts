// What an operator should look at in the definition of a tool, since a model will read all of it.
import { isObject } from '../base/is-object.ts'

export const flagKinds = [
  'hidden-characters',
  'control-characters',
  'instructions',
  'remote-reference',
  'look-alike-name',
  'too-large',
] as const

export interface DefinitionFlag {
  readonly kind: (typeof flagKinds)[number]
  /** JSON pointer into the definition. */
  readonly at: string
  /** The place, with everything that does not print escaped. */
  readonly shown: string
}

/** A tool as its server lists it. */
interface Definition {
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
    l: 'ӏⅼ',
    m: 'м',
    n: 'ոη',
    o: 'оοσօ',
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

/** At most 20 flags. `others` are the names of the tools beside it. Takes time in proportion to the definition. */
export function flagsOf(tool: Definition, others: readonly string[] = []): DefinitionFlag[] {
  const flags: DefinitionFlag[] = []
  const isLookAlike = (other: string): boolean =>
    other !== tool.name && skeletonOf(other) === skeletonOf(tool.name) && !isCaseAlone(other, tool.name)
  if (/[^\x20-\x7e]/.test(tool.name) || others.some(isLookAlike))
    flags.push({ kind: 'look-alike-name', at: '/name', shown: printable(tool.name) })
  const waiting: { value: unknown; at: string; depth: number }[] = [{ value: tool, at: '', depth: 0 }]
  for (let nodes = 0; waiting.length > 0 && flags.length < mostFlags; nodes++) {
    const { value, at, depth } = waiting.pop() ?? { value: undefined, at: '', depth: 0 }
    if (nodes > mostNodes || depth > mostDepth) {
      flags.push({ kind: 'too-large', at, shown: nodes > mostNodes ? 'too many members' : 'nested too deep' })
      break
    }
    if (typeof value === 'string') flags.push(...flagsOfText(value, at))
    else if (Array.isArray(value))
      for (const [place, item] of value.entries())
        waiting.push({ value: item, at: `${at}/${place}`, depth: depth + 1 })
    else if (isObject(value))
      for (const [key, member] of Object.entries(value)) {
        const place = `${at}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`
        if (key === '$ref' && typeof member === 'string' && !member.startsWith('#'))
          flags.push({ kind: 'remote-reference', at: place, shown: printable(member) })
        for (const flag of flagsOfText(key, place)) flags.push(flag)
        waiting.push({ value: member, at: place, depth: depth + 1 })
      }
  }
  return flags.slice(0, mostFlags)
}

/** Names that differ in case alone are told apart by everybody. */
const isCaseAlone = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase()

function* flagsOfText(text: string, at: string): Generator<DefinitionFlag> {
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
}

/** Everything that is not visible ASCII as `\u{…}`. */
const printable = (text: string): string =>
  Array.from(text.slice(0, 200), (letter) =>
    /[\x20-\x7e]/.test(letter) ? letter : `\\u{${(letter.codePointAt(0) ?? 0).toString(16)}}`,
  ).join('')
