// A data folder belongs to one process at a time.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { isFolderLocked, lockFolder } from './folder-lock.ts'

const fresh = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'tollbridge-lock-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return folder
}

test.runIf(process.platform === 'linux')(
  'a second taker of a folder is refused, until the first gives it back',
  async () => {
    const folder = fresh()
    expect(await isFolderLocked(folder)).toBe(false)
    const release = await lockFolder(folder)
    expect(await isFolderLocked(folder)).toBe(true)
    await expect(lockFolder(folder)).rejects.toMatchObject({ code: 'store_refused' })
    await (
      await lockFolder(fresh())
    )()
    await release()
    expect(await isFolderLocked(folder)).toBe(false)
    await (
      await lockFolder(folder)
    )()
  },
)

test.runIf(process.platform === 'linux')('a killed process leaves no lock behind', async () => {
  const folder = fresh()
  const module = join(import.meta.dirname, 'folder-lock.ts')
  const script = `const { lockFolder } = await import(${JSON.stringify(module)})
    await lockFolder(${JSON.stringify(folder)}); process.kill(process.pid, 'SIGKILL')`
  const { signal } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { timeout: 10_000 })
  expect(signal).toBe('SIGKILL')
  await (
    await lockFolder(folder)
  )()
})
