// Guarantees of globs as sets: what is said to lie inside does, and patterns that meet have a text to show for it.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compileGlob } from './glob.ts'
import { commonText, includes } from './glob-sets.ts'
import { runs } from '../../test/harness/fuzz.ts'

const seed = Date.now() & 0x7fffffff
const check = (property: fc.IPropertyWithHooks<[string, string]>): void => {
  console.log(`fast-check seed ${seed}`)
  fc.assert(property, { seed, numRuns: runs(2000) })
}

const alphabet = ['a', 'b', '/', 'z']
/** Every text of one to five characters; `z` stands for what no pattern names. */
const texts = Array.from({ length: 5 }).reduce<string[][]>(
  (all) => [...all, (all.at(-1) ?? []).flatMap((text) => alphabet.map((more) => text + more))],
  [['']],
)
const universe = texts.flat().filter((text) => text !== '')
const pattern = fc
  .array(fc.constantFrom('a', 'b', '/', '*', '**'), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join(''))

describe('inclusion', () => {
  test('holds exactly where every text of the inner pattern is one of the outer', () => {
    check(
      fc.property(pattern, pattern, (outer, inner) => {
        const [a, b] = [compileGlob(outer), compileGlob(inner)]
        const missed = universe.find((text) => b.matches(text) && !a.matches(text))
        expect([outer, inner, includes(a, b)]).toEqual([outer, inner, missed === undefined])
      }),
    )
  })

  test.each([
    ['**', 'tools/call', true],
    ['*', 'tools/call', true],
    ['tools/*', 'tools/call', true],
    ['tools/*', 'tools/**', false],
    ['tools/**', 'tools/*', true],
    ['web_*', 'web_search*', true],
    ['web_search*', 'web_*', false],
    ['a*', 'a*b*c', true],
    ['*a*', 'xa*', true],
  ])('%s holds %s: %s', (outer, inner, expected) => {
    expect(includes(compileGlob(outer), compileGlob(inner))).toBe(expected)
  })

  test('gives up on what is too entangled within a bounded time, and then says no', () => {
    const outer = compileGlob('*a*b/'.repeat(25))
    const inner = compileGlob('*ab*ba*/'.repeat(20) + 'x')
    const startMs = performance.now()
    expect(includes(outer, inner)).toBe(false)
    expect(performance.now() - startMs).toBeLessThan(5000)
  })
})

describe('a common text', () => {
  test('is matched by both, and is found wherever there is one', () => {
    check(
      fc.property(pattern, pattern, (one, other) => {
        const [a, b] = [compileGlob(one), compileGlob(other)]
        const found = commonText(a, b)
        if (found === undefined)
          expect([one, other, universe.find((text) => a.matches(text) && b.matches(text))]).toEqual([
            one,
            other,
            undefined,
          ])
        else
          expect([one, other, found, a.matches(found), b.matches(found)]).toEqual([
            one,
            other,
            found,
            true,
            true,
          ])
      }),
    )
  })
})
