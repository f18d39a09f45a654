// The gateway is invisible to the official conformance suite: every check ends through it as it ends without it.
import { beforeAll, describe, expect, test } from 'vitest'
import { compare, differencesOf } from './compare.ts'
import type { Comparison } from './compare.ts'
import type { SuiteRun } from './suite.ts'

describe('conformance through the gateway', () => {
  let result: Comparison
  beforeAll(async () => {
    result = await compare('gateway')
  }, 180_000)

  test('the fixture itself passes every scored scenario of both eras', () => {
    expect(result.direct.map((run) => [run.requirements, run.passed, run.exitCode])).toEqual([
      ['2025-11-25', 84, 0],
      ['2026-07-28', 164, 0],
    ])
  })

  test('no check ends differently through the gateway', () => {
    expect(result.unexpected).toEqual([])
  })

  test('every expected difference still shows', () => {
    expect(result.gone).toEqual([])
  })
})

test('a status that changed, a check that vanished and a check that ran once more are all differences', () => {
  const run = (checks: Record<string, string[]>): SuiteRun => ({
    requirements: '2025-11-25',
    checks: new Map(Object.entries(checks)),
    passed: 0,
    failed: 0,
    exitCode: 0,
    output: '',
  })
  const direct = run({ a: ['SUCCESS'], b: ['SUCCESS'], c: ['SUCCESS'], d: ['INFO'] })
  const through = run({ a: ['FAILURE'], c: ['SUCCESS', 'SUCCESS'], d: ['INFO'] })
  expect(differencesOf(direct, through).map(({ check }) => check)).toEqual(['a', 'b', 'c'])
})
