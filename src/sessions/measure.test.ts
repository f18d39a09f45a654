// Guarantees of measuring: only what a registration trusts is taken, never above its maximum, and nonsense counts as none.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { UsageReport } from '../registry/server.ts'
import type { JsonRpcMessage } from '../wire/json-rpc.ts'
import { maxCostOf, measureOf } from './measure.ts'
import { runs } from '../../test/harness/fuzz.ts'

const report: UsageReport = {
  tokens: { key: 'x/tokens', max: 1000 },
  cost: { key: 'x/cost', max: '2.5' },
}
const answerWith = (meta: unknown): JsonRpcMessage => ({
  jsonrpc: '2.0',
  id: 1,
  result: { content: [], _meta: meta },
})
const measure = (meta: unknown, given: UsageReport | undefined = report) =>
  measureOf(answerWith(meta), given, 'USD')

describe('tokens', () => {
  test.each([
    [0, 0],
    [12, 12],
    ['12', 12],
    [1000, 1000],
    [1001, 1000],
    ['999999999999999', 1000],
  ])('%j is %d', (value, tokens) => {
    expect(measure({ 'x/tokens': value })).toEqual({ tokens })
  })

  test.each([
    [-1],
    [1.5],
    [Number.MAX_SAFE_INTEGER + 1],
    ['1e3'],
    ['-1'],
    ['1.0'],
    [''],
    [null],
    [{}],
    [[1]],
    [true],
  ])('%j counts as none', (value) => {
    expect(measure({ 'x/tokens': value })).toEqual({})
  })
})

describe('a cost', () => {
  test.each([
    ['0.05', 50_000_000n],
    [0.05, 50_000_000n],
    [1e-9, 1n],
    [1e-10, 0n],
    ['0.1234567891234', 123_456_789n],
    [{ amount: '0.5', currency: 'USD' }, 500_000_000n],
    [{ amount: 0.5, currency: 'USD' }, 500_000_000n],
    ['2.500000001', 2_500_000_000n],
    [999_999, 2_500_000_000n],
  ])('%j is understood, and cut to the maximum', (value, upstreamCost) => {
    expect(measure({ 'x/cost': value })).toEqual({ upstreamCost })
  })

  test.each([
    [-0.5],
    ['-0.5'],
    ['1e3'],
    ['1,5'],
    [' 1'],
    [''],
    [null],
    [true],
    [[]],
    [{}],
    [{ amount: '1' }],
    [{ amount: '1', currency: 'EUR' }],
    [{ amount: { amount: '1', currency: 'USD' }, currency: 'USD' }],
    [{ amount: null, currency: 'USD' }],
  ])('%j counts as none', (value) => {
    expect(measure({ 'x/cost': value })).toEqual({})
  })
})

describe('only what the registration names is read', () => {
  const meta = { 'x/tokens': 5, 'x/cost': '1' }

  test('nothing of a server that is not trusted to report', () => {
    expect(measureOf(answerWith(meta), undefined, 'USD')).toEqual({})
  })

  test('one of the two where one is named', () => {
    expect(measure(meta, { tokens: { key: 'x/tokens', max: 10 } })).toEqual({ tokens: 5 })
    expect(measure(meta, { cost: { key: 'x/cost', max: '9' } })).toEqual({ upstreamCost: 10n ** 9n })
  })

  test.each([[undefined], [null], ['text'], [7], [[]], [{}]])('nothing in _meta %j', (value) => {
    expect(measure(value)).toEqual({})
  })

  test('nothing of an answer that is an error', () => {
    const error: JsonRpcMessage = { jsonrpc: '2.0', id: 1, error: { code: -32000, message: 'no' } }
    expect(measureOf(error, report, 'USD')).toEqual({})
  })

  test('no key of the prototype is taken for a report', () => {
    const named = { tokens: { key: 'constructor', max: 5 }, cost: { key: '__proto__', max: '1' } }
    expect(measure({}, named)).toEqual({})
  })
})

test('whatever a server says, it throws nothing and stays within the maximum', () => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  console.log(`fast-check seed ${seed}`)
  const value = fc.oneof(fc.anything(), fc.double(), fc.string(), fc.bigInt().map(String))
  fc.assert(
    fc.property(value, value, (said, cost) => {
      const taken = measure({ 'x/tokens': said, 'x/cost': cost })
      expect((taken.tokens ?? 0) >= 0 && (taken.tokens ?? 0) <= 1000).toBe(true)
      expect(Number.isInteger(taken.tokens ?? 0)).toBe(true)
      expect((taken.upstreamCost ?? 0n) >= 0n && (taken.upstreamCost ?? 0n) <= maxCostOf(report)).toBe(true)
    }),
    { seed, numRuns: runs(1000) },
  )
})
