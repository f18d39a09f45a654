// Guarantees of access rules: the first that matches decides, as a naive reading of them says, and explain says the same.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ManualClock } from '../../base/clock.ts'
import { roles } from '../../identity/principal.ts'
import { nouns, type Caller, type Thing } from './access-rule.ts'
import { accessRuleInput, type AccessRuleInput } from './access-rule-input.ts'
import { AccessRules } from './access-rules.ts'
import type { NamedStore } from '../named-store.ts'
import type { AccessRule } from './access-rule.ts'
import { runs } from '../../../test/harness/fuzz.ts'

const seed = Number(process.env['TOLLBRIDGE_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
console.log(`access rules seed ${seed} (TOLLBRIDGE_TEST_SEED)`)

const noStore = {
  list: () => Promise.resolve([]),
  insert: () => Promise.resolve(),
  update: () => Promise.resolve(),
  remove: () => Promise.resolve(),
} as unknown as NamedStore<AccessRule>

const userOf = (letter: string): string => `usr_${letter.repeat(26)}`
const keyOf = (letter: string): string => `key_${letter.repeat(26)}`
const letters = fc.constantFrom('a', 'b')
const names = fc.constantFrom('crm', 'wiki')
const items = fc.constantFrom('read', 'read_all', 'delete', 'delete_all')
const start = Date.UTC(2026, 0, 1)
const times = fc.constantFrom(-1000, 0, 1000).map((ms) => new Date(start + ms).toISOString())

const ruleInputs = fc
  .record(
    {
      priority: fc.integer({ min: 0, max: 3 }),
      server: fc.constantFrom('crm', 'wiki', 'c*', '**'),
      kind: fc.constantFrom(...nouns),
      item: fc.constantFrom('read', 'delete*', '*_all', '**'),
      from: times,
      active: fc.boolean(),
      who: fc.oneof(
        fc.record({ users: fc.array(letters.map(userOf), { minLength: 1, maxLength: 2 }) }),
        fc.record({ keys: fc.array(letters.map(keyOf), { minLength: 1, maxLength: 2 }) }),
        fc.record({ groups: fc.uniqueArray(fc.constantFrom('sales', 'Legal EU'), { minLength: 1 }) }),
        fc.record({ roles: fc.uniqueArray(fc.constantFrom(...roles), { minLength: 1 }) }),
      ),
    },
    { requiredKeys: [] },
  )
  .chain((rest) =>
    fc.tuple(fc.constantFrom('allow', 'deny'), fc.boolean()).map(([effect, isChoosy]) => ({
      ...rest,
      effect,
      ...(isChoosy && rest.kind === 'tool' && { arguments: schema }),
    })),
  )

/** Globs as these tests use them. */
const fits = (pattern: string, text: string): boolean =>
  new RegExp(`^${pattern.replaceAll(/\*+/g, '.*')}$`).test(text)

const schema = { properties: { n: { type: 'number', maximum: 5 } }, required: ['n'] }
type Given = { readonly n?: number } | undefined

function naive(
  inputs: readonly AccessRuleInput[],
  { caller, thing, given }: { caller: Caller; thing: Thing; given: Given },
): boolean {
  const order = inputs.map((input, place) => ({ input, place }))
  order.sort((a, b) => a.input.priority - b.input.priority || a.place - b.place)
  const first = order.find(({ input: { active, from = 0, server, kind, item, who, effect, ...rest } }) => {
    if (!active || from > start || !fits(server, thing.server) || !fits(item, thing.item)) return false
    if (kind !== undefined && kind !== thing.kind) return false
    if (rest.arguments && (given ? !((given.n ?? 9) <= 5) : effect === 'deny')) return false
    const named = [
      ...(who?.users ?? []).map((id) => id === caller.userId),
      ...(who?.keys ?? []).map((id) => id === caller.keyId),
      ...(who?.roles ?? []).map((role) => caller.roles.includes(role)),
      ...(who?.groups ?? []).map((group) => caller.groups?.includes(group) === true),
    ]
    return who === undefined || named.includes(true)
  })
  return first === undefined || first.input.effect === 'allow'
}

test('the first rule that matches decides, as a naive reading says, and explain agrees', async () => {
  const callers = fc.record(
    {
      userId: letters.map(userOf),
      keyId: letters.map(keyOf),
      roles: fc.subarray([...roles]),
      groups: fc.subarray(['sales', 'Legal EU']),
    },
    { requiredKeys: ['userId', 'roles'] },
  )
  const things = fc.record({ server: names, kind: fc.constantFrom(...nouns), item: items })
  await fc.assert(
    fc.asyncProperty(
      fc.array(ruleInputs, { maxLength: 6 }),
      fc.array(fc.tuple(callers, things)),
      async (given, asked) => {
        const rules = new AccessRules({ store: noStore, clock: new ManualClock(start) })
        const inputs = given.map((rule, n) => accessRuleInput.parse({ name: `r${n}`, ...rule }))
        // Ids made in one millisecond are in no order, and rules of one priority go by theirs.
        for (const [n, input] of inputs.entries())
          await rules.create({ ...input, priority: input.priority * 10 + n })
        const ordered = inputs.map((input, n) => ({ ...input, priority: input.priority * 10 + n }))
        for (const [caller, thing] of asked) {
          const expected = naive(ordered, { caller, thing, given: undefined })
          expect(rules.isPermitted(caller, thing)).toBe(expected)
          expect(rules.explain(caller, thing).allowed).toBe(expected)
          for (const given of thing.kind === 'tool' ? [{}, { n: 5 }, { n: 6 }] : []) {
            const isAllowed = naive(ordered, { caller, thing, given })
            expect(rules.explain(caller, thing, given).allowed).toBe(isAllowed)
            if (expected) expect(rules.findMisfit(caller, thing, given) === undefined).toBe(isAllowed)
            // What is not even listed is called in vain, whatever the arguments.
            else expect(isAllowed).toBe(false)
          }
          if (!expected) expect(rules.restricts(thing.server)).toBe(true)
        }
      },
    ),
    { seed, numRuns: runs(500) },
  )
})

test('a change counts at once, and listeners hear of it', async () => {
  const clock = new ManualClock(start)
  const rules = new AccessRules({ store: noStore, clock })
  let heard = 0
  rules.onChange(() => heard++)
  const caller = { userId: userOf('a'), roles: ['member'] as const }
  const thing = { server: 'crm', kind: 'tool', item: 'delete' } as const
  const input = accessRuleInput.parse({
    name: 'x',
    effect: 'deny',
    item: 'del*',
    until: '2026-01-02T00:00:00Z',
  })
  const { id } = await rules.create(input)
  expect([rules.isPermitted(caller, thing), heard]).toEqual([false, 1])
  clock.advance(24 * 60 * 60 * 1000 - 1)
  expect(rules.isPermitted(caller, thing)).toBe(false)
  clock.advance(1)
  expect(rules.isPermitted(caller, thing)).toBe(true)
  clock.set(start)
  await rules.replace(id, { ...input, effect: 'allow' })
  expect(rules.isPermitted(caller, thing)).toBe(true)
  await rules.replace(id, input)
  await rules.remove(id)
  expect([rules.isPermitted(caller, thing), rules.restricts('crm'), heard]).toEqual([true, false, 4])
})
