// `npm run matrix`: runs the whole matrix, prints its tables, and with --write puts them into the README.
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { committedSummary, matrixBlock, readSummary, renderMatrix, withMatrix } from './report.ts'

const help = `Usage: npm run matrix -- [options]

Runs every client at every server through the gateway and prints what holds.

  --last        takes what the last whole run found, and runs nothing
  --committed   takes what the committed table says (test/matrix/cells.ts and pending.ts), and runs nothing
  --write       puts the tables into README.md, between its marks
`

const root = resolve(import.meta.dirname, '../..')
const { values } = parseArgs({
  options: {
    last: { type: 'boolean', default: false },
    committed: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
if (values.help) {
  console.log(help)
  process.exit(0)
}
if (!values.last && !values.committed) {
  const vitest = join(root, 'node_modules/vitest/vitest.mjs')
  const args = [vitest, 'run', 'test/matrix/matrix.test.ts', '--reporter=dot']
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
  process.exitCode = status ?? 1
}
const block = renderMatrix(values.committed ? committedSummary() : readSummary())
console.log(block)
if (values.write) {
  const path = join(root, 'README.md')
  const readme = readFileSync(path, 'utf8')
  if (matrixBlock(readme) === undefined)
    throw new Error('README.md lacks the marks <!-- matrix:begin --> and <!-- matrix:end -->')
  writeFileSync(path, withMatrix(readme, block))
}
