// The conformance suite's client mode: what scenario servers see of a client directly, and of one behind the gateway.
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { differencesOf, type Difference } from './compare.ts'
import { requirementSets, runClientScenarios, type RequirementSet, type SuiteRun } from './suite.ts'

/** All scenarios but those of OAuth, in which the gateway is the client (`upstream-auth.ts`), and of extensions. */
const clientScenarios: Readonly<Record<RequirementSet, readonly string[]>> = {
  '2025-11-25': [
    'initialize',
    'tools_call',
    'elicitation-sep1034-client-defaults',
    'sse-retry',
    'json-schema-2020-12-preservation',
  ],
  '2026-07-28': [
    'tools_call',
    'request-metadata',
    'sep-2322-client-request-state',
    'http-standard-headers',
    'http-custom-headers',
    'http-invalid-tool-headers',
    'json-schema-ref-no-deref',
    'json-schema-2020-12-preservation',
  ],
}

/** `scenario:check-id` → why it ends differently; by requirement set. */
export type Reasons = Readonly<Record<RequirementSet, Readonly<Record<string, string>>>> & {
  /** Why nothing of it can be asked yet. */
  readonly pending?: string
}

export const readReasons = (file: string): Reasons =>
  JSON.parse(readFileSync(join(import.meta.dirname, file), 'utf8')) as Reasons

export interface Judged {
  readonly direct: SuiteRun
  readonly through: SuiteRun
  /** Differences without a reason. */
  readonly unexpected: readonly Difference[]
  /** Checks that have a reason and do not differ: the list must be cleared of them. */
  readonly gone: readonly string[]
}

/** `INFO` is the suite's log of messages, which has as many as the client happened to need. */
const isLog = ({ direct, through }: Difference): boolean => /^((INFO|none) ?)+$/.test(`${direct} ${through}`)

/** What differs between two runs of a requirement set, against the committed reasons. */
export function judge(direct: SuiteRun, through: SuiteRun, reasons: Reasons): Judged {
  const known = reasons[direct.requirements]
  const found = differencesOf(direct, through).filter((difference) => !isLog(difference))
  const differing = new Set(found.map(({ check }) => check))
  return {
    direct,
    through,
    unexpected: found.filter(({ check }) => known[check] === undefined),
    gone: Object.keys(known).filter((check) => !differing.has(check)),
  }
}

/** Every client scenario, directly and through the gateway; each with a client, and a gateway, of its own. */
export async function compareClientMode(keepIn?: string): Promise<Judged[]> {
  const folder = keepIn ?? mkdtempSync(join(tmpdir(), 'conformance-client-'))
  const reasons = readReasons('expected-client-differences.json')
  const program = (name: string): string => `${process.execPath} ${join(import.meta.dirname, name)}`
  const run = (requirements: RequirementSet, name: string): Promise<SuiteRun> => {
    const own = join(folder, `${name}-${requirements}`)
    mkdirSync(own, { recursive: true })
    const options = { command: program(`${name}.ts`), requirements, folder: own }
    return runClientScenarios(clientScenarios[requirements], options)
  }
  try {
    return await Promise.all(
      requirementSets.map(async (set) =>
        judge(await run(set, 'client'), await run(set, 'client-through-gateway'), reasons),
      ),
    )
  } finally {
    if (keepIn === undefined) rmSync(folder, { recursive: true, force: true })
  }
}
