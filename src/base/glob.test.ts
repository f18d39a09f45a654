// Guarantees of globs: they mean what the naive definition says, and no pattern makes matching slow.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compileGlob, globClass, globProblem, maxGlobLength } from './glob.ts'
import { runs } from '../../test/harness/fuzz.ts'

const seed = Date.now() & 0x7fffffff

/** The definition, naively: tries every length of every star. */
function naive(pattern: string, text: string): boolean {
  if (pattern === '') return text === ''
  const stars = /^\*+/.exec(pattern)?.[0].length ?? 0
  if (stars === 0) return text !== '' && text[0] === pattern[0] && naive(pattern.slice(1), text.slice(1))
  for (let length = 0; length <= text.length; length++) {
    if (stars === 1 && text.slice(0, length).includes('/')) return false
    if (naive(pattern.slice(stars), text.slice(length))) return true
  }
  return false
}

test.each([
  ['web_*', 'web_search', true],
  ['w*k', 'work', true],
  ['w*k', 'walk/book', false],
  ['w**k', 'walk/book', true],
  ['*_search', 'web_search', true],
  ['s*b', 'stub', true],
  ['tools/*', 'tools/call', true],
  ['tools/*', 'tools/call/again', false],
  ['tools/**', 'tools/call/again', true],
  ['**/list', 'a/b/list', true],
  ['*/list', 'a/b/list', false],
  ['a.c', 'abc', false],
  ['a?c', 'abc', false],
  ['a[b]c', 'a[b]c', true],
  ['(a+)+$', 'aaaa', false],
  ['Web_*', 'web_search', false],
  ['ab*ba', 'aba', false],
  ['*', 'tools/call', true],
  ['**', 'tools/call', true],
  ['***', '', true],
])('%s on %s: %s', (pattern, text, expected) => {
  expect(compileGlob(pattern).matches(text)).toBe(expected)
})

test('every pattern agrees with the naive definition, but for a lone star that matches everything', () => {
  console.log(`fast-check seed ${seed}`)
  const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '/', '*', '*'), minLength: 1, maxLength: 9 })
  const text = fc.string({ unit: fc.constantFrom('a', 'a', 'b', '/'), maxLength: 10 })
  fc.assert(
    fc.property(pattern, text, (pattern, text) => {
      const expected = /^\*+$/.test(pattern) || naive(pattern, text)
      expect(compileGlob(pattern).matches(text)).toBe(expected)
    }),
    { seed, numRuns: runs(20_000) },
  )
})

test('a glob is exact, a glob or any, and counts its literal characters', () => {
  expect(compileGlob('ls')).toMatchObject({ class: globClass.exact, literalLength: 2 })
  expect(compileGlob('l*s')).toMatchObject({ class: globClass.glob, literalLength: 2 })
  expect(compileGlob('*')).toMatchObject({ class: globClass.any, literalLength: 0 })
  expect(compileGlob('**')).toMatchObject({ class: globClass.any, literalLength: 0 })
})

test('a pattern that is empty or too long is refused', () => {
  expect(globProblem('')).toMatch(/empty/)
  expect(globProblem('a'.repeat(maxGlobLength))).toBeUndefined()
  expect(globProblem('a'.repeat(maxGlobLength + 1))).toMatch(/200/)
})

test.each<[string, (length: number) => string, boolean]>([
  ['*a'.repeat(99) + '*b', (length) => `${'a'.repeat(length)}/b`, false],
  ['**a*'.repeat(49) + 'b**c', (length) => `${'a'.repeat(length)}c`, false],
  ['**a/*b'.repeat(30) + '**d', (length) => `${'a/b'.repeat(length / 3)}d`, true],
  ['(a+)+**$*!', (length) => `(a+)+${'a$'.repeat(length / 2)}!`, true],
])('matching %s takes time in proportion to the text', (pattern, textOf, expected) => {
  const glob = compileGlob(pattern)
  const bestMs = (length: number): number => {
    const text = textOf(length)
    let best = Number.POSITIVE_INFINITY
    for (let round = 0; round < 5; round++) {
      const start = performance.now()
      expect(glob.matches(text)).toBe(expected)
      best = Math.min(best, performance.now() - start)
    }
    return best
  }
  bestMs(3000)
  // Quadratic time would be a factor of 100, and an exponential matcher would never end.
  expect(bestMs(60_000)).toBeLessThan(50 * bestMs(6000) + 20)
})
