// The pictures of the docs come from the demo by one script, and each is shown somewhere.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'

const root = resolve(import.meta.dirname, '../..')

test('every picture of the docs is taken anew by the script', { timeout: 120_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'tollbridge-pictures-'))
  try {
    const script = join(root, 'test/console/screenshots.ts')
    const run = spawnSync(process.execPath, [script, folder], { encoding: 'utf8', timeout: 110_000 })
    expect(run.stderr).toBe('')
    expect(run.status).toBe(0)
    const taken = readdirSync(folder).toSorted((one, other) => one.localeCompare(other))
    const kept = readdirSync(join(root, 'docs/images')).toSorted((one, other) => one.localeCompare(other))
    expect(taken).toEqual(kept)
    const shown = ['README.md', 'docs/console.md']
      .map((name) => readFileSync(join(root, name), 'utf8'))
      .join()
    for (const name of taken) {
      expect(shown).toContain(`images/${name}`)
      // A page that failed to draw is of one colour, and small.
      expect([name, statSync(join(folder, name)).size]).toEqual([
        name,
        expect.toSatisfy((size: number) => size > 20_000),
      ])
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
