// Each era's official conformance suite at a server of the other era: what differs is listed, each with its reason.
import { beforeAll, describe, expect, test } from 'vitest'
import { compareBridges } from './bridges.ts'
import { readReasons, type Judged } from './client-mode.ts'

describe('conformance over the bridges', () => {
  const { pending, ...reasons } = readReasons('expected-bridge-differences.json')
  let results: Judged[]
  beforeAll(async () => {
    results = await compareBridges()
  }, 240_000)

  test('the fixture itself passes every scored scenario of both eras', () => {
    expect(results.map(({ direct }) => [direct.requirements, direct.passed, direct.exitCode])).toEqual([
      ['2025-11-25', 84, 0],
      ['2026-07-28', 164, 0],
    ])
  })

  test(pending ?? 'no check ends differently without a reason', () => {
    const unexpected = results.flatMap((result) => result.unexpected)
    if (pending === undefined) expect(unexpected).toEqual([])
    else
      expect(unexpected.length, 'nothing differs any more: take "pending" out of the list').toBeGreaterThan(0)
  })

  test('every reason is of a difference that shows', () => {
    expect(results.flatMap(({ gone }) => gone)).toEqual([])
    for (const reason of Object.values(reasons).flatMap((list) => Object.values(list)))
      expect(reason.length).toBeGreaterThan(20)
  })
})
