// Proves that passwords are hashed slowly, equally slowly for nobody, and never in an unbounded number at once.
import { describe, expect, test } from 'vitest'
import { newPassword, Passwords } from './passwords.ts'

const median = (list: number[]): number => list.sort((a, b) => a - b)[list.length >> 1] ?? 0

describe('passwords', () => {
  test('a hash is argon2id with 19 MiB and two passes, salted, and verifies its password only', async () => {
    const passwords = new Passwords()
    const hash = await passwords.hash('correct horse')
    expect(hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    expect(await passwords.hash('correct horse')).not.toBe(hash)
    expect(await passwords.verify(hash, 'correct horse')).toBe(true)
    expect(await passwords.verify(hash, 'correct horsf')).toBe(false)
    const composed = await passwords.hash('caf\u00e9 au lait')
    expect(await passwords.verify(composed, 'cafe\u0301 au lait')).toBe(true)
  })

  test('verifying for nobody is false and takes as long as for somebody', async () => {
    const passwords = new Passwords()
    const hash = await passwords.hash('correct horse')
    const taken: { somebody: number[]; nobody: number[] } = { somebody: [], nobody: [] }
    for (let i = 0; i < 15; i++)
      for (const who of ['somebody', 'nobody'] as const) {
        const start = performance.now()
        expect(await passwords.verify(who === 'somebody' ? hash : undefined, 'wrong password')).toBe(false)
        taken[who].push(performance.now() - start)
      }
    const ratio = median(taken.nobody) / median(taken.somebody)
    // Wide, since the machine is shared; skipping the hash would give a ratio near zero.
    expect(ratio).toBeGreaterThan(0.6)
    expect(ratio).toBeLessThan(1.7)
  })

  test('beyond the queue a hash is refused as overloaded, and the queue drains', async () => {
    const passwords = new Passwords({ maxParallel: 1, maxQueued: 2 })
    const answers = await Promise.allSettled(Array.from({ length: 5 }, () => passwords.hash('correct horse')))
    expect(answers.map((answer) => answer.status)).toEqual([
      'fulfilled',
      'fulfilled',
      'fulfilled',
      'rejected',
      'rejected',
    ])
    expect(answers[4]).toMatchObject({ reason: { code: 'overloaded' } })
    await expect(passwords.hash('correct horse')).resolves.toMatch(/^\$argon2id/)
  })

  test('a refusal when the turn comes frees the turn', async () => {
    const passwords = new Passwords({ maxParallel: 1, maxQueued: 2 })
    const refuse = () => {
      throw new Error('locked')
    }
    await expect(passwords.verify(undefined, 'x', { before: refuse, after: () => {} })).rejects.toThrow(
      'locked',
    )
    await expect(passwords.verify(undefined, 'x')).resolves.toBe(false)
  })

  test('a new password has 10 to 200 characters', () => {
    for (const [length, ok] of [
      [9, false],
      [10, true],
      [200, true],
      [201, false],
    ] as const)
      expect(newPassword.safeParse('x'.repeat(length)).success).toBe(ok)
  })
})
