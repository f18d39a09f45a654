// One run of the official conformance suite against a URL, read back as check → statuses.
import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

/** The requirement sets that are run: the newest of the legacy era and the first of the modern one. */
export const requirementSets = ['2025-11-25', '2026-07-28'] as const
export type RequirementSet = (typeof requirementSets)[number]

export interface SuiteRun {
  readonly requirements: RequirementSet
  /** `scenario:checkId` → its statuses in this run, sorted; a check that ran twice has two. */
  readonly checks: ReadonlyMap<string, readonly string[]>
  readonly passed: number
  readonly failed: number
  /** 0 where every scored scenario passed. */
  readonly exitCode: number
  /** What the suite printed. */
  readonly output: string
}

const suitePath = () => {
  const manifest = createRequire(import.meta.url).resolve('@modelcontextprotocol/conformance/package.json')
  return join(manifest, '../dist/index.js')
}

interface Check {
  readonly id: string
  readonly status: string
}

/** A scenario that broke off has left no checks; that it did not run is one. */
const readScenario = (path: string): readonly Check[] =>
  existsSync(path)
    ? (JSON.parse(readFileSync(path, 'utf8')) as Check[])
    : [{ id: 'did-not-run', status: 'FAILURE' }]

/** A scenario's name may have a part before a slash: then it has a folder of its own in one of that name. */
const scenarioFolders = (folder: string, name: string): string[] =>
  /-\d{4}-\d\d-\d\dT/.test(name) ? [name] : readdirSync(join(folder, name)).map((part) => `${name}/${part}`)

function readChecks(folder: string): Map<string, string[]> {
  const checks = new Map<string, string[]>()
  for (const name of readdirSync(folder).flatMap((each) => scenarioFolders(folder, each))) {
    // server-SCENARIO-2026-11-22T18-00-33-733Z
    const scenario = name.replace(/^server-/, '').replace(/-\d{4}-\d\d-\d\dT[\d-]+Z$/, '')
    for (const check of readScenario(join(folder, name, 'checks.json'))) {
      const key = `${scenario}:${check.id}`
      checks.set(key, [...(checks.get(key) ?? []), check.status].sort())
    }
  }
  return checks
}

/** Runs one requirement set against `url`; `folder` must be new and receives a file of checks per scenario. */
export async function runSuite(
  url: string,
  requirements: RequirementSet,
  { folder, timeoutMs = 120_000 }: { folder: string; timeoutMs?: number },
): Promise<SuiteRun> {
  const args = ['server', '--url', url, '--requirements', requirements, '-o', folder]
  return { requirements, ...readRun(folder, await runTool(args, timeoutMs)) }
}

/** What the client mode is asked: `command` gets the URL of the scenario's server as its last argument. */
export interface ClientRunOptions {
  readonly command: string
  readonly requirements: RequirementSet
  readonly folder: string
  readonly timeoutMs?: number
}

/** Runs scenarios of the client mode one after the other; `folder` must be new. */
export async function runClientScenarios(
  scenarios: readonly string[],
  { requirements, ...options }: ClientRunOptions,
): Promise<SuiteRun> {
  return { requirements, ...(await runScenariosAt(requirements, scenarios, options)) }
}

/** The same at any revision that the suite knows; `more` are further options of the suite. */
export async function runScenariosAt(
  revision: string,
  scenarios: readonly string[],
  {
    command,
    folder,
    timeoutMs = 60_000,
    more = [],
  }: Omit<ClientRunOptions, 'requirements'> & { readonly more?: readonly string[] },
): Promise<Omit<SuiteRun, 'requirements'>> {
  let exitCode = 0
  let output = ''
  for (const scenario of scenarios) {
    const of = ['--scenario', scenario, '--spec-version', revision, ...more]
    const run = await runTool(['client', '--command', command, ...of, '-o', folder], timeoutMs)
    exitCode ||= run.exitCode
    output += run.output
  }
  return readRun(folder, { exitCode, output })
}

interface ToolRun {
  readonly exitCode: number
  readonly output: string
}

async function runTool(args: readonly string[], timeoutMs: number): Promise<ToolRun> {
  const child = spawn(process.execPath, [suitePath(), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeoutMs,
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  const exitCode = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) =>
      code === null
        ? reject(new Error(`the suite was ended by ${signal} after ${timeoutMs} ms at most:\n${output}`))
        : resolve(code),
    )
  })
  return { exitCode, output }
}

function readRun(folder: string, { exitCode, output }: ToolRun): Omit<SuiteRun, 'requirements'> {
  const checks = readChecks(folder)
  const statuses = [...checks.values()].flat()
  const count = (wanted: string): number => statuses.filter((status) => status === wanted).length
  return { checks, passed: count('SUCCESS'), failed: count('FAILURE'), exitCode, output }
}
