// What scenario servers of the official conformance suite see of a client is the same with the gateway in between.
import { beforeAll, describe, expect, test } from 'vitest'
import { compareClientMode, judge, type Judged } from './client-mode.ts'
import type { SuiteRun } from './suite.ts'

describe('a client behind the gateway', () => {
  let results: Judged[]
  beforeAll(async () => {
    results = await compareClientMode()
  }, 240_000)

  test('fails no check of a scenario when it is alone', () => {
    expect(results.map(({ direct }) => [direct.requirements, direct.passed, direct.failed])).toEqual([
      ['2025-11-25', 20, 0],
      ['2026-07-28', 64, 0],
    ])
  })

  test('is seen by every scenario as it is without it', () => {
    expect(results.flatMap(({ unexpected }) => unexpected)).toEqual([])
  })

  test('has no reason on its list for a difference that is not there', () => {
    expect(results.flatMap(({ gone }) => gone)).toEqual([])
  })
})

test('a difference without a reason, and a reason without a difference, are both told', () => {
  const run = (checks: Record<string, string[]>): SuiteRun => ({
    requirements: '2026-07-28',
    checks: new Map(Object.entries(checks)),
    passed: 0,
    failed: 0,
    exitCode: 0,
    output: '',
  })
  const reasons = { '2025-11-25': {}, '2026-07-28': { b: 'known', c: 'gone' } }
  const direct = run({ a: ['SUCCESS'], b: ['SUCCESS'], c: ['SUCCESS'] })
  const { unexpected, gone } = judge(direct, run({ a: ['FAILURE'], b: ['FAILURE'], c: ['SUCCESS'] }), reasons)
  expect([unexpected.map(({ check }) => check), gone]).toEqual([['a'], ['c']])
})
