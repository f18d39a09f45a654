// Reads a vitest JSON report: prints each failure with the start of its reason, the ten slowest files, and at last
// "tests: PASSED passed, FAILED failed". A file, an error or a run that failed without a failed test counts as one.
import { readFileSync } from 'node:fs'
import { relative } from 'node:path'
import { stripVTControlCharacters } from 'node:util'

const [path = '', exitCode = '1'] = process.argv.slice(2)

function read() {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).testResults
  } catch {
    console.log(
      `failed: the tests wrote no report (exit code ${exitCode}; 124 or 137: they were ended for taking too long)`,
    )
    return undefined
  }
}

/** @param {string | undefined} message its first 600 characters, without colours */
function reason(message) {
  const plain = stripVTControlCharacters(message ?? '')
  return plain.slice(0, 600).replaceAll('\n', '\n    ')
}

const files = read()
let passed = 0
let failed = 0
for (const file of files ?? []) {
  const name = relative(process.cwd(), file.name)
  passed += file.assertionResults.filter((test) => test.status === 'passed').length
  const failures = file.assertionResults.filter((test) => test.status === 'failed')
  for (const test of failures) {
    console.log(`failed: ${name} > ${test.fullName}\n    ${reason(test.failureMessages[0])}`)
  }
  if (file.status === 'failed' && failures.length === 0) {
    console.log(`failed: ${name}\n    ${reason(file.message)}`)
    failed += 1
  }
  failed += failures.length
}
if (failed === 0 && exitCode !== '0') failed = 1

const slowest = (files ?? [])
  .map((file) => ({
    name: relative(process.cwd(), file.name),
    seconds: (file.endTime - file.startTime) / 1000,
  }))
  .toSorted((one, other) => other.seconds - one.seconds)
for (const { name, seconds } of slowest.slice(0, 10))
  console.log(`${seconds.toFixed(1).padStart(7)} s  ${name}`)
console.log(`tests: ${passed} passed, ${failed} failed`)
