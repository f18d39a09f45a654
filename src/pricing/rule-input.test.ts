// Guarantees of rule input: whatever is unknown, malformed or out of bounds is refused and named by its pointer.
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { GatewayError } from '../base/errors.ts'
import { quoteInput, readInput, ruleInput, rulePatch } from './rule-input.ts'

const valid = { name: 'web', currency: 'USD', match: { tool: 'web_*' }, price: { perCall: '0.01' } }

function refusal(schema: z.ZodType, input: unknown): GatewayError {
  try {
    readInput(schema, input)
  } catch (error) {
    expect(error).toBeInstanceOf(GatewayError)
    return error as GatewayError
  }
  throw new Error(`${JSON.stringify(input)} was taken`)
}
const fieldsOf = (schema: z.ZodType, input: unknown): string[] =>
  refusal(schema, input).fields.map((own) => own.field)

test('a rule that names only what it must gets the defaults of the contract', () => {
  expect(readInput(ruleInput, { name: 'all', currency: 'JPY', price: { perCall: '1' } })).toEqual({
    name: 'all',
    priority: 0,
    active: true,
    currency: 'JPY',
    match: {},
    price: { perCall: '1' },
    billOn: ['success'],
  })
})

test('a patch keeps only what it names', () => {
  expect(readInput(rulePatch, { active: false })).toEqual({ active: false })
  expect(readInput(rulePatch, { effectiveTo: null })).toEqual({ effectiveTo: null })
})

describe('a rule and a patch with a faulty field are refused, naming it', () => {
  test.each<[object, ...string[]]>([
    [{ colour: 'red', size: 1 }, '/colour', '/size'],
    [{ match: { 'to/ol~': 'x' } }, '/match/to~1ol~0'],
    [{ price: {} }, '/price'],
    [{ price: { perCall: 0.001 } }, '/price/perCall'],
    [{ price: { perCall: '-1' } }, '/price/perCall'],
    [{ price: { perKb: '0.0000000000001' } }, '/price/perKb'],
    [{ price: { perKb: '1e-3' } }, '/price/perKb'],
    [{ price: { perSecond: '1000000000' } }, '/price/perSecond'],
    [{ price: { minimum: '2', maximum: '1.999' } }, '/price/minimum'],
    [{ price: { perCall: 'x', minimum: 'y' } }, '/price/perCall', '/price/minimum'],
    [{ currency: 'usd' }, '/currency'],
    [{ currency: 'XXX' }, '/currency'],
    [{ match: { tool: '' } }, '/match/tool'],
    [{ match: { tool: 'a'.repeat(201) } }, '/match/tool'],
    [{ match: [] }, '/match'],
    [{ priority: 1.5 }, '/priority'],
    [{ priority: '1' }, '/priority'],
    [{ priority: 1_000_001 }, '/priority'],
    [{ priority: -1_000_001 }, '/priority'],
    [{ active: 'yes' }, '/active'],
    [{ billOn: [] }, '/billOn'],
    [{ billOn: ['won'] }, '/billOn/0'],
    [{ billOn: ['success', 'success'] }, '/billOn'],
    [{ effectiveFrom: 'tomorrow' }, '/effectiveFrom'],
    [{ effectiveTo: '2026-02-30T00:00:00Z' }, '/effectiveTo'],
    [{ name: '' }, '/name'],
    [{ name: 'n'.repeat(201) }, '/name'],
  ])('%j', (more, ...fields) => {
    expect(fieldsOf(ruleInput, { ...valid, ...more })).toEqual(fields)
    expect(fieldsOf(rulePatch, more)).toEqual(fields)
  })
})

test.each([undefined, null, 7, 'rule', [], {}])('%j is neither a rule nor a patch', (body) => {
  expect(refusal(ruleInput, body).code).toBe('validation_failed')
  expect(refusal(rulePatch, body).code).toBe('validation_failed')
})

const steps = (...ends: (string | null)[]) => ({
  mode: 'graduated',
  unit: 'call',
  steps: ends.map((upTo) => ({ upTo, unitPrice: '1' })),
})

test.each([
  [{ tiers: steps() }, '/price/tiers/steps'],
  [{ tiers: steps('1') }, '/price/tiers/steps/0/upTo'],
  [{ tiers: steps(null, null) }, '/price/tiers/steps/0/upTo'],
  [{ tiers: steps('2', '2.0', null) }, '/price/tiers/steps/1/upTo'],
  [{ tiers: steps('0', null) }, '/price/tiers/steps/0/upTo'],
  [{ tiers: { ...steps(null), mode: 'stairs' } }, '/price/tiers/mode'],
  [{ tiers: { ...steps(null), period: 'year' } }, '/price/tiers/period'],
  [{ package: { unit: 'call', size: '0', price: '1' } }, '/price/package/size'],
  [{ package: { unit: 'hour', size: '1', price: '1' } }, '/price/package/unit'],
  [{ percentage: { rate: '1001', of: 'upstreamCost' } }, '/price/percentage/rate'],
  [{ percentage: { rate: '0.2', of: 'profit' } }, '/price/percentage/of'],
  [{ tiers: steps(null), package: { unit: 'call', size: '1', price: '1' } }, '/price/package'],
])('a price that counts over a period is refused where it cannot be meant: %j', (price, field) => {
  expect(refusal(ruleInput, { ...valid, price }).fields).toEqual([{ field, message: expect.any(String) }])
})

test('a price that counts over a period counts months and accounts where it says nothing', () => {
  const read = (price: object) => readInput(ruleInput, { ...valid, price }).price
  expect(read({ tiers: steps('1', null) })).toMatchObject({ tiers: { period: 'month', per: 'account' } })
  expect(read({ package: { unit: 'kb', size: '10', price: '1' } })).toMatchObject({
    package: { period: 'month', per: 'account' },
  })
})

test('a quote names every faulty quantity', () => {
  const usage = { calls: '-1', kb: 3, seconds: '2', hours: '1' }
  expect(fieldsOf(quoteInput, { price: { perCall: '1' }, usage }).sort()).toEqual(
    ['/usage/calls', '/usage/kb', '/usage/hours'].sort(),
  )
  expect(readInput(quoteInput, { price: { perCall: '1' }, usage: { kb: '2.5' } })).toEqual({
    price: { perCall: '1' },
    usage: { kb: '2.5' },
    currency: 'USD',
  })
})

test('the schemas can be written as JSON Schema, strict, with decimals as strings', () => {
  for (const schema of [ruleInput, rulePatch, quoteInput]) {
    const written = z.toJSONSchema(schema, { io: 'input' })
    expect(written).toMatchObject({ type: 'object', additionalProperties: false })
    expect(JSON.stringify(written)).toContain('"perCall":{"type":"string","pattern"')
  }
})
