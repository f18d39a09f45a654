// `npm run conformance`: prints every check that differs between the fixture directly and through the gateway.
import { parseArgs } from 'node:util'
import { compare } from './compare.ts'
import type { Between } from './compare.ts'

const help = `Usage: npm run conformance -- [options]

Runs the official conformance suite (requirements 2025-11-25 and 2026-07-28) against the fixture server directly and
through the gateway, and compares the results check by check. Exits 1 on any difference that is not in
test/conformance/expected-differences.json.

  --through gateway|byte-proxy   what stands between (default: gateway)
  -o, --output DIR               keeps the suite's files; DIR must be new or empty
`

const { values } = parseArgs({
  options: {
    through: { type: 'string', default: 'gateway' },
    output: { type: 'string', short: 'o' },
    help: { type: 'boolean', short: 'h' },
  },
})
if (values.help === true || !['gateway', 'byte-proxy'].includes(values.through)) {
  console.log(help)
  process.exit(values.help === true ? 0 : 2)
}

const started = performance.now()
const result = await compare(values.through as Between, values.output)
for (const run of result.direct)
  if (run.exitCode !== 0) console.log(`The fixture itself fails scored scenarios:\n${run.output}`)
if (result.unexpected.length > 0) console.table(result.unexpected)
for (const { requirements, check } of result.gone)
  console.log(`expected to differ but does not, remove it from the list: ${requirements} ${check}`)
for (const [index, direct] of result.direct.entries()) {
  const through = result.through[index]
  console.log(
    `${direct.requirements}: ${direct.checks.size} checks · direct ${direct.passed} passed, ${direct.failed} failed` +
      ` · through ${values.through} ${through?.passed} passed, ${through?.failed} failed`,
  )
}
const bad = result.unexpected.length + result.gone.length
const broken = result.direct.some((run) => run.exitCode !== 0)
console.log(
  `${result.unexpected.length} differences, ${result.gone.length} expected ones gone,` +
    ` in ${((performance.now() - started) / 1000).toFixed(1)} s`,
)
process.exit(bad > 0 || broken ? 1 : 0)
