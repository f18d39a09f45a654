// Globs as sets of texts: whether one holds all of another, and a text that two have in common.
import { doubleStar, globClass, star, tokensOf, type Glob } from './glob.ts'

const slash = 47
/** Sets of positions looked at before `includes` gives up; patterns that people write need a few dozen. */
const maxSteps = 5000

/** A pattern of stars alone matches every text, also beyond slashes. */
const tokensOfGlob = ({ pattern, class: kind }: Glob): Int32Array =>
  kind === globClass.any ? Int32Array.of(doubleStar) : tokensOf(pattern)

/** Whether a token reads this character. */
const reads = (token: number | undefined, code: number): boolean =>
  token === code || token === doubleStar || (token === star && code !== slash)

const isStar = (token: number | undefined): boolean => token === star || token === doubleStar

/**
 * Whether each text that `inner` matches is matched by `outer` too. True is certain. False is certain as well, except
 * for patterns so entangled that the search is given up.
 */
export function includes(outer: Glob, inner: Glob): boolean {
  if (outer.class === globClass.any || outer.pattern === inner.pattern) return true
  if (inner.class === globClass.exact) return outer.matches(inner.pattern)
  if (outer.class === globClass.exact) return false
  // After its literal beginning `inner` goes on with anything, and before its literal end likewise.
  const [start, end] = [outer.pattern.indexOf('*'), outer.pattern.lastIndexOf('*')]
  if (!inner.pattern.startsWith(outer.pattern.slice(0, start))) return false
  if (!inner.pattern.endsWith(outer.pattern.slice(end + 1))) return false
  return isCovered(tokensOfGlob(outer), tokensOfGlob(inner))
}

/**
 * Walks all texts of `inner` by its positions, each with the set of positions (a bit each) that `outer` can have reached
 * by then. Where `inner` may end, `outer` must be able to.
 */
function isCovered(outer: Int32Array, inner: Int32Array): boolean {
  const codes = new Set([...outer, ...inner].filter((token) => token >= 0).concat(slash))
  // Stands for every character that neither pattern names.
  const other = Array.from({ length: codes.size + 1 }, (_, at) => 97 + at).find((code) => !codes.has(code))
  const all = [...codes, ...(other === undefined ? [] : [other])]
  const end = 1n << BigInt(outer.length)
  const seen = new Set<string>()
  const due: { readonly at: number; readonly reached: bigint }[] = [{ at: 0, reached: skipStars(outer, 1n) }]
  for (let state = due.pop(); state; state = due.pop()) {
    const { at, reached } = state
    const name = `${at} ${reached}`
    if (seen.has(name)) continue
    if (seen.size >= maxSteps) return false
    seen.add(name)
    // From every position of `inner` its end can be reached, so an empty set has lost a text.
    if (reached === 0n || (at === inner.length && (reached & end) === 0n)) return false
    const token = inner[at]
    if (token === undefined) continue
    if (isStar(token)) due.push({ at: at + 1, reached })
    for (const code of isStar(token) ? all : [token])
      if (reads(token, code))
        due.push({ at: isStar(token) ? at : at + 1, reached: step(outer, reached, code) })
  }
  return true
}

function step(outer: Int32Array, reached: bigint, code: number): bigint {
  let next = 0n
  for (const [at, token] of outer.entries()) {
    if ((reached & (1n << BigInt(at))) === 0n || !reads(token, code)) continue
    next |= 1n << BigInt(isStar(token) ? at : at + 1)
  }
  return skipStars(outer, next)
}

/** A star may match nothing: its next position is reached with it. */
function skipStars(tokens: Int32Array, reached: bigint): bigint {
  let all = reached
  for (const [at, token] of tokens.entries())
    if (isStar(token) && (all & (1n << BigInt(at))) !== 0n) all |= 1n << BigInt(at + 1)
  return all
}

/** A shortest text that both match, or undefined where there is none. */
export function commonText(a: Glob, b: Glob): string | undefined {
  if (a.class === globClass.exact) return b.matches(a.pattern) ? a.pattern : undefined
  if (b.class === globClass.exact) return a.matches(b.pattern) ? b.pattern : undefined
  if (a.class === globClass.any && b.class === globClass.any) return 'x'
  const [left, right] = [tokensOfGlob(a), tokensOfGlob(b)]
  const seen = new Set<number>()
  const due = [{ i: 0, j: 0, text: '' }]
  for (const { i, j, text } of due) {
    const state = i * (right.length + 1) + j
    if (seen.has(state)) continue
    seen.add(state)
    const [own, other] = [left[i], right[j]]
    if (own === undefined && other === undefined) return text
    if (isStar(own)) due.push({ i: i + 1, j, text })
    if (isStar(other)) due.push({ i, j: j + 1, text })
    for (const code of [own, other])
      if (code !== undefined && code >= 0 && reads(own, code) && reads(other, code)) {
        const next = { i: isStar(own) ? i : i + 1, j: isStar(other) ? j : j + 1 }
        due.push({ ...next, text: text + String.fromCharCode(code) })
      }
  }
  return undefined
}
