// Prints "PASSED FAILED" of a vitest JSON report. A file, an error or a run that failed without a failed test counts as one.
import { readFileSync } from 'node:fs'

const [path = '', exitCode = '1'] = process.argv.slice(2)

function count() {
  let report
  try {
    report = JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return [0, 1]
  }
  const tests = report.testResults.flatMap((file) => file.assertionResults)
  const having = (status) => tests.filter((test) => test.status === status).length
  const brokenFiles = report.testResults.filter(
    (file) => file.status === 'failed' && file.assertionResults.every((test) => test.status !== 'failed'),
  )
  const failed = having('failed') + brokenFiles.length
  return [having('passed'), failed === 0 && exitCode !== '0' ? 1 : failed]
}

console.log(count().join(' '))
