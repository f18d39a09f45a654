// Globs: `*` within a segment, `**` across segments, everything else literal; never a regular expression.

/** Longest pattern, in UTF-16 code units. */
export const maxGlobLength = 200

/** How narrow a pattern is, widest first: rule choice compares these numbers. */
export const globClass = { any: 0, glob: 1, exact: 2 } as const
export type GlobClass = (typeof globClass)[keyof typeof globClass]

/** A compiled pattern. `literalLength` counts its characters that are not stars. */
export interface Glob {
  readonly pattern: string
  readonly class: GlobClass
  readonly literalLength: number
  matches(text: string): boolean
}

/** What is wrong with a pattern, or undefined where nothing is. */
export function globProblem(pattern: string): string | undefined {
  if (pattern === '') return 'must not be empty; leave the field out to match anything'
  if (pattern.length > maxGlobLength) return `must have at most ${maxGlobLength} characters`
  return undefined
}

/** Tokens of a run of one star, and of more. */
export const star = -1
export const doubleStar = -2
const slash = 47

/**
 * Compiles a glob. Segments are what stands between slashes, in tool names, methods (`tools/call`) and server
 * names alike: `tools/*` matches `tools/call`, `*` inside a pattern never matches a slash, `**` matches anything.
 * A pattern that is nothing but stars counts as *any* and matches every text, `tools/call` too: who writes
 * `{"method": "*"}` means every method. Case matters; there are no escapes, classes or `?`.
 * Matching takes time proportional to text × pattern in the worst case, whatever the pattern (no backtracking).
 */
export function compileGlob(pattern: string): Glob {
  const literalLength = pattern.replaceAll('*', '').length
  if (literalLength === pattern.length)
    return { pattern, class: globClass.exact, literalLength, matches: (text) => text === pattern }
  if (literalLength === 0) return { pattern, class: globClass.any, literalLength, matches: () => true }
  const prefix = pattern.slice(0, pattern.indexOf('*'))
  const suffix = pattern.slice(pattern.lastIndexOf('*') + 1)
  const states = new States(tokensOf(pattern.slice(prefix.length)))
  return {
    pattern,
    class: globClass.glob,
    literalLength,
    matches: (text) => text.startsWith(prefix) && text.endsWith(suffix) && states.accept(text, prefix.length),
  }
}

/** Character codes, with one token for each run of stars: two or more make `**`. */
export function tokensOf(pattern: string): Int32Array {
  const tokens: number[] = []
  for (let i = 0; i < pattern.length; i++) {
    if (pattern[i] !== '*') tokens.push(pattern.charCodeAt(i))
    else if (tokens.at(-1) === star) tokens[tokens.length - 1] = doubleStar
    else if (tokens.at(-1) !== doubleStar) tokens.push(star)
  }
  return Int32Array.from(tokens)
}

/** The set of pattern positions that the text read so far can have reached, advanced one character at a time. */
class States {
  readonly #tokens: Int32Array
  #now: Uint8Array
  #next: Uint8Array

  constructor(tokens: Int32Array) {
    this.#tokens = tokens
    this.#now = new Uint8Array(tokens.length + 1)
    this.#next = new Uint8Array(tokens.length + 1)
  }

  accept(text: string, start: number): boolean {
    const end = this.#tokens.length
    this.#now.fill(0)
    this.#now[0] = 1
    this.#skipStars()
    for (let i = start; i < text.length; i++) {
      if (this.#now[end - 1] === 1 && this.#tokens[end - 1] === doubleStar) return true
      if (!this.#advance(text.charCodeAt(i))) return false
    }
    return this.#now[end] === 1
  }

  /** Reads one character; false where no position is left. */
  #advance(code: number): boolean {
    const tokens = this.#tokens
    const now = this.#now
    const next = this.#next.fill(0)
    let alive = false
    for (let at = 0; at < tokens.length; at++) {
      if (now[at] !== 1) continue
      const token = tokens[at]
      const stays = token === doubleStar || (token === star && code !== slash)
      if (stays) next[at] = 1
      else if (token === code) next[at + 1] = 1
      else continue
      alive = true
    }
    this.#now = next
    this.#next = now
    this.#skipStars()
    return alive
  }

  /** A star may match nothing: its next position is reached with it. */
  #skipStars(): void {
    const now = this.#now
    for (let at = 0; at < this.#tokens.length; at++)
      if (now[at] === 1 && (this.#tokens[at] ?? 0) < 0) now[at + 1] = 1
  }
}
