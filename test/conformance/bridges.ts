// Conformance over the era bridges: each era's suite through the gateway at a server that speaks only the other era.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startTestGateway } from '../harness/gateway.ts'
import { startDualEra, type FixtureEra } from '../upstreams/dual-era.ts'
import { judge, readReasons, type Judged } from './client-mode.ts'
import { requirementSets, runSuite, type RequirementSet } from './suite.ts'

/** The era that the server behind the gateway is restricted to. */
const otherEra: Readonly<Record<RequirementSet, FixtureEra>> = {
  '2025-11-25': 'modern',
  '2026-07-28': 'legacy',
}

/** The suite's Host checks want the name, not the address. */
const byName = (url: string): string => url.replace('127.0.0.1', 'localhost')

/**
 * Runs both suites at the fixture directly, where it speaks their era, and over the bridges. What differs must be in
 * expected-bridge-differences.json, with the reason why the other era has no form for it.
 */
export async function compareBridges(keepIn?: string): Promise<Judged[]> {
  const folder = keepIn ?? mkdtempSync(join(tmpdir(), 'conformance-bridges-'))
  const reasons = readReasons('expected-bridge-differences.json')
  const stops: (() => Promise<unknown>)[] = []
  const start = async (era: FixtureEra) => {
    const fixture = await startDualEra({ era })
    stops.push(() => fixture.stop())
    return fixture
  }
  try {
    const gateway = await startTestGateway()
    stops.unshift(() => gateway.stop())
    const { accountId } = (await gateway.admin.ok('GET', '/api/v1/me')) as { accountId: string }
    const both = await start('both')
    return await Promise.all(
      requirementSets.map(async (set) => {
        const fixture = await start(otherEra[set])
        const name = `only-${otherEra[set]}`
        await gateway.admin.ok('POST', '/api/v1/servers', {
          name,
          access: 'public',
          account: accountId,
          transport: { type: 'streamable-http', url: fixture.url },
        })
        const run = (url: string, way: string) => {
          const own = join(folder, `${way}-${set}`)
          mkdirSync(own, { recursive: true })
          return runSuite(byName(url), set, { folder: own })
        }
        const direct = await run(both.url, 'direct')
        return judge(direct, await run(`${gateway.url}/mcp/${name}`, 'bridged'), reasons)
      }),
    )
  } finally {
    for (const stop of stops) await stop()
    if (keepIn === undefined) rmSync(folder, { recursive: true, force: true })
  }
}
