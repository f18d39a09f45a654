// Guarantees of rule choice: one total order, an explanation that agrees with the fast path, versions by time.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { chooseRule, compareRules, compileRule, type CompiledRule, type RuleHistory } from './choice.ts'
import { RuleFinder } from './finder.ts'
import type { CallFacts, RuleVersion } from './price.ts'

const seed = Date.now() & 0x7fffffff
const check = <Value>(property: fc.IPropertyWithHooks<Value>, numRuns = 1000): void => {
  console.log(`fast-check seed ${seed}`)
  fc.assert(property, { seed, numRuns })
}

function version(more: Partial<RuleVersion> = {}): RuleVersion {
  const what = { ruleId: 'rul_1', version: 1, name: 'rule', price: { perCall: '0.001' } }
  const when = { effectiveFromMs: 0, createdAtMs: 0, billOn: ['success'] as const }
  return { ...what, ...when, priority: 0, active: true, currency: 'USD', match: {}, ...more }
}
const only = (more: Partial<RuleVersion>): RuleHistory => {
  const rule = version({ name: more.ruleId ?? 'rule', ...more })
  return { ruleId: rule.ruleId, versions: [compileRule(rule)] }
}
const someCall = { server: 'stub', method: 'tools/call', tool: 'web_search', user: 'ann', account: 'acc_1' }
const facts = (more: Partial<CallFacts> = {}): CallFacts => {
  const own = { transport: 'streamable-http', currency: 'USD', books: undefined, atMs: 100 }
  return { ...someCall, ...own, ...more }
}

const pattern = fc.constantFrom('*', '**', 'a', 'ab', 'a*', '*b', 'a*b', 'b/**', 'a/b')
const match = fc.record(
  { server: pattern, tool: pattern, method: pattern, user: pattern, account: pattern, transport: pattern },
  { requiredKeys: [] },
)
const time = fc.integer({ min: 0, max: 6 })
const versionBody = fc.record({
  priority: fc.integer({ min: -1, max: 1 }),
  active: fc.boolean(),
  book: fc.constantFrom(undefined, undefined, 'gold', 'acme'),
  currency: fc.constantFrom('USD', 'USD', 'EUR'),
  match,
  effectiveFromMs: time,
  effectiveToMs: fc.option(fc.integer({ min: 1, max: 8 }), { nil: undefined }),
})
const historyBody = fc.record({
  bodies: fc.array(versionBody, { minLength: 1, maxLength: 3 }),
  retiredAtMs: fc.option(time, { nil: undefined, freq: 4 }),
})
const histories = fc.array(historyBody, { maxLength: 8 }).map((list) =>
  list.map(({ bodies, retiredAtMs }, index): RuleHistory => {
    const ruleId = `rul_${index}`
    const versions = bodies.map((body, at) => compileRule(version({ ...body, ruleId, version: at + 1 })))
    return retiredAtMs === undefined ? { ruleId, versions } : { ruleId, versions, retiredAtMs }
  }),
)
const text = fc.constantFrom('a', 'b', 'ab', 'a/b', 'b/a/b', 'xb')
const someBooks = fc.constantFrom<CallFacts['books'][]>(
  undefined,
  { plan: 'gold' },
  { priceBook: 'acme' },
  { priceBook: 'acme', plan: 'gold' },
  { priceBook: 'gold', plan: 'acme' },
)
const someFacts = fc
  .record({
    server: text,
    method: text,
    user: text,
    account: text,
    transport: text,
    books: someBooks,
    atMs: time,
  })
  .chain((rest) => fc.option(text, { nil: undefined }).map((tool) => ({ ...rest, tool, currency: 'USD' })))
  .map(({ tool, ...rest }): CallFacts => (tool === undefined ? rest : { ...rest, tool }))

describe('the order of choice', () => {
  const winner = (list: readonly RuleHistory[], call = facts()): string | undefined =>
    chooseRule(list, call).chosen?.rule.ruleId

  test.each<[string, Partial<RuleVersion>, Partial<RuleVersion>]>([
    ['a higher priority beats specificity', { priority: 1 }, { match: { tool: 'web_search' } }],
    ['an exact tool beats a glob', { match: { tool: 'web_search' } }, { match: { tool: 'web_*' } }],
    ['a glob beats any', { match: { tool: 'web_*' } }, { match: { tool: '*' } }],
    ['the tool counts before the server', { match: { tool: 'web_*' } }, { match: { server: 'stub' } }],
    [
      'the server counts before the method',
      { match: { server: 's*b' } },
      { match: { method: 'tools/call' } },
    ],
    ['the method counts before the user', { match: { method: 'tools/*' } }, { match: { user: 'ann' } }],
    ['the user counts before the account', { match: { user: 'a*' } }, { match: { account: 'acc_1' } }],
    [
      'the account counts before the transport',
      { match: { account: 'acc_*' } },
      { match: { transport: 'streamable-http' } },
    ],
    ['more literal characters win', { match: { tool: 'web_s*' } }, { match: { tool: 'w*' } }],
    ['the newer one wins', { effectiveFromMs: 2 }, { effectiveFromMs: 1 }],
  ])('%s', (_, better, worse) => {
    // The loser has the newer id, so that nothing but the step in question decides.
    const list = [only({ ...better, ruleId: 'rul_1' }), only({ ...worse, ruleId: 'rul_2' })]
    expect(winner(list)).toBe('rul_1')
    expect(winner(list.toReversed())).toBe('rul_1')
    const lost = chooseRule(list, facts()).candidates[1]
    expect(lost).toMatchObject({ ruleId: 'rul_2', matched: true })
    expect(lost?.lostBecause).toContain('rul_1')
  })

  test('the newer id decides between equal rules', () => {
    expect(winner([only({ ruleId: 'rul_2' }), only({ ruleId: 'rul_1' })])).toBe('rul_2')
  })

  test('is total, antisymmetric and transitive', () => {
    const rules = histories.map((list) => list.flatMap((history) => history.versions))
    check(
      fc.property(rules, (list) => {
        const sign = (a: CompiledRule, b: CompiledRule): number => Math.sign(compareRules(a, b))
        for (const a of list)
          for (const b of list) {
            if (a === b) continue
            expect(sign(a, b)).not.toBe(0)
            expect(sign(a, b)).toBe(-sign(b, a))
            for (const c of list) if (sign(a, b) < 0 && sign(b, c) < 0) expect(sign(a, c)).toBe(-1)
          }
      }),
      200,
    )
  })

  test('does not depend on the order in which the rules are kept', () => {
    check(
      fc.property(histories, someFacts, (list, call) => {
        expect(chooseRule(list.toReversed(), call)).toEqual(chooseRule(list, call))
      }),
    )
  })
})

describe('explain', () => {
  test('agrees with the fast path, at any time and in any sequence of calls', () => {
    check(
      fc.property(histories, fc.array(someFacts, { minLength: 1, maxLength: 20 }), (list, calls) => {
        const finder = new RuleFinder(list, { maxCached: 4 })
        for (const call of [...calls, ...calls]) expect(finder.find(call)).toBe(chooseRule(list, call).chosen)
      }),
    )
  })

  test('gives every rule that is not retired one line, and each but the chosen one a reason', () => {
    check(
      fc.property(histories, someFacts, (list, call) => {
        const { chosen, candidates } = chooseRule(list, call)
        const live = list.filter((history) => (history.retiredAtMs ?? Infinity) > call.atMs)
        expect(candidates.map((own) => own.ruleId).sort()).toEqual(live.map((own) => own.ruleId).sort())
        for (const own of candidates)
          expect(own.lostBecause === undefined).toBe(own.ruleId === chosen?.rule.ruleId)
        expect(candidates.some((own) => own.matched)).toBe(chosen !== undefined)
      }),
    )
  })

  test.each<[Partial<RuleVersion>, string]>([
    [{ active: false }, 'Version 1 is not active.'],
    [{ effectiveFromMs: 101 }, 'It takes effect at 1970-01-01T00:00:00.101Z.'],
    [{ effectiveToMs: 100 }, 'Version 1 ended at 1970-01-01T00:00:00.100Z.'],
    [{ currency: 'EUR' }, 'It is priced in EUR and the account pays in USD.'],
    [{ match: { tool: 'file_*' } }, 'Its tool "file_*" does not match "web_search".'],
    [{ match: { user: 'bob' } }, 'Its user "bob" does not match "ann".'],
    [{ book: 'gold' }, 'It is in the book "gold", which this account does not have.'],
  ])('says why %j does not price the call', (more, sentence) => {
    const choice = chooseRule([only(more)], facts())
    expect(choice.chosen).toBeUndefined()
    const own = {
      ruleId: 'rul_1',
      version: 1,
      name: 'rule',
      priority: 0,
      ...(more.book && { book: more.book }),
    }
    expect(choice.candidates).toEqual([{ ...own, matched: false, lostBecause: sentence }])
  })

  test("puts the account's own book before its plan's, and both before the rest, whatever their priorities", () => {
    const rules = [
      only({ ruleId: 'rul_all', priority: 9, match: { tool: 'web_search' } }),
      only({ ruleId: 'rul_gold', priority: 5, book: 'gold' }),
      only({ ruleId: 'rul_acme', book: 'acme' }),
    ]
    const books = { priceBook: 'acme', plan: 'gold' }
    expect(
      chooseRule(rules, facts({ books })).candidates.map((own) => [own.ruleId, own.lostBecause]),
    ).toEqual([
      ['rul_acme', undefined],
      [
        'rul_gold',
        'It is in the book "gold" and stands behind "rul_acme" in the book "acme", the account\'s own.',
      ],
      ['rul_all', 'It is in no book and stands behind "rul_acme" in the book "acme", the account\'s own.'],
    ])
    const planned = chooseRule(rules, facts({ books: { plan: 'gold' } })).candidates
    expect(planned.map((own) => own.ruleId)).toEqual(['rul_gold', 'rul_all', 'rul_acme'])
    expect(planned[1]?.lostBecause).toContain("that of the account's plan")
  })

  test('an account whose books change pays by the new ones at once, and no other account by its answer', () => {
    const rules = [only({ ruleId: 'rul_all' }), only({ ruleId: 'rul_gold', book: 'gold' })]
    const finder = new RuleFinder(rules, { maxCached: 100 })
    for (const _ of [1, 2])
      for (const [books, winner] of [
        [undefined, 'rul_all'],
        [{ plan: 'gold' }, 'rul_gold'],
        [{ priceBook: 'gold' }, 'rul_gold'],
        [{ plan: 'silver' }, 'rul_all'],
      ] as const)
        expect(finder.find(facts({ books }))?.rule.ruleId).toBe(winner)
  })

  test('a rule that names a tool, even by *, does not price what is no tool call', () => {
    const { tool, ...initialize } = facts({ method: 'initialize' })
    expect(tool).toBe('web_search')
    const rules = [only({ match: { tool: '*' } })]
    expect(chooseRule(rules, facts()).chosen).toBeDefined()
    expect(chooseRule(rules, initialize).candidates[0]?.lostBecause).toBe(
      'It asks for a tool, and this call has none.',
    )
    expect(new RuleFinder(rules, { maxCached: 10 }).find(initialize)).toBeUndefined()
    expect(chooseRule([only({ match: { method: '*' } })], initialize).chosen).toBeDefined()
  })
})

test('no rule prices the built-in server, however it matches', () => {
  const rules = [only({ priority: 9 }), only({ match: { server: 'tollbridge' } })]
  const call = facts({ server: 'tollbridge' })
  const choice = chooseRule(rules, call)
  expect(choice.chosen).toBeUndefined()
  expect(choice.candidates[0]?.lostBecause).toBe(
    'Calls of the built-in server are free; no rule prices them.',
  )
  expect(new RuleFinder(rules, { maxCached: 10 }).find(call)).toBeUndefined()
})

describe('versions', () => {
  const v = (number: number, more: Partial<RuleVersion>): CompiledRule =>
    compileRule(version({ version: number, ...more }))

  test('the highest one that has taken effect speaks, and an older one never comes back', () => {
    const history: RuleHistory = {
      ruleId: 'rul_1',
      versions: [
        v(1, { effectiveFromMs: 10 }),
        v(2, { effectiveFromMs: 50 }),
        v(3, { effectiveFromMs: 30, effectiveToMs: 70 }),
        v(4, { effectiveFromMs: 80, active: false }),
      ],
    }
    const finder = new RuleFinder([history], { maxCached: 10 })
    const at = (atMs: number): number | undefined => finder.find(facts({ atMs }))?.rule.version
    const versions = [9, 10, 29, 30, 50, 69, 70, 79, 80, 29].map((atMs) => at(atMs) ?? 'none')
    expect(versions.join(' ')).toBe('none 1 1 3 3 3 none none none 1')
  })

  test('a retired rule prices calls until its retirement and none after', () => {
    const finder = new RuleFinder([{ ...only({}), retiredAtMs: 40 }], { maxCached: 10 })
    expect(finder.find(facts({ atMs: 39 }))).toBeDefined()
    expect(finder.find(facts({ atMs: 40 }))).toBeUndefined()
  })
})

describe('the fast path', () => {
  test('keeps no more answers than its limit, whatever names callers send', () => {
    const finder = new RuleFinder([only({ match: { tool: 'x*' } })], { maxCached: 100 })
    for (let i = 0; i < 1000; i++) {
      finder.find(facts({ tool: `x${i}` }))
      expect(finder.cached).toBeLessThanOrEqual(100)
    }
    const before = finder.cached
    expect(finder.find(facts({ tool: 'x'.repeat(5000) }))).toBeDefined()
    expect(finder.cached).toBe(before)
  })

  test('never takes one call for another, however their texts join', () => {
    const finder = new RuleFinder([only({ match: { user: 'ann', server: 'stub' } })], { maxCached: 100 })
    expect(finder.find(facts({ user: 'ann', server: 'stub' }))).toBeDefined()
    expect(finder.find(facts({ user: 'anns', server: 'tub' }))).toBeUndefined()
    const { tool, ...none } = facts({ method: 'm/t' })
    expect(tool).toBeDefined()
    const tools = new RuleFinder([only({ match: { tool: 't' } })], { maxCached: 100 })
    expect(tools.find(none)).toBeUndefined()
    expect(tools.find(facts({ method: 'm', tool: 't' }))).toBeDefined()
  })

  test('answers a known call within 2 µs among 1,000 rules', () => {
    const rules = Array.from({ length: 1000 }, (_, i) =>
      only({ ruleId: `rul_${i}`, match: { tool: `t${i}_*` } }),
    )
    const finder = new RuleFinder(rules, { maxCached: 1000 })
    const calls = Array.from({ length: 100 }, (_, i) => facts({ tool: `t${i * 7}_run` }))
    let best = Number.POSITIVE_INFINITY
    for (let round = 0; round < 50; round++) {
      const start = performance.now()
      for (let i = 0; i < 10; i++) for (const call of calls) finder.find({ ...call, atMs: 100 + i })
      best = Math.min(best, performance.now() - start)
    }
    console.log(`find: ${best.toFixed(3)} µs`)
    expect(best).toBeLessThan(2)
  })
})
