// Guarantees of declarations: what is exported changes nothing, decimals stay as they are written, and a plan says it all.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readDeclarations, writeDeclarations } from './file.ts'
import type { Item } from './kind.ts'
import { kinds } from './kinds.ts'
import { PlanFaults, planOf } from './plan.ts'

const rules = kinds.find(({ name }) => name === 'rules')
if (!rules) throw new Error('rules can be declared')

const present: Item = {
  id: 'rul_1',
  version: 3,
  name: 'basic',
  priority: 0,
  active: true,
  currency: 'USD',
  match: { server: 'weather' },
  price: { perCall: '0.10', perKb: '0.002' },
  billOn: ['success'],
  effectiveFrom: '2026-01-01T00:00:00.000Z',
  createdAt: '2026-01-01T00:00:00.000Z',
}
const plan = (text: string, there: readonly Item[] = [present], options = {}) =>
  planOf([{ kind: rules, declared: readDeclarations(text, 'file').get('rules'), present: there }], options)

const basic = `tollbridge: 1
rules:
  - name: basic
    currency: USD
    match: { server: weather }
    price: { perCall: 0.10, perKb: 0.002 }
`

describe('a plan', () => {
  test('is empty for what is there, with the defaults left out and decimals without quotes', () => {
    expect(plan(basic)).toEqual({ steps: [], unnamed: [] })
  })

  test('names each member that changes, and sends no other', () => {
    const [step] = plan(basic.replace('0.10', '0.20').replace('perKb: 0.002', 'minimum: 1')).steps
    expect(step).toMatchObject({
      act: 'change',
      id: 'rul_1',
      body: { price: { perCall: '0.20', minimum: '1' } },
    })
    expect(step).toHaveProperty('differences', [
      { member: 'price.perCall', from: '0.10', to: '0.20' },
      { member: 'price.perKb', from: '0.002', to: undefined },
      { member: 'price.minimum', from: undefined, to: '1' },
    ])
  })

  test('takes an end away that is not declared any more', () => {
    const ending = { ...present, effectiveTo: '2026-02-01T00:00:00.000Z' }
    expect(plan(basic, [ending]).steps).toMatchObject([{ act: 'change', body: { effectiveTo: null } }])
  })

  test('leaves alone what the file does not name, unless it prunes', () => {
    const text = 'tollbridge: 1\nrules: []\n'
    expect(plan(text)).toEqual({ steps: [], unnamed: ['rules basic'] })
    expect(plan(text, [present], { prune: true }).steps).toMatchObject([{ act: 'remove', id: 'rul_1' }])
    expect(plan('tollbridge: 1\n', [present], { prune: true }).steps).toEqual([])
  })

  test('is refused where a name is not unique', () => {
    expect(() => plan(basic + basic.split('\n').slice(2).join('\n'))).toThrow(PlanFaults)
    expect(() => plan(basic, [present, { ...present, id: 'rul_2' }])).toThrow(/2 rules called "basic"/)
  })
})

describe('a file', () => {
  test.each([
    ['rules: []', /must begin with `tollbridge: 1`/],
    ['tollbridge: 1\nruels: []', /ruels: is none of .*rules/],
    ['tollbridge: 1\nrules: 3', /must be a list/],
    ['tollbridge: 1\nrules: [', /file: /],
    ['- 1', /holds no declarations/],
  ])('with a fault is refused with a sentence: %j', (text, sentence) => {
    expect(() => readDeclarations(text, 'file')).toThrow(sentence)
  })

  test('that was exported changes nothing', () => {
    const text = fc.string({ minLength: 1, maxLength: 20 })
    const decimal = fc.tuple(fc.nat(999), fc.nat(999)).map(([whole, part]) => `${whole}.${part}`)
    const rule = fc.record({
      id: fc.uuid(),
      name: text,
      priority: fc.integer({ min: -5, max: 5 }),
      active: fc.boolean(),
      currency: fc.constant('USD'),
      match: fc.dictionary(
        fc.constantFrom('server', 'tool'),
        fc.constantFrom('a*', 'null', '1.0', 'true', '~'),
      ),
      price: fc.record({ perCall: decimal, maximum: decimal }),
      billOn: fc.constantFrom(['success'], ['success', 'error']),
    })
    const all = fc.uniqueArray(rule, { selector: ({ name }) => name, maxLength: 5 })
    const seed = Math.floor(Math.random() * 2 ** 31)
    console.log(`fast-check seed ${seed}`)
    fc.assert(
      fc.property(all, (made) => {
        // As the API gives them.
        const items = JSON.parse(JSON.stringify(made)) as Item[]
        const written = writeDeclarations(new Map([['rules', items]]))
        expect(plan(written, items, { prune: true })).toEqual({ steps: [], unnamed: [] })
      }),
      { seed },
    )
  })
})
