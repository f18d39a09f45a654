// `npm run conformance`: prints every check that differs between the fixture directly and through the gateway.
import { parseArgs } from 'node:util'
import { compareBridges } from './bridges.ts'
import { compareClientMode, type Judged } from './client-mode.ts'
import { compare } from './compare.ts'
import { runAuthScenarios } from './upstream-auth.ts'
import type { Between } from './compare.ts'

const help = `Usage: npm run conformance -- [options]

Runs the official conformance suite (requirements 2025-11-25 and 2026-07-28) directly and through the gateway, and
compares the results check by check. Exits 1 on any difference that is not listed.

  --mode server                  the suite at the fixture, which speaks both eras (default); known differences are in
                                 test/conformance/expected-differences.json
  --mode bridges                 each era's suite at a fixture that speaks only the other era:
                                 expected-bridge-differences.json
  --mode auth                    the suite's OAuth scenarios, with the gateway as the client
  --mode client                  what the suite's scenario servers see of a client: expected-client-differences.json
  --through gateway|byte-proxy   what stands between, in mode server (default: gateway)
  -o, --output DIR               keeps the suite's files; DIR must be new or empty
`

const { values } = parseArgs({
  options: {
    mode: { type: 'string', default: 'server' },
    through: { type: 'string', default: 'gateway' },
    output: { type: 'string', short: 'o' },
    help: { type: 'boolean', short: 'h' },
  },
})
const known =
  ['server', 'bridges', 'client', 'auth'].includes(values.mode) &&
  ['gateway', 'byte-proxy'].includes(values.through)
if (values.help === true || !known) {
  console.log(help)
  process.exit(values.help === true ? 0 : 2)
}

if (values.mode === 'auth') {
  const runs = await runAuthScenarios(values.output)
  for (const [name, { passed, failed }] of runs) console.log(`${name}: ${passed} passed, ${failed} failed`)
  process.exit([...runs.values()].some(({ failed }) => failed > 0) ? 1 : 0)
}

interface Report {
  readonly runs: readonly Pick<Judged, 'direct' | 'through'>[]
  readonly unexpected: readonly object[]
  /** Listed differences that did not show. */
  readonly gone: readonly string[]
}

async function report(): Promise<Report> {
  if (values.mode === 'server') {
    const { direct, through, unexpected, gone } = await compare(values.through as Between, values.output)
    const runs = direct.map((run, index) => ({ direct: run, through: through[index] ?? run }))
    return { runs, unexpected, gone: gone.map(({ requirements, check }) => `${requirements} ${check}`) }
  }
  const results = await (values.mode === 'client' ? compareClientMode : compareBridges)(values.output)
  return {
    runs: results,
    unexpected: results.flatMap(({ unexpected }) => unexpected),
    gone: results.flatMap(({ direct, gone }) => gone.map((check) => `${direct.requirements} ${check}`)),
  }
}

const started = performance.now()
const { runs, unexpected, gone } = await report()
for (const { direct } of runs)
  if (direct.exitCode !== 0)
    console.log(`Scored scenarios fail already without the gateway:\n${direct.output}`)
if (unexpected.length > 0) console.table(unexpected)
for (const check of gone) console.log(`listed as different but is not, remove it from the list: ${check}`)
for (const { direct, through } of runs)
  console.log(
    `${direct.requirements}: ${direct.checks.size} checks · direct ${direct.passed} passed, ${direct.failed} failed` +
      ` · through ${values.mode === 'server' ? values.through : 'gateway'} ${through.passed} passed, ${through.failed} failed`,
  )
const broken = runs.some(({ direct }) => direct.exitCode !== 0)
console.log(
  `${unexpected.length} differences, ${gone.length} expected ones gone,` +
    ` in ${((performance.now() - started) / 1000).toFixed(1)} s`,
)
process.exit(unexpected.length + gone.length > 0 || broken ? 1 : 0)
