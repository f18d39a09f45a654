// Runs the conformance suite against the fixture directly and through something, and compares check by check.
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startByteProxy } from '../../bench/byte-proxy.ts'
import { startDualEra } from '../upstreams/dual-era.ts'
import { requirementSets, runSuite } from './suite.ts'
import type { RequirementSet, SuiteRun } from './suite.ts'

/** What stands between the suite and the fixture. */
export type Between = 'gateway' | 'byte-proxy'

/** A check whose statuses are not the same on both ways; `none` where it did not run. */
export interface Difference {
  readonly requirements: RequirementSet
  /** `scenario:checkId` */
  readonly check: string
  readonly direct: string
  readonly through: string
}

/** A difference that is known, with the reason why it stays. */
export interface ExpectedDifference extends Difference {
  readonly reason: string
}

export interface Comparison {
  readonly direct: readonly SuiteRun[]
  readonly through: readonly SuiteRun[]
  /** Differences that nobody expected. */
  readonly unexpected: readonly Difference[]
  /** Expected differences that did not show: the list must be cleared of them. */
  readonly gone: readonly ExpectedDifference[]
}

/** Every check of two runs of one requirement set that does not have the same statuses in both. */
export function differencesOf(direct: SuiteRun, through: SuiteRun): Difference[] {
  const names = [...new Set([...direct.checks.keys(), ...through.checks.keys()])].sort()
  const told = (run: SuiteRun, check: string) => run.checks.get(check)?.join(' ') ?? 'none'
  return names
    .map((check) => ({
      requirements: direct.requirements,
      check,
      direct: told(direct, check),
      through: told(through, check),
    }))
    .filter((difference) => difference.direct !== difference.through)
}

const keyOf = (difference: Difference): string =>
  [difference.requirements, difference.check, difference.direct, difference.through].join('|')

/** The committed list of known differences. */
const readExpected = (): ExpectedDifference[] =>
  JSON.parse(
    readFileSync(join(import.meta.dirname, 'expected-differences.json'), 'utf8'),
  ) as ExpectedDifference[]

interface Way {
  readonly url: string
  stop(): Promise<void>
}

/** A fixture of its own behind the real gateway, or behind the byte proxy. */
async function startThrough(between: Between): Promise<Way> {
  const fixture = await startDualEra()
  if (between === 'byte-proxy') {
    const proxy = await startByteProxy(fixture.url)
    return {
      url: `${proxy.url}/mcp`,
      stop: async () => void (await Promise.all([proxy.stop(), fixture.stop()])),
    }
  }
  try {
    return await startGatewayBefore(fixture)
  } catch (error) {
    await fixture.stop()
    throw error
  }
}

async function startGatewayBefore(fixture: Way): Promise<Way> {
  const { startTestGateway } = await import('../harness/gateway.ts')
  const gateway = await startTestGateway()
  const stop = async () => void (await Promise.all([gateway.stop(), fixture.stop()]))
  const me = await gateway.admin.call('GET', '/api/v1/me')
  const registration = {
    name: 'fixture',
    access: 'public',
    account: (me.json as { accountId: string }).accountId,
    transport: { type: 'streamable-http', url: fixture.url },
  }
  const { status, json } = await gateway.admin.call('POST', '/api/v1/servers', registration)
  if (status === 201) return { url: `${gateway.url}/mcp/fixture`, stop }
  await stop()
  throw new Error(`the fixture was not registered: ${status} ${JSON.stringify(json)}`)
}

/** Both eras at a time: they meet in the fixture only in its legacy sessions and modern listeners, which are apart. */
async function runBothEras(way: Way, folder: string): Promise<SuiteRun[]> {
  try {
    // The suite's Host checks want the name, not the address.
    const url = way.url.replace('127.0.0.1', 'localhost')
    return await Promise.all(requirementSets.map((set) => runSuite(url, set, { folder: join(folder, set) })))
  } finally {
    await way.stop()
  }
}

/** The whole comparison. `keepIn` keeps the suite's files; otherwise they go to a temporary folder. */
export async function compare(between: Between, keepIn?: string): Promise<Comparison> {
  const folder = keepIn ?? mkdtempSync(join(tmpdir(), 'conformance-'))
  try {
    const folders = ['direct', 'through'].map((name) => join(folder, name))
    for (const path of folders) mkdirSync(path, { recursive: true })
    const direct = await runBothEras(await startDualEra(), folders[0] ?? '')
    const through = await runBothEras(await startThrough(between), folders[1] ?? '')
    const found = direct.flatMap((run, index) => differencesOf(run, through[index] ?? run))
    const expected = readExpected()
    const expectedKeys = new Set(expected.map(keyOf))
    const foundKeys = new Set(found.map(keyOf))
    return {
      direct,
      through,
      unexpected: found.filter((difference) => !expectedKeys.has(keyOf(difference))),
      gone: expected.filter((difference) => !foundKeys.has(keyOf(difference))),
    }
  } finally {
    if (keepIn === undefined) rmSync(folder, { recursive: true, force: true })
  }
}
