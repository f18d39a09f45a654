// Proves that API keys are shown once, cannot be guessed, work within their limits and end when told.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines, identityOn, type Identity } from '../harness/identity.ts'
import { forged } from '../harness/tampering.ts'
import { keyInput, newKeyText } from '../../src/identity/keys.ts'
import type { User } from '../../src/identity/user-store.ts'

describe.each(engines)('API keys on %s', (engine) => {
  const store = identityOn(engine)
  let it: Identity
  let ann: User
  let bob: User
  beforeAll(async () => {
    await store.open()
    it = await store.start()
    ann = await it.member('ann')
    bob = await it.member('bob')
  })
  afterAll(async () => {
    await it.stop()
    await store.close()
  })

  const authenticate = async (key: string) => it.authenticator.authenticate(key)

  test('a new key works at once as its user, and is stored and listed without its secret', async () => {
    const { apiKey, key } = await it.keys.create(ann.id, { name: 'ci' })
    expect(key).toMatch(/^tb_[0-9a-z]{26}_[\w-]{43}$/)
    expect(key.startsWith(`${apiKey.prefix}_`)).toBe(true)
    expect(await authenticate(key)).toEqual({
      userId: ann.id,
      username: 'ann',
      roles: ['member'],
      accountId: ann.accountId,
      via: 'key',
      keyId: apiKey.id,
    })
    const secret = key.slice(-43)
    expect(
      JSON.stringify([await it.keys.get(apiKey.id, {}), await it.keys.list({ limit: 100 }, {})]),
    ).not.toContain(secret)
    const files = readdirSync(it.folder)
    expect(files.length > 0).toBe(engine === 'sqlite')
    for (const file of files) expect(readFileSync(join(it.folder, file)).includes(secret), file).toBe(false)
  })

  test('10,000 secrets are unique, visible ASCII, and random in every place', () => {
    const count = 10_000
    const pattern = /^[\x21-\x7e]{22,128}$/
    const places = Array.from({ length: 43 }, () => new Map<string, number>())
    const seen = new Set<string>()
    for (let i = 0; i < count; i++) {
      const secret = newKeyText('key_00000000000000000000000000').slice(-43)
      expect(secret).toMatch(pattern)
      seen.add(secret)
      for (const [place, letters] of places.entries())
        letters.set(secret[place] ?? '', (letters.get(secret[place] ?? '') ?? 0) + 1)
    }
    expect(seen.size).toBe(count)
    const bits = places.map((letters) =>
      [...letters.values()].reduce((sum, n) => sum - (n / count) * Math.log2(n / count), 0),
    )
    expect(bits.reduce((sum, n) => sum + n, 0)).toBeGreaterThan(240)
    expect(Math.min(...bits)).toBeGreaterThan(3.9)
  })

  test('a wrong secret, an unknown id and a malformed key are refused, the malformed without a query', async () => {
    const { key } = await it.keys.create(ann.id, { name: 'ci' })
    const other = await it.keys.create(bob.id, { name: 'other' })
    const mixed = `${other.apiKey.prefix}_${key.slice(-43)}`
    for (const text of [forged(key), mixed, `tb_${'0'.repeat(26)}_${key.slice(-43)}`])
      expect(await authenticate(text)).toBeUndefined()
    const { reads } = it.database
    for (const text of ["tb_' OR '1'='1", 'tb_', key.slice(0, -1), `${key}A`, key.toUpperCase(), ` ${key}`])
      expect(await authenticate(text)).toBeUndefined()
    expect(it.database.reads).toBe(reads)
  })

  test('secrets are compared in constant time, with the same work for an unknown id', () => {
    const source = readFileSync(join(import.meta.dirname, '../../src/identity/keys.ts'), 'utf8')
    expect(source.match(/timingSafeEqual\(/g)?.length).toBe(2)
    expect(source).not.toMatch(/\bmac\s*===|===\s*\w*mac\b|\.equals\(|\.compare\(/i)
  })

  test('a key ends at its expiry to the millisecond, also when it is remembered', async () => {
    const expiresAt = new Date(it.clock.now() + 5_000).toISOString()
    const { key } = await it.keys.create(ann.id, { name: 'short', expiresAt })
    expect(await authenticate(key)).toMatchObject({ expiresAtMs: it.clock.now() + 5_000 })
    it.clock.advance(4_999)
    expect(await authenticate(key)).toBeDefined()
    it.clock.advance(1)
    expect(await authenticate(key)).toBeUndefined()
    await expect(it.keys.create(ann.id, { name: 'past', expiresAt })).rejects.toMatchObject({
      code: 'validation_failed',
    })
  })

  test('a key for some servers says so to whoever decides', async () => {
    const { key, apiKey } = await it.keys.create(ann.id, { name: 'narrow', servers: ['weather'] })
    expect(apiKey.servers).toEqual(['weather'])
    expect(await authenticate(key)).toMatchObject({ servers: ['weather'] })
  })

  test('a rotated key keeps its id; the old secret ends at once', async () => {
    const { apiKey, key } = await it.keys.create(ann.id, { name: 'rotated', servers: ['weather'] })
    expect(await authenticate(key)).toBeDefined()
    const next = await it.keys.rotate(apiKey.id, { overlapSeconds: 0 }, { userId: ann.id })
    expect(next.apiKey).toMatchObject({ id: apiKey.id, name: 'rotated' })
    expect(await authenticate(key)).toBeUndefined()
    expect(await authenticate(next.key)).toMatchObject({ keyId: apiKey.id, servers: ['weather'] })
  })

  test('with an overlap both secrets work until it ends, then only the new one', async () => {
    const { apiKey, key } = await it.keys.create(ann.id, { name: 'overlap' })
    expect(await authenticate(key)).toBeDefined()
    const next = await it.keys.rotate(apiKey.id, { overlapSeconds: 60 }, { userId: ann.id })
    it.clock.advance(59_999)
    expect(await authenticate(key)).toMatchObject({ expiresAtMs: it.clock.now() + 1 })
    expect(await authenticate(next.key)).not.toHaveProperty('expiresAtMs')
    it.clock.advance(1)
    expect(await authenticate(key)).toBeUndefined()
    expect(await authenticate(next.key)).toBeDefined()
  })

  test("another user's key is found, rotated and deleted exactly as one that does not exist", async () => {
    const { apiKey, key } = await it.keys.create(ann.id, { name: 'mine' })
    const scope = { userId: bob.id }
    for (const id of [apiKey.id, 'key_none'])
      for (const attempt of [
        () => it.keys.get(id, scope),
        () => it.keys.rotate(id, { overlapSeconds: 0 }, scope),
        () => it.keys.delete(id, scope),
      ])
        await expect(attempt()).rejects.toMatchObject({ code: 'not_found' })
    expect((await it.keys.list({ limit: 100 }, scope)).map((item) => item.userId)).not.toContain(ann.id)
    expect(await authenticate(key)).toBeDefined()
  })

  test('the use of a key is written, at most once a minute', async () => {
    const { apiKey, key } = await it.keys.create(ann.id, { name: 'used' })
    const lastUsed = async () => (await it.keys.get(apiKey.id, {})).lastUsedAtMs
    const { writes } = it.database
    const firstUse = it.clock.now()
    await authenticate(key)
    await expect.poll(lastUsed, { timeout: 5_000 }).toBe(firstUse)
    for (let i = 0; i < 59; i++) {
      it.clock.advance(1_000)
      await authenticate(key)
    }
    expect(it.database.writes).toBe(writes + 1)
    it.clock.advance(1_000)
    await authenticate(key)
    await expect.poll(lastUsed, { timeout: 5_000 }).toBe(firstUse + 60_000)
    expect(it.database.writes).toBe(writes + 2)
  })

  test('a user has a bounded number of keys', async () => {
    const { id } = await it.member('many')
    for (let i = 0; i < 200; i++) await it.keys.create(id, { name: `key ${i}` })
    await expect(it.keys.create(id, { name: 'one more' })).rejects.toMatchObject({ code: 'unprocessable' })
  })

  test('input with a field that is not its own, or with a time without a zone, is refused', () => {
    expect(keyInput.safeParse({ name: 'x', budget: '1' }).success).toBe(false)
    expect(keyInput.safeParse({ name: 'x', userId: 'usr_1' }).success).toBe(false)
    expect(keyInput.safeParse({ name: 'x', expiresAt: '2030-01-01T00:00:00' }).success).toBe(false)
    expect(keyInput.safeParse({ name: 'x', expiresAt: '2030-01-01T00:00:00+02:00' }).success).toBe(true)
  })
})
