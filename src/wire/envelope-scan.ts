// A look at the raw bytes of a message before they are trusted: nesting depth, and keys that two parsers could read differently.
import {
  closeBrace,
  closeBracket,
  colon,
  endOfString,
  nextSignificant,
  openBrace,
  openBracket,
  quote,
} from './json-bytes.ts'

/** What is wrong with the bytes; undefined where nothing is. */
export type EnvelopeFault = 'too-deep' | 'duplicate-key' | 'ambiguous-key'

/** As parsers that ignore case compare keys: `ſ` is an `s` and the Kelvin sign a `k` to some of them. */
const fold = (key: string): string => key.toUpperCase().toLowerCase()

const byFolded = (...keys: string[]) => new Map(keys.map((key) => [fold(key), key]))

/** Members that decide what is run, who is asked and what it costs, at the top level and in `params`. */
const decisive = [
  byFolded('jsonrpc', 'id', 'method', 'params'),
  byFolded('name', 'uri', 'arguments', '_meta', 'taskId'),
]

/**
 * Scans a JSON object once. The gateway forwards the original bytes, so an upstream whose parser takes the first of
 * two equal keys, or ignores case, must not run something else than what was authorised and billed (trust A 19).
 * A decisive key with an escape in it is refused too: no client writes one, and V8's own parser (Node 24.21) can read
 * `nam\\u0065` as `nam\\` after an object that had such a key. Assumes that JSON.parse has accepted the bytes or will be asked next.
 */
export function scanEnvelope(bytes: Uint8Array, maxDepth: number): EnvelopeFault | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const seen: (Set<string> | undefined)[] = []
  let depth = 0
  let inParams = false
  let lastTopKey = ''
  for (let at = 0; at < buffer.length; at++) {
    const byte = buffer[at]
    if (byte === quote) {
      const end = endOfString(buffer, at)
      const isKey =
        (depth === 1 || (depth === 2 && inParams)) && buffer[nextSignificant(buffer, end + 1)] === colon
      if (isKey) {
        const raw = buffer.toString('utf8', at + 1, end)
        const key = decodeKey(raw)
        const keys = { raw, decisive: decisive[depth - 1], seen: (seen[depth] ??= new Set()) }
        const fault = judgeKey(key, keys)
        if (fault) return fault
        if (depth === 1) lastTopKey = key
      }
      at = end
    } else if (byte === openBrace || byte === openBracket) {
      depth++
      if (depth > maxDepth) return 'too-deep'
      if (depth === 2) inParams = byte === openBrace && lastTopKey === 'params'
    } else if (byte === closeBrace || byte === closeBracket) {
      depth--
    }
  }
  return undefined
}

interface Keys {
  /** The key as it is written. */
  readonly raw: string
  readonly decisive: ReadonlyMap<string, string> | undefined
  /** Decisive keys of this object so far. */
  readonly seen: Set<string>
}

function judgeKey(key: string, { raw, decisive: decisiveKeys, seen }: Keys): EnvelopeFault | undefined {
  const known = decisiveKeys?.get(fold(key))
  if (known === undefined) return undefined
  if (key !== known) return 'ambiguous-key'
  if (seen.has(key)) return 'duplicate-key'
  seen.add(key)
  return raw.includes('\\') ? 'ambiguous-key' : undefined
}

function decodeKey(raw: string): string {
  if (!raw.includes('\\')) return raw
  try {
    return String(JSON.parse(`"${raw}"`))
  } catch {
    return raw
  }
}
