// That the manifest of promises is whole, and that every test it names is there and runs.
import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { requirements } from './requirements.ts'
import { securityPage } from './security-page.ts'

const root = resolve(import.meta.dirname, '..')
const sources = new Map<string, string | undefined>()

function sourceOf(file: string): string | undefined {
  if (!sources.has(file)) {
    const found = globSync(file, { cwd: root }).length > 0
    sources.set(file, found ? readFileSync(join(root, file), 'utf8') : undefined)
  }
  return sources.get(file)
}

/** Text as it may stand in a source: in any quotes, with the escapes that they need. */
const spellings = (name: string): string[] => [
  `'${name.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`,
  `"${name.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`,
  `\`${name}\``,
]

/** Whether a file calls `test('name'`, `test.each(…)('name'` or the like; `test.skip` and `test.todo` do not count. */
function hasTest(source: string, name: string): boolean {
  return spellings(name).some((spelling) => {
    for (let at = source.indexOf(spelling); at >= 0; at = source.indexOf(spelling, at + 1)) {
      const before = source.slice(0, at).trimEnd()
      const isCall =
        before.endsWith('(') &&
        source
          .slice(at + spelling.length)
          .trimStart()
          .startsWith(',')
      const line = before.slice(before.lastIndexOf('\n') + 1)
      if (isCall && /^\s*(test|it|[\])}])/.test(line) && !/\b(skip|todo|fails)\b/.test(line)) return true
    }
    return false
  })
}

const numbered = (letter: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${letter}${index + 1}`)

describe('the manifest of promises', () => {
  test('holds every attack and every fault, once and in order', () => {
    expect(requirements.map(({ id }) => id)).toEqual([...numbered('A', 74), ...numbered('F', 40)])
  })

  test('says of each what proves it, or why nothing does', () => {
    for (const { id, promise, provenBy, notProven } of requirements) {
      expect([id, promise.length > 20]).toEqual([id, true])
      const proofs = Object.values(provenBy).flat()
      expect([id, proofs.length > 0 || (notProven ?? '').length > 10]).toEqual([id, true])
    }
  })

  test('names only tests that are there', () => {
    const missing = requirements.flatMap(({ id, provenBy }) =>
      Object.entries(provenBy).flatMap(([file, names]) => {
        const source = sourceOf(file)
        if (source === undefined) return [`${id}: no file ${file}`]
        return names
          .filter((name) => !hasTest(source, name))
          .map((name) => `${id}: ${file} has no test "${name}"`)
      }),
    )
    expect(missing).toEqual([])
  })

  test('is published: docs/security.md is up to date (npm run security-page)', () => {
    expect(readFileSync(join(root, 'docs/security.md'), 'utf8')).toBe(securityPage())
  })

  test('names every file of security and fault tests', () => {
    const named = new Set(requirements.flatMap(({ provenBy }) => Object.keys(provenBy)))
    const files = globSync('test/{trust,faults}/*.test.ts', { cwd: root })
    expect(files.length).toBeGreaterThan(8)
    expect(files.filter((file) => !named.has(file))).toEqual([])
  })
})

test('a test that is not there, only spoken of, or skipped would be noticed', () => {
  const source =
    "test('is there', () => {})\n// 'spoken of'\n  test.skip('skipped', () => {})\n])('in a table', (_) => {})\nexpect('a value')"
  const names = ['is there', 'in a table', 'spoken of', 'skipped', 'a value', 'missing']
  expect(names.map((name) => hasTest(source, name))).toEqual([true, true, false, false, false, false])
})
