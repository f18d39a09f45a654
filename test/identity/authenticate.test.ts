// Proves that what is remembered of a credential never outlives it, and that memory and work stay bounded.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { password, engines, identityOn, type Identity } from '../harness/identity.ts'
import { GatewayError } from '../../src/base/errors.ts'
import { isRevokedBy, type Revocation } from '../../src/identity/revocations.ts'
import type { Principal } from '../../src/identity/principal.ts'

const from = { ip: '192.0.2.1' }

describe.each(engines)('the authenticator on %s', (engine) => {
  const store = identityOn(engine)
  let it: Identity
  beforeAll(async () => {
    await store.open()
    it = await store.start()
  })
  afterAll(async () => {
    await it.stop()
    await store.close()
  })

  const authenticate = async (credential: string, by = it) => by.authenticator.authenticate(credential)

  async function newCaller(username: string) {
    const user = await it.member(username)
    const { key, apiKey } = await it.keys.create(user.id, { name: 'k' })
    const { token } = await it.logins.login({ username, password }, from)
    return { user, key, apiKey, token }
  }

  test('a remembered credential is answered at once and without a query', async () => {
    const { key, token } = await newCaller('ann')
    for (const credential of [key, token]) {
      const principal = await it.authenticator.authenticate(credential)
      const { reads } = it.database
      expect(it.authenticator.authenticate(credential)).toBe(principal)
      expect(it.database.reads).toBe(reads)
    }
  })

  test('calls that come together share one verification', async () => {
    const { key } = await newCaller('bob')
    const { reads } = it.database
    const answers = await Promise.all(Array.from({ length: 50 }, () => authenticate(key)))
    expect(new Set(answers).size).toBe(1)
    expect(it.database.reads).toBe(reads + 1)
  })

  test('a refusal is not remembered', async () => {
    const { key, user } = await newCaller('carl')
    await it.users.patch(user.id, { disabled: true })
    expect(await it.authenticator.authenticate(key)).toBeUndefined()
    await it.users.patch(user.id, { disabled: false })
    expect(await it.authenticator.authenticate(key)).toBeDefined()
  })

  test.each<[string, (caller: Awaited<ReturnType<typeof newCaller>>) => Promise<unknown>, string[]]>([
    ['deleting the key', ({ apiKey }) => it.keys.delete(apiKey.id, {}), ['key']],
    ['rotating the key', ({ apiKey }) => it.keys.rotate(apiKey.id, { overlapSeconds: 0 }, {}), ['key']],
    ['disabling the user', ({ user }) => it.users.patch(user.id, { disabled: true }), ['key', 'token']],
    ['deleting the user', ({ user }) => it.users.delete(user.id), ['key', 'token']],
    ['a new password', ({ user }) => it.users.patch(user.id, { password: 'another one' }), ['token']],
    [
      'logging out',
      async ({ token }) => it.logins.logout(await it.authenticator.authenticate(token)),
      ['token'],
    ],
  ])(
    '%s ends what was remembered in the same moment, and open streams hear of it',
    async (what, end, ended) => {
      const caller = await newCaller(what.replaceAll(' ', '-'))
      const principals = {
        key: (await it.authenticator.authenticate(caller.key)) as Principal,
        token: (await it.authenticator.authenticate(caller.token)) as Principal,
      }
      const heard: Revocation[] = []
      it.revocations.onRevoked((revocation) => heard.push(revocation))
      await end(caller)
      for (const kind of ['key', 'token'] as const) {
        const answer = await it.authenticator.authenticate(caller[kind])
        expect(answer === undefined, kind).toBe(ended.includes(kind))
        if (ended.includes(kind))
          expect(heard.some((revocation) => isRevokedBy(revocation, principals[kind]))).toBe(true)
      }
    },
  )

  test('new roles count from the next call on', async () => {
    const { user, token } = await newCaller('dora')
    expect(await it.authenticator.authenticate(token)).toMatchObject({ roles: ['member'] })
    await it.users.patch(user.id, { roles: ['auditor'] })
    expect(await it.authenticator.authenticate(token)).toMatchObject({ roles: ['auditor'] })
  })

  test.each(['before', 'after'] as const)(
    'a revocation during a verification, %s its read, leaves nothing remembered',
    async (moment) => {
      const { key, apiKey } = await newCaller(`race-${moment}`)
      it.database.onRead = async (now) => {
        if (now !== moment) return
        it.database.onRead = undefined
        await it.keys.delete(apiKey.id, {})
      }
      expect(await it.authenticator.authenticate(key)).toBeUndefined()
      expect(await it.authenticator.authenticate(key)).toBeUndefined()
    },
  )

  test('a call after a revocation does not share a verification from before it', async () => {
    const { key, apiKey } = await newCaller('late')
    const gate = Promise.withResolvers<void>()
    const reached = Promise.withResolvers<void>()
    it.database.onRead = async (now) => {
      if (now !== 'after') return
      it.database.onRead = undefined
      reached.resolve()
      await gate.promise
    }
    const early = it.authenticator.authenticate(key)
    await reached.promise
    await it.keys.delete(apiKey.id, {})
    expect(await it.authenticator.authenticate(key)).toBeUndefined()
    gate.resolve()
    expect(await early).toBeUndefined()
  })

  test('a token ends on time although it is remembered', async () => {
    const { token } = await newCaller('erin')
    expect(await it.authenticator.authenticate(token)).toBeDefined()
    it.clock.advance(959_999)
    expect(await it.authenticator.authenticate(token)).toBeDefined()
    it.clock.advance(1)
    expect(await it.authenticator.authenticate(token)).toBeUndefined()
  })

  test('memory is bounded, and what is in use stays', async () => {
    const small = await store.start({ limits: { maxCached: 8 } })
    try {
      const { id } = await small.member('fred')
      const texts: string[] = []
      for (let i = 0; i < 30; i++) texts.push((await small.keys.create(id, { name: `k${i}` })).key)
      const [used = '', ...others] = texts
      await small.authenticator.authenticate(used)
      for (const key of others) {
        await small.authenticator.authenticate(key)
        expect(small.authenticator.authenticate(used)).not.toBeInstanceOf(Promise)
      }
      const pending = texts.map((key) => small.authenticator.authenticate(key))
      const remembered = pending.filter((answer) => !(answer instanceof Promise))
      for (const answer of pending) await answer
      expect(remembered.length).toBeLessThanOrEqual(8)
    } finally {
      await small.stop()
    }
  })

  test('verifications at once are bounded; beyond, a call is told to come again', async () => {
    const small = await store.start({ limits: { maxVerifying: 2 } })
    try {
      const unknown = (n: number) => `tb_${String(n).repeat(26)}_${'A'.repeat(43)}`
      const answers = await Promise.allSettled([1, 2, 3].map((n) => authenticate(unknown(n), small)))
      expect(answers.map((answer) => answer.status)).toEqual(['fulfilled', 'fulfilled', 'rejected'])
      expect(answers[2]).toMatchObject({ reason: { code: 'overloaded' } })
      expect(await small.authenticator.authenticate(unknown(3))).toBeUndefined()
    } finally {
      await small.stop()
    }
  })

  test('a store that is down is not taken for a wrong credential, and those remembered go on', async () => {
    const { key, token } = await newCaller('gina')
    await it.authenticator.authenticate(token)
    it.database.onRead = () => {
      throw new GatewayError('store_unavailable')
    }
    try {
      await expect(it.authenticator.authenticate(key)).rejects.toMatchObject({ code: 'store_unavailable' })
      expect(it.authenticator.authenticate(token)).toMatchObject({ username: 'gina' })
    } finally {
      it.database.onRead = undefined
    }
    expect(await it.authenticator.authenticate(key)).toBeDefined()
  })

  test('a listener that fails keeps no other from hearing', () => {
    const heard: Revocation[] = []
    it.revocations.onRevoked(() => {
      throw new Error('broken listener')
    })
    it.revocations.onRevoked((revocation) => heard.push(revocation))
    it.revocations.publish({ userId: 'usr_none' })
    expect(heard).toEqual([{ userId: 'usr_none' }])
  })
})
