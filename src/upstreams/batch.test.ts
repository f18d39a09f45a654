// Guarantees of batches: exactly their objects come out, byte for byte, whatever stands in them.
import { expect, test } from 'vitest'
import { isBatch } from '../wire/batch.ts'
import { splitBatch } from './batch.ts'

const split = (text: string, max = 1000): string[] | false => {
  const parts: string[] = []
  return splitBatch(Buffer.from(text), max, (part) => parts.push(part.toString())) && parts
}

const seed = Math.floor(Math.random() * 2 ** 31)
let state = seed
const random = (below: number): number => {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0
  return Math.floor((state / 2 ** 32) * below)
}
const texts = ['"', '\\', '[', ']', '{', '}', ',', ':', '\n', 'é', '\u2028', 'x']

function value(depth: number): unknown {
  const kind = random(depth > 3 ? 3 : 5)
  if (kind === 0) return random(1000) / 8
  if (kind === 1) return Array.from({ length: random(5) }, () => texts[random(texts.length)]).join('')
  if (kind === 2) return [true, false, null][random(3)]
  if (kind === 3) return Array.from({ length: random(4) }, () => value(depth + 1))
  return object(depth + 1)
}
/** Node 24's JSON.parse mistakes some keys for earlier ones that end in a backslash, so that none does here. */
const key = (): string => String(value(9)).replaceAll('\\', '')
const object = (depth: number): object =>
  Object.fromEntries(Array.from({ length: random(4) }, () => [key(), value(depth)]))

test(`any batch comes apart into its objects (seed ${seed})`, () => {
  for (let round = 0; round < 2000; round++) {
    const items = Array.from({ length: random(6) }, () => (random(5) === 0 ? value(2) : object(0)))
    const indent = [0, 1, '\t'][random(3)]
    const text = `${' '.repeat(random(3))}${JSON.stringify(items, undefined, indent)}${'\r\n'.repeat(random(2))}`
    const objects = items.filter((item) => typeof item === 'object' && item !== null && !Array.isArray(item))
    expect(isBatch(Buffer.from(text))).toBe(true)
    const parts = split(text)
    expect(parts && parts.map((part) => JSON.parse(part) as unknown)).toEqual(objects)
    for (const part of parts || []) expect(text).toContain(part)
  }
})

test.each(['[{}', '[{}]]', '[{}] x', '[{}},{}]', '[', '[]', '[1,"{}",[{}]]', '[{"a":"\\"]', '["'])(
  '%s holds no message',
  (text) => {
    expect(split(text)).toEqual([])
  },
)

test('of more messages than allowed none is handed over', () => {
  expect(split(`[${'{},'.repeat(9)}{}]`, 10)).toHaveLength(10)
  expect(split(`[${'{},'.repeat(10)}{}]`, 10)).toBe(false)
})

test.each(['{}', ' {"a":[]}', '', '  ', '"["'])('%j is no batch', (text) => {
  expect(isBatch(Buffer.from(text))).toBe(false)
})
