// Guarantees of pages: a walk sees everything once, whatever the page size, and a cursor never lies about its place.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeCursor, encodeCursor, pageAfter, type Part } from './cursor.ts'
import { runs } from '../../../test/harness/fuzz.ts'

const seed = Date.now() & 0x7fffffff

const parts = fc
  .uniqueArray(fc.tuple(fc.stringMatching(/^[a-z0-9-]{1,3}$/), fc.nat(5)), { selector: ([name]) => name })
  .map((all) =>
    all
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([server, count]): Part<number> => ({
        server,
        entries: Array.from({ length: count }, (_, item) => ({ exposed: `${server}__${item}`, item })),
      })),
  )

test('a walk sees every item once and in order', () => {
  console.log(`fast-check seed ${seed}`)
  fc.assert(
    fc.property(parts, fc.integer({ min: 1, max: 4 }), (parts, pageSize) => {
      const seen: string[] = []
      let cursor: string | undefined
      do {
        const position = cursor === undefined ? undefined : decodeCursor('l', cursor)
        expect(position === undefined).toBe(cursor === undefined)
        const page = pageAfter(parts, position, pageSize)
        expect(page?.entries.length).toBeLessThanOrEqual(pageSize)
        seen.push(...(page?.entries ?? []).map(({ exposed }) => exposed))
        // A page that ends the list is the last one, so that no empty page follows.
        expect(page?.end === undefined || page.entries.length === pageSize).toBe(true)
        cursor = page?.end && encodeCursor('l', page.end)
      } while (cursor !== undefined)
      expect(seen).toEqual(parts.flatMap(({ entries }) => entries.map(({ exposed }) => exposed)))
    }),
    { seed, numRuns: runs(1000) },
  )
})

const part = (server: string, ...names: string[]): Part<string> => ({
  server,
  entries: names.map((exposed) => ({ exposed, item: exposed })),
})

test('a cursor outlives changes elsewhere and members that go, but not the item that it stands at', () => {
  const position = { server: 'b', after: 'b2' }
  const namesAfter = (...parts: Part<string>[]) =>
    pageAfter(parts, position, 10)?.entries.map(({ exposed }) => exposed)
  expect(namesAfter(part('a', 'new'), part('b', 'b0', 'b1', 'b2', 'b3'), part('c', 'c1'))).toEqual([
    'b3',
    'c1',
  ])
  expect(namesAfter(part('a'), part('c', 'c1'))).toEqual(['c1'])
  expect(namesAfter(part('b', 'b1', 'b3'), part('c', 'c1'))).toBeUndefined()
})

test('no text but a cursor of the same list is one', () => {
  const cursor = encodeCursor('tools/list', { server: 'a', after: 'x' })
  expect(decodeCursor('tools/list', cursor)).toEqual({ server: 'a', after: 'x' })
  expect(decodeCursor('prompts/list', cursor)).toBeUndefined()
  for (const text of [
    '',
    'x',
    '!!',
    'W10',
    Buffer.from('["tools/list","a"]').toString('base64url'),
    'A'.repeat(20_000),
  ])
    expect(decodeCursor('tools/list', text)).toBeUndefined()
})
