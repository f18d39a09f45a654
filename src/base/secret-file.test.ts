// The secret file is made once, private, and never used when it is not.
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openSecretFile, secretPath } from './secret-file.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tollbridge-secret-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('the secret file', () => {
  test('is made once, for its owner alone, and gives the same secret again', () => {
    const data = join(folder, 'data')
    const first = openSecretFile(data)
    expect(first).toBeInstanceOf(Uint8Array)
    expect(statSync(secretPath(data)).mode & 0o777).toBe(0o600)
    expect(openSecretFile(data)).toEqual(first)
  })

  test('is refused when others can read it, or when it is weak', () => {
    openSecretFile(folder)
    chmodSync(secretPath(folder), 0o640)
    expect(openSecretFile(folder)).toEqual({ problem: expect.stringContaining('chmod 600') })
    chmodSync(secretPath(folder), 0o600)
    writeFileSync(secretPath(folder), 'changeme')
    expect(openSecretFile(folder)).toEqual({ problem: expect.stringContaining('can be guessed') })
  })
})
