// Proves that a credential that has ended is not good any more, whatever was opened with it before.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CredentialCheck } from '../../src/identity/credential-check.ts'
import { KeyStore } from '../../src/identity/key-store.ts'
import type { Principal } from '../../src/identity/principal.ts'
import { engines, identityOn, password, type Identity } from '../harness/identity.ts'

const dayMs = 86_400_000

describe.each(engines)('credentials that were used before, on %s', (engine) => {
  const store = identityOn(engine)
  let it: Identity
  let check: CredentialCheck
  beforeAll(async () => {
    await store.open()
    it = await store.start()
    check = new CredentialCheck({
      keyStore: new KeyStore(it.database),
      loginStore: it.loginStore,
      clock: it.clock,
    })
  })
  afterAll(async () => {
    await it.stop()
    await store.close()
  })

  let users = 0
  async function used(): Promise<{ userId: string; login: Principal; key: Principal }> {
    const username = `user${users++}`
    const { id: userId } = await it.member(username)
    const { token } = await it.logins.login({ username, password }, { ip: '127.0.0.1' })
    const expiresAt = new Date(it.clock.now() + 2 * dayMs).toISOString()
    const { key } = await it.keys.create(userId, { name: 'k', expiresAt, servers: ['one'] })
    const login = (await it.authenticator.authenticate(token)) as Principal
    return { userId, login, key: (await it.authenticator.authenticate(key)) as Principal }
  }
  const reference = ({ userId, keyId, loginId }: Principal) => ({ userId, keyId, loginId })
  const stand = async (...principals: Principal[]) => check.findPrincipals(principals.map(reference))

  test('stand as their callers are now, in the order in which they were asked for', async () => {
    const { userId, login, key } = await used()
    expect(await stand(key, login)).toEqual([key, { ...login, expiresAtMs: expect.any(Number) }])
    await it.users.patch(userId, { roles: ['operator'] })
    expect((await stand(login, key)).map((each) => each?.roles)).toEqual([['operator'], ['operator']])
  })

  test('do not stand for anybody else, nor without a key or a login', async () => {
    const [one, two] = [await used(), await used()]
    const stolen = { userId: one.userId, keyId: two.key.keyId, loginId: undefined }
    const bare = { userId: one.userId, keyId: undefined, loginId: undefined }
    expect(await check.findPrincipals([stolen, bare])).toEqual([undefined, undefined])
  })

  test('do not stand once they, or their users, have ended', async () => {
    const [out, without, off, gone] = [await used(), await used(), await used(), await used()]
    await it.logins.logout(out.login)
    await it.keys.delete(without.key.keyId ?? '', {})
    await it.users.patch(off.userId, { disabled: true })
    await it.users.delete(gone.userId)
    expect(await stand(out.login, without.key, off.login, off.key, gone.login, gone.key)).toEqual(
      Array.from({ length: 6 }),
    )
    expect((await stand(out.key, without.login)).map((each) => each?.userId)).toEqual([
      out.userId,
      without.userId,
    ])
  })

  test('are asked for in few queries, however many there are', async () => {
    const { login, key } = await used()
    it.database.reads = 0
    const many = Array.from({ length: 2000 }, (_, n) => ({
      ...reference(n % 2 ? login : key),
      ...(n > 2 && n % 2 === 0 && { keyId: `key_${n}` }),
    }))
    expect((await check.findPrincipals(many)).filter(Boolean).length).toBe(1002)
    expect(it.database.reads).toBeLessThan(6)
  })

  test('do not stand past their time', async () => {
    const { login, key } = await used()
    it.clock.advance(3 * dayMs)
    expect((await stand(login, key)).map((each) => each?.via)).toEqual(['token', undefined])
    it.clock.advance(30 * dayMs)
    expect(await stand(login)).toEqual([undefined])
  })
})
