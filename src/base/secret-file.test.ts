// The secret file is made once, private, and never used when it is not.
import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { SecretFile, secretPath } from './secret-file.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tollbridge-secret-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('the secret file', () => {
  test('is made once, for its owner alone, and gives the same secret again', () => {
    const data = join(folder, 'data')
    const first = SecretFile.open(data)
    assert.ok(first instanceof SecretFile)
    expect(first.secrets).toHaveLength(1)
    expect(statSync(secretPath(data)).mode & 0o777).toBe(0o600)
    expect(SecretFile.open(data)).toEqual(first)
  })

  test('is refused when others can read it, or when it is weak', () => {
    SecretFile.open(folder)
    chmodSync(secretPath(folder), 0o640)
    expect(SecretFile.open(folder)).toEqual({ problem: expect.stringContaining('chmod 600') })
    chmodSync(secretPath(folder), 0o600)
    writeFileSync(secretPath(folder), 'changeme')
    expect(SecretFile.open(folder)).toEqual({ problem: expect.stringContaining('can be guessed') })
  })

  test('has both secrets while one replaces the other, also after a restart, and never half a file', () => {
    const file = SecretFile.open(folder)
    assert.ok(file instanceof SecretFile)
    const [old] = file.secrets
    file.add()
    const [fresh, former] = file.secrets
    expect(former).toEqual(old)
    expect(fresh).not.toEqual(old)
    const again = SecretFile.open(folder)
    assert.ok(again instanceof SecretFile)
    expect(again.secrets).toEqual([fresh, former])
    again.forgetFormer()
    expect(again.secrets).toEqual([fresh])
    expect(SecretFile.open(folder)).toEqual(again)
    expect(readFileSync(secretPath(folder), 'utf8')).not.toContain(Buffer.from(old ?? '').toString('hex'))
    expect(statSync(secretPath(folder)).mode & 0o777).toBe(0o600)
    expect(readdirSync(folder)).toEqual(['secret.key'])
  })

  test('is refused when any of its secrets is weak', () => {
    writeFileSync(secretPath(folder), `${'0123456789abcdef'.repeat(4)}\nchangeme\n`, { mode: 0o600 })
    expect(SecretFile.open(folder)).toEqual({ problem: expect.stringContaining('can be guessed') })
  })
})
