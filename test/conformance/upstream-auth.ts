// The conformance suite's OAuth scenarios for clients, with the gateway as the client.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runScenariosAt, type SuiteRun } from './suite.ts'

type AuthRun = Omit<SuiteRun, 'requirements'>

/** Scenarios by the revision that they run at. Not those of DPoP and workload identity, which the gateway does not speak. */
export const authScenarios: readonly (readonly [revision: string, names: readonly string[]])[] = [
  [
    '2026-07-28',
    [
      'metadata-default',
      'metadata-var1',
      'metadata-var2',
      'metadata-var3',
      'metadata-issuer-mismatch',
      'basic-cimd',
      'scope-from-www-authenticate',
      'scope-from-scopes-supported',
      'scope-omitted-when-undefined',
      'scope-step-up',
      'scope-retry-limit',
      'token-endpoint-auth-basic',
      'token-endpoint-auth-post',
      'token-endpoint-auth-none',
      'pre-registration',
      'resource-mismatch',
      'offline-access-scope',
      'offline-access-not-supported',
      'authorization-server-migration',
      'iss-supported',
      'iss-not-advertised',
      'iss-supported-missing',
      'iss-wrong-issuer',
      'iss-unexpected',
      'iss-normalized',
    ],
  ],
  ['2025-11-25', ['metadata-default', 'scope-step-up', 'token-endpoint-auth-basic', 'pre-registration']],
  ['2025-03-26', ['2025-03-26-oauth-metadata-backcompat', '2025-03-26-oauth-endpoint-fallback']],
  ['extension', ['client-credentials-jwt', 'client-credentials-basic']],
]

/** Runs that are under way at once. */
const lanes = 3

/** Each scenario with a gateway of its own, by `revision scenario`. */
export async function runAuthScenarios(keepIn?: string): Promise<Map<string, AuthRun>> {
  const folder = keepIn ?? mkdtempSync(join(tmpdir(), 'conformance-auth-'))
  const command = `${process.execPath} ${join(import.meta.dirname, 'consenting-gateway.ts')}`
  const waiting = authScenarios.flatMap(([revision, names]) => names.map((name) => ({ revision, name })))
  const runs = new Map<string, AuthRun>()
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const { revision, name } = next
      const own = join(folder, `${revision}-${name}`)
      mkdirSync(own, { recursive: true })
      // What is on no revision's timeline has to be forced.
      const [at, more] = revision === 'extension' ? ['2025-11-25', ['--force']] : [revision, []]
      runs.set(
        `${revision} ${name}`,
        await runScenariosAt(at, [`auth/${name}`], { command, folder: own, more }),
      )
    }
  }
  try {
    await Promise.all(Array.from({ length: lanes }, work))
    return runs
  } finally {
    if (keepIn === undefined) rmSync(folder, { recursive: true, force: true })
  }
}
