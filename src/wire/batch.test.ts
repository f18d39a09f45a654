// Batches taken apart: each message keeps its own bytes, and what is no batch is none.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isBatch, splitBatch } from './batch.ts'

const split = (text: string, max = 100) => {
  const parts = splitBatch(Buffer.from(text), max)
  return typeof parts === 'string' ? parts : parts.map((part) => Buffer.from(part).toString())
}

describe('a batch', () => {
  test('is told by its first significant byte', () => {
    expect([' \r\n\t[', '[]', '{}', '', '  ', 'x['].map((text) => isBatch(Buffer.from(text)))).toEqual([
      true,
      true,
      false,
      false,
      false,
      false,
    ])
  })

  test('gives each message as the bytes that came', () => {
    const one = '{"id" : 1,"a":["]}",{"b":"\\"}"}]}'
    expect(split(` [${one} ,\n{} ] `)).toEqual([one, '{}'])
    expect(split('[]')).toEqual([])
  })

  test.each([
    '[',
    '[1]',
    '[{}',
    '[{},]',
    '[,{}]',
    '[{} {}]',
    '[{}]]',
    '[{}] x',
    '[[{}]]',
    '["{}"]',
    '[{"a":[}]',
    '[{"a":"}]',
    '[{]}]',
    '{}',
    '',
  ])('%s is none', (text) => {
    const parts = split(text)
    // What brackets alone do not tell, parsing each message does.
    if (typeof parts !== 'string') expect(() => parts.map((part) => JSON.parse(part) as unknown)).toThrow()
    else expect(parts).toBe('malformed')
  })

  test('of more messages than allowed is refused, however many more', () => {
    expect(split(`[${Array(100).fill('{}').join()}]`)).toHaveLength(100)
    expect(split(`[${Array(101).fill('{}').join()}]`)).toBe('too-many')
    expect(split(`[${Array(100_000).fill('{}').join()}]`)).toBe('too-many')
  })

  test('of any objects is taken apart as JSON has it', () => {
    const objects = fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { maxLength: 20 })
    fc.assert(
      fc.property(objects, fc.constantFrom(undefined, 1, '\t'), (list, indent) => {
        const parts = split(JSON.stringify(list, undefined, indent))
        expect(Array.isArray(parts) && parts.map((part) => JSON.parse(part) as unknown)).toEqual(
          JSON.parse(JSON.stringify(list)),
        )
      }),
    )
  })
})
