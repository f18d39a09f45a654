// docs/security.md: every promise with the tests that prove it, made out of the manifest.
import { basename } from 'node:path'
import { requirements, type Requirement } from './requirements.ts'

const head = `# What is proven

Each row is a promise: an attack that must fail (A) or a fault that must be survived (F), with the tests that run it
against the real program, and what no test proves yet. What is meant by each is in the tests themselves; how the gateway
is meant to be run, and against whom it is defended, in [SECURITY.md](../SECURITY.md).

Made by \`npm run security-page\` from \`test/requirements.ts\`; a test fails where this page, or a test that it names,
is out of date.
`

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ')

function proofs({ provenBy }: Requirement): string {
  const files = Object.entries(provenBy).map(
    ([file, names]) => `[${basename(file)}](../${file}) (${names.length})`,
  )
  return files.length > 0 ? files.join(', ') : '–'
}

const rowOf = (requirement: Requirement): string =>
  `| ${requirement.id} | ${cell(requirement.promise)} | ${proofs(requirement)} | ${cell(requirement.notProven ?? '')} |`

function tableOf(letter: string): string {
  const rows = requirements.filter(({ id }) => id.startsWith(letter))
  const whole = rows.filter(({ notProven }) => notProven === undefined).length
  const none = rows.filter(({ provenBy }) => Object.keys(provenBy).length === 0).length
  const count = `${rows.length} promises: ${whole} proven whole, ${rows.length - whole - none} in part, ${none} not yet.`
  return [
    count,
    '',
    '| | promise | proven by (tests) | not proven yet |',
    '| --- | --- | --- | --- |',
    ...rows.map(rowOf),
  ].join('\n')
}

/** The page as it has to be. */
export const securityPage = (): string =>
  `${head}\n## Attacks\n\n${tableOf('A')}\n\n## Faults\n\n${tableOf('F')}\n`
