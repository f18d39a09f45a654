// The gateway, as an OAuth client of servers, passes every scenario of the official conformance suite that is for it.
import { beforeAll, expect, test } from 'vitest'
import { authScenarios, runAuthScenarios } from './upstream-auth.ts'

let runs: Awaited<ReturnType<typeof runAuthScenarios>>
beforeAll(async () => {
  runs = await runAuthScenarios()
}, 400_000)

test.each(authScenarios.flatMap(([revision, names]) => names.map((name) => `${revision} ${name}`)))(
  '%s',
  (name) => {
    const run = runs.get(name)
    expect(run?.failed, run?.output.slice(-4000)).toBe(0)
    // A scenario that was skipped, or never reached, has no check.
    expect(run?.passed).toBeGreaterThan(1)
  },
)
