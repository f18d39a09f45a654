// One run of the official conformance suite against a URL, read back as check → statuses.
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
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

function readChecks(folder: string): Map<string, string[]> {
  const checks = new Map<string, string[]>()
  for (const name of readdirSync(folder)) {
    // server-SCENARIO-2026-11-22T18-00-33-733Z
    const scenario = name.replace(/^server-/, '').replace(/-\d{4}-\d\d-\d\dT[\d-]+Z$/, '')
    for (const check of JSON.parse(readFileSync(join(folder, name, 'checks.json'), 'utf8')) as Check[]) {
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
  const args = [suitePath(), 'server', '--url', url, '--requirements', requirements, '-o', folder]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: timeoutMs })
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
  const checks = readChecks(folder)
  const statuses = [...checks.values()].flat()
  return {
    requirements,
    checks,
    passed: statuses.filter((status) => status === 'SUCCESS').length,
    failed: statuses.filter((status) => status === 'FAILURE').length,
    exitCode,
    output,
  }
}
