// Guarantees of the linter: what it calls hidden is never chosen, what it calls a tie is one, and it says which tools are free.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { chooseRule, compileRule, type RuleHistory } from '../choice.ts'
import type { CallFacts, RuleVersion } from '../price.ts'
import { withDrafts } from '../drafts/preview.ts'
import type { RuleDraft } from '../drafts/store.ts'
import { causedBy } from './caused.ts'
import { lint, lintInTurns } from './lint.ts'
import { runs } from '../../../test/harness/fuzz.ts'

const seed = Date.now() & 0x7fffffff
const nowMs = 3

function version(more: Partial<RuleVersion> = {}): RuleVersion {
  const what = { ruleId: 'rul_1', version: 1, price: { perCall: '0.001' } }
  const when = { effectiveFromMs: 0, createdAtMs: 0, billOn: ['success'] as const }
  const { ruleId = 'rul_1' } = more
  return { name: ruleId, ...what, ...when, priority: 0, active: true, currency: 'USD', match: {}, ...more }
}
const only = (more: Partial<RuleVersion>): RuleHistory => {
  const rule = version(more)
  return { ruleId: rule.ruleId, versions: [compileRule(rule)] }
}
const findings = (...rules: Partial<RuleVersion>[]) =>
  lint({ histories: rules.map((rule, at) => only({ ruleId: `rul_${at + 1}`, ...rule })), nowMs }).findings
const kinds = (...rules: Partial<RuleVersion>[]) =>
  findings(...rules).map(({ kind, severity, rules: named }) => [kind, severity, ...named.map(({ id }) => id)])

describe('two rules', () => {
  test('that differ in nothing but their age and meet are ambiguous, with a call that both match', () => {
    const [finding] = findings(
      { match: { tool: 'ab*' }, price: { perCall: '1' } },
      { match: { tool: '*ba' }, price: { perCall: '2' } },
    )
    expect(finding).toMatchObject({ kind: 'ambiguous', severity: 'error' })
    expect(finding?.sentence).toContain('a call with the tool "aba"')
  })

  test('that charge the same are worth a warning, and those that never meet nothing', () => {
    expect(kinds({ match: { tool: 'a*' } }, { match: { tool: '*b' } })).toEqual([
      ['ambiguous', 'warning', 'rul_2', 'rul_1'],
    ])
    for (const [one, other] of [
      [{ match: { tool: 'a*' } }, { match: { tool: 'b*' } }],
      [{ match: { tool: 'a*' } }, { match: { tool: '*b' }, priority: 1 }],
      [{ match: { tool: 'a*' } }, { match: { tool: '*b' }, currency: 'EUR' }],
      [{ match: { tool: 'a*' } }, { match: { tool: '*b' }, book: 'gold' }],
      [{ match: { tool: 'a*' } }, { match: { tool: '*b' }, active: false }],
      [
        { match: { tool: 'a*' }, effectiveToMs: 9 },
        { match: { tool: '*b' }, effectiveFromMs: 9 },
      ],
      [{ match: { tool: 'a*' } }, { match: { tool: '*b' }, effectiveToMs: nowMs }],
    ] satisfies [Partial<RuleVersion>, Partial<RuleVersion>][])
      expect(kinds(one, other)).toEqual([])
  })

  test('of which one hides the other for ever are reported, the hidden one first', () => {
    expect(kinds({ priority: 1, match: { tool: 'web_*' } }, { match: { tool: 'web_search' } })).toEqual([
      ['shadowed', 'error', 'rul_2', 'rul_1'],
    ])
    expect(findings({ priority: 1 }, { match: { tool: 'x' } })[0]?.sentence).toBe(
      'The rule "rul_2" is never chosen, since the rule "rul_1" stands before it and matches all that it matches.',
    )
  })

  test('of which one hides the other for some calls, for some time or for some accounts are not', () => {
    for (const cover of [
      { match: { tool: 'web_search' } },
      { match: { tool: '*' } },
      { match: { user: 'ann' } },
      { effectiveToMs: 100 },
      { effectiveFromMs: 100 },
      { book: 'gold' },
      { currency: 'EUR' },
    ])
      expect([cover, kinds({ priority: 1, ...cover }, { match: { server: 'stub' } })]).toEqual([cover, []])
  })
})

const pattern = fc.constantFrom('*', '**', 'a', 'ab', 'a*', '*b', 'a*b', 'a/**', 'a/*', 'a/b')
const match = fc.oneof(
  fc.record({ tool: pattern }),
  fc.record({ server: pattern, tool: pattern, user: pattern }, { requiredKeys: [] }),
)
const time = fc.integer({ min: 0, max: 6 })
const body = fc.record({
  priority: fc.constantFrom(0, 0, 1),
  active: fc.constantFrom(true, true, true, false),
  currency: fc.constantFrom('USD', 'USD', 'EUR'),
  book: fc.constantFrom(undefined, undefined, 'gold'),
  match,
  price: fc.constantFrom({ perCall: '1' }, { perCall: '2' }),
  effectiveFromMs: time,
  effectiveToMs: fc.constantFrom(undefined, undefined, undefined, 2, 5, 8),
})
const histories = fc
  .array(
    fc.record({
      bodies: fc.array(body, { minLength: 1, maxLength: 2 }),
      retiredAtMs: fc.constantFrom(undefined, undefined, undefined, 2, 5),
    }),
    { minLength: 3, maxLength: 9 },
  )
  .map((list) =>
    list.map(({ bodies, retiredAtMs }, index): RuleHistory => {
      const ruleId = `rul_${index}`
      const versions = bodies.map((own, at) => compileRule(version({ ...own, ruleId, version: at + 1 })))
      return retiredAtMs === undefined ? { ruleId, versions } : { ruleId, versions, retiredAtMs }
    }),
  )

const texts = ['a', 'b', 'ab', 'axb', 'a/b', 'a/x', 'a/b/b', 'x']
const calls: CallFacts[] = texts.flatMap((server) =>
  [undefined, ...texts].flatMap((tool) =>
    ['a', 'ab', 'x', 'a/b'].flatMap((user) =>
      [undefined, { plan: 'gold' }].flatMap((books) =>
        [3, 4, 5, 6, 7, 8].map((atMs) => {
          const facts = {
            server,
            user,
            books,
            atMs,
            method: 'm',
            account: 'acc',
            transport: 't',
            currency: 'USD',
          }
          return tool === undefined ? facts : { ...facts, tool }
        }),
      ),
    ),
  ),
)

describe('over random rules', () => {
  test('a rule that is called hidden is chosen for no call, and brute force finds ties wherever there are any', () => {
    console.log(`fast-check seed ${seed}`)
    const seen = { shadowed: 0, ambiguous: 0 }
    fc.assert(
      fc.property(histories, (list) => {
        const found = lint({ histories: list, nowMs }).findings
        const hidden = found.filter(({ kind }) => kind === 'shadowed').map(({ rules: [first] }) => first)
        const names = new Set(hidden.map((rule) => `${rule?.id} ${rule?.version}`))
        seen.shadowed += names.size
        seen.ambiguous += found.filter(({ kind }) => kind === 'ambiguous').length
        for (const call of names.size > 0 ? calls : []) {
          const { rule } = chooseRule(list, call).chosen ?? {}
          if (rule) expect(names.has(`${rule.ruleId} ${rule.version}`)).toBe(false)
        }
        const ties = new Set(
          found
            .filter(({ kind }) => kind === 'ambiguous')
            .map(({ rules }) =>
              rules
                .map(({ id, version: number }) => `${id} ${number}`)
                .toSorted()
                .join(),
            ),
        )
        for (const call of calls.filter((_, at) => at % 7 === 0)) {
          const { candidates, chosen } = chooseRule(list, call)
          const byAge = candidates.filter(({ lostBecause }) =>
            /^It took effect at|^It equals/.test(lostBecause ?? ''),
          )
          for (const { ruleId, version: number, matched } of byAge) {
            if (!matched || !chosen) continue
            const pair = [`${ruleId} ${number}`, `${chosen.rule.ruleId} ${chosen.rule.version}`]
            expect([...ties]).toContain(pair.toSorted().join())
          }
        }
      }),
      { seed, numRuns: runs(800) },
    )
    // A generator that never makes one would prove nothing.
    console.log(`hidden ${seen.shadowed}, ties ${seen.ambiguous}`)
    expect(seen.shadowed).toBeGreaterThan(10)
    expect(seen.ambiguous).toBeGreaterThan(2)
  })
})

describe('tools', () => {
  const tools = (currencies: string[], ...rules: Partial<RuleVersion>[]) =>
    lint({
      histories: rules.map((rule, at) => only({ ruleId: `rul_${at}`, ...rule })),
      nowMs,
      tools: { servers: [{ server: 'weather', tools: ['now', 'later'] }], currencies },
    }).findings.map(({ kind, sentence }) => [kind, sentence])

  test('that no rule prices are named, a whole server at once', () => {
    expect(tools(['USD'])).toEqual([['unpriced', 'All 2 tools of "weather" are priced by no rule.']])
    expect(tools(['USD'], { match: { tool: 'now' } })).toEqual([
      ['unpriced', 'The tool "later" of "weather" is priced by no rule.'],
    ])
    expect(tools(['USD'], {})).toEqual([])
    expect(tools(['USD'], { effectiveFromMs: 100 })).toHaveLength(1)
  })

  test('that are priced for some callers alone are told apart', () => {
    for (const some of [{ book: 'gold' }, { match: { user: 'ann' } }, { match: { account: 'acc_*' } }])
      expect(tools(['USD'], { name: 'some', ...some })).toEqual([
        [
          'partly-unpriced',
          'All 2 tools of "weather" are priced for some callers alone, by "some"; calls of the others are unpriced.',
        ],
      ])
    expect(tools(['USD'], { match: { user: '*' } })).toEqual([])
  })

  test('that are not priced in a currency in which accounts pay are told', () => {
    expect(tools(['USD', 'EUR'], {})).toEqual([
      [
        'mixed-currency',
        'All 2 tools of "weather" are priced in USD and not in EUR, in which accounts pay; their calls are unpriced.',
      ],
    ])
    expect(tools(['USD', 'EUR'], {}, { currency: 'EUR' })).toEqual([])
  })
})

describe('drafts', () => {
  const draft = (more: object, rest: Partial<RuleDraft> = {}): RuleDraft => ({
    id: 'drf_1',
    ruleId: 'rul_9',
    rule: {
      name: 'new',
      priority: 0,
      active: true,
      currency: 'USD',
      match: {},
      price: { perCall: '1' },
      billOn: ['success'],
      ...more,
    },
    createdAtMs: 0,
    updatedAtMs: 0,
    ...rest,
  })
  const caused = (published: RuleHistory[], ...drafts: RuleDraft[]) => {
    const after = lint({ histories: withDrafts(published, drafts, { nowMs }), nowMs })
    return causedBy(after.findings, lint({ histories: published, nowMs }).findings)
  }

  test('answer for what they bring, not for what was there', () => {
    const published = [
      only({ ruleId: 'rul_1', match: { tool: 'a' }, price: { perCall: '1' } }),
      only({ ruleId: 'rul_2', match: { tool: 'a' }, price: { perCall: '2' } }),
    ]
    expect(caused(published, draft({ match: { tool: 'b' } }))).toEqual([])
    expect(caused(published, draft({ match: { tool: 'a' }, price: { perCall: '3' } }))[0]).toMatchObject({
      severity: 'error',
      rules: expect.arrayContaining([{ id: 'rul_9', version: 1, name: 'new', draft: 'drf_1' }]),
    })
  })

  test('stand in place of the version that they replace', () => {
    const published = [
      only({ ruleId: 'rul_1', priority: 5, match: { tool: 'a*' } }),
      only({ ruleId: 'rul_2', match: { tool: 'b' } }),
    ]
    const next = { ruleId: 'rul_1', basedOn: 1 }
    expect(caused(published, draft({ priority: 5, match: { tool: 'b*' } }, next))).toMatchObject([
      { kind: 'shadowed', rules: [{ id: 'rul_2' }, { id: 'rul_1', version: 2, draft: 'drf_1' }] },
    ])
  })
})

describe('many rules', () => {
  test('are linted in turns that leave the event loop free, within a bound', async () => {
    const many = Array.from({ length: 3000 }, (_, at) =>
      only({ ruleId: `rul_${at}`, priority: at % 50, match: { server: `s${at % 300}_*`, tool: `t${at}_*` } }),
    )
    let longestMs = 0
    let lastMs = performance.now()
    const timer = setInterval(() => {
      longestMs = Math.max(longestMs, performance.now() - lastMs)
      lastMs = performance.now()
    }, 1)
    const startMs = performance.now()
    const result = await lintInTurns({ histories: many, nowMs })
    clearInterval(timer)
    console.log(
      `3,000 rules: ${Math.round(performance.now() - startMs)} ms, longest turn ${Math.round(longestMs)} ms`,
    )
    expect(result).toMatchObject({ findings: [], rules: 3000, complete: true })
    expect(longestMs).toBeLessThan(500)
    const limited = await lintInTurns({ histories: many, nowMs }, { maxSteps: 3 })
    expect(limited.complete).toBe(false)
  })
})
