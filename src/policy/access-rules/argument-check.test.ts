// Guarantees of argument checks: standard JSON Schema, in linear time, and nothing that is not understood is let pass.
import { expect, test } from 'vitest'
import { compileArguments } from './argument-check.ts'

test.each([
  [{ properties: { amount: { type: 'number', maximum: 100 } } }, { amount: 101 }, '/amount must be <= 100'],
  [{ properties: { amount: { type: 'number', maximum: 100 } } }, { amount: 100 }, undefined],
  [{ properties: { to: { type: 'string', pattern: '@example\\.com$' } } }, { to: 'a@evil.com' }, /pattern/],
  [
    { properties: { to: { type: 'string', pattern: '@example\\.com$' } } },
    { to: 'a@example.com' },
    undefined,
  ],
  [
    {
      properties: { a: { type: 'string', pattern: '^a' }, b: { type: 'string', pattern: '^b' } },
    },
    { a: 'a', b: 'a' },
    '/b must match pattern "^b"',
  ],
  [{ properties: { p: { type: 'string', pattern: 'ü.𝒳' } } }, { p: 'ü🚀𝒳' }, undefined],
  [{ required: ['reason'] }, {}, "they must have required property 'reason'"],
  [{ additionalProperties: false, properties: { a: {} } }, { b: 1 }, /additional properties/],
  [
    { properties: { a: { type: 'array', uniqueItems: true } } },
    {
      a: [
        { x: 1, y: 2 },
        { y: 2, x: 1 },
      ],
    },
    /twice/,
  ],
  [{ properties: { a: { type: 'array', uniqueItems: true } } }, { a: [1, '1', [1]] }, undefined],
  [{ not: { required: ['force'] } }, { force: true }, /NOT/],
])('%o of %o', (schema, given, problem) => {
  const told = compileArguments(schema)(given)
  if (problem instanceof RegExp) expect(told).toMatch(problem)
  else expect(told).toBe(problem)
})

test.each([
  [{ maxmum: 3 }, /unknown keyword/],
  [{ type: 'strin' }, /type/],
  [{ properties: { a: { type: 'string', format: 'email' } } }, /unknown format/],
  [{ properties: { a: { type: 'string', pattern: '(a)\\1' } } }, /pattern|escape/i],
  [{ properties: { a: { type: 'string', pattern: '(?=a)' } } }, /pattern|Perl|group/i],
  [{ properties: { amount: { maximum: 100 } } }, /missing type "number,?/],
  [{ $ref: 'https://example.com/schema' }, /can't resolve reference/],
  [{ $async: true, properties: {} }, /asynchronous/],
  [{ description: 'x'.repeat(20_000) }, /larger/],
])('%o is refused', (schema, why) => {
  expect(() => compileArguments(schema)).toThrow(why)
})

test('what cannot be checked does not fit', () => {
  expect(compileArguments({ $ref: '#' })({})).toBe('they cannot be checked')
})

test('a pattern takes linear time', () => {
  const check = compileArguments({ properties: { a: { type: 'string', pattern: '^(a+)+$' } } })
  const started = performance.now()
  expect(check({ a: `${'a'.repeat(50_000)}!` })).toMatch(/pattern/)
  expect(performance.now() - started).toBeLessThan(1000)
})
