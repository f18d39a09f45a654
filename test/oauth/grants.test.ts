// What OAuth grants promise, on SQLite and on PostgreSQL: tokens for one endpoint, used once, ended at once.
import { createHash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CredentialCheck } from '../../src/identity/credential-check.ts'
import { KeyStore } from '../../src/identity/key-store.ts'
import type { Principal } from '../../src/identity/principal.ts'
import type { Revocation } from '../../src/identity/revocations.ts'
import { ClientAssertions } from '../../src/oauth/client-assertion.ts'
import { ClientStore } from '../../src/oauth/client-store.ts'
import { ClientDocuments } from '../../src/oauth/client-documents.ts'
import { Clients } from '../../src/oauth/clients.ts'
import type { Consent, TokenAnswer } from '../../src/oauth/grants.ts'
import { newIssuerKey } from '../harness/issuer.ts'
import { engines, identityOn, password, publicUrl, type Identity } from '../harness/identity.ts'

const dayMs = 86_400_000
const resource = `${publicUrl}/mcp/weather`

describe.each(engines)('on %s', (engine) => {
  const store = identityOn(engine)
  let it: Identity
  const published: Revocation[] = []
  beforeAll(async () => {
    await store.open()
    it = await store.start()
    it.revocations.onRevoked((revocation) => published.push(revocation))
  })
  afterAll(async () => {
    await it.stop()
    await store.close()
  })

  let made = 0
  async function consented(more: Partial<Consent> = {}) {
    const userId = more.userId ?? (await it.member(`user${++made}`)).id
    const verifier = randomBytes(32).toString('base64url')
    const code = await it.grants.begin({
      userId,
      clientId: 'ocl_one',
      clientName: 'One',
      redirectUri: 'https://one.example/cb',
      resource,
      scopes: ['mcp:read', 'mcp:call'],
      challenge: createHash('sha256').update(verifier).digest('base64url'),
      interaction: randomBytes(16).toString('base64url'),
      ...more,
    })
    const shown = {
      clientId: 'ocl_one',
      resource,
      redirectUri: 'https://one.example/cb',
      verifier,
      refreshable: true,
    }
    return { userId, code, shown }
  }
  async function granted(
    more: Partial<Consent> = {},
  ): Promise<TokenAnswer & { userId: string; refresh_token: string }> {
    const { userId, code, shown } = await consented(more)
    const answer = await it.grants.exchange(code, shown)
    return { ...answer, userId, refresh_token: answer.refresh_token ?? '' }
  }
  const callerOf = async (token: string): Promise<Principal | undefined> =>
    it.authenticator.authenticate(token)
  const refreshing = { clientId: 'ocl_one', resource: undefined, scopes: undefined }

  test('a token is of its user, for one endpoint, with the scopes that were granted', async () => {
    const { userId, access_token: token } = await granted({ scopes: ['mcp:read'] })
    const caller = await callerOf(token)
    expect(caller).toMatchObject({ userId, via: 'oauth', resource, scopes: ['mcp:read'] })
    expect(caller?.loginId).toBeUndefined()
  })

  test('a token that names another endpoint than its grant is refused, though we signed it', async () => {
    const { access_token: token } = await granted()
    const grant = await it.grants.find((await callerOf(token))?.grantId ?? '')
    if (!grant) throw new Error('the token has a grant')
    const sign = (audience: string) =>
      it.tokens.signForGrant({ ...grant, resource: audience }, { scopes: ['mcp:call'], lifetimeS: 60 })
    expect(await callerOf(await sign(resource))).toBeDefined()
    expect(await callerOf(await sign(`${publicUrl}/mcp/other`))).toBeUndefined()
    expect(await callerOf(await sign(publicUrl))).toBeUndefined()
  })

  test('a token ends when it says, give or take what clocks may differ', async () => {
    const { access_token: token, expires_in: seconds } = await granted()
    it.clock.advance((seconds + 59) * 1000)
    expect(await callerOf(token)).toBeDefined()
    it.clock.advance(2000)
    expect(await callerOf(token)).toBeUndefined()
  })

  test.each([
    ['of another client', { clientId: 'ocl_two' }],
    ['with another proof', { verifier: 'x'.repeat(43) }],
    ['without a proof', { verifier: undefined }],
    ['with the challenge as its proof', { verifier: 'challenge' }],
    ['for another redirect', { redirectUri: 'https://one.example/cb/' }],
    ['for another endpoint', { resource: `${publicUrl}/mcp/other` }],
  ])('a code %s brings nothing, and is not used up', async (_name, change) => {
    const { code, shown } = await consented()
    await expect(it.grants.exchange(code, { ...shown, ...change })).rejects.toMatchObject({
      code: expect.stringMatching(/^invalid_(grant|target)$/),
    })
    expect((await it.grants.exchange(code, shown)).token_type).toBe('Bearer')
  })

  test('a code lives for a minute', async () => {
    const { code, shown } = await consented()
    it.clock.advance(60_000)
    await expect(it.grants.exchange(code, shown)).rejects.toMatchObject({ code: 'invalid_grant' })
  })

  test('a code that comes twice ends what it brought, also when both come at once', async () => {
    const { code, shown } = await consented()
    const { access_token: token, refresh_token: next = '' } = await it.grants.exchange(code, shown)
    await expect(it.grants.exchange(code, shown)).rejects.toMatchObject({ code: 'invalid_grant' })
    expect(await callerOf(token)).toBeUndefined()
    await expect(it.grants.refresh(next, refreshing)).rejects.toMatchObject({ code: 'invalid_grant' })
    const raced = await consented()
    const all = await Promise.allSettled(
      Array.from({ length: 5 }, () => it.grants.exchange(raced.code, raced.shown)),
    )
    const won = all.flatMap((each) => (each.status === 'fulfilled' ? [each.value.access_token] : []))
    expect(won.length).toBeLessThanOrEqual(1)
    for (const each of won) expect(await callerOf(each)).toBeUndefined()
  })

  test('a refresh token works once; a second use ends the whole family and tells who listens', async () => {
    const first = await granted()
    const second = await it.grants.refresh(first.refresh_token, refreshing)
    const grantId = (await callerOf(second.access_token))?.grantId
    expect(grantId).toBeDefined()
    await expect(it.grants.refresh(first.refresh_token, refreshing)).rejects.toMatchObject({
      code: 'invalid_grant',
    })
    expect(published).toContainEqual({ grantId })
    for (const token of [first.access_token, second.access_token])
      expect(await callerOf(token)).toBeUndefined()
    await expect(it.grants.refresh(second.refresh_token ?? '', refreshing)).rejects.toMatchObject({
      code: 'invalid_grant',
    })
  })

  test('a refresh may ask for less, never for more, nor for another endpoint or as another client', async () => {
    const { refresh_token: token } = await granted({ scopes: ['mcp:read'] })
    for (const change of [
      { scopes: ['mcp:call'] as const },
      { resource: `${publicUrl}/mcp` },
      { clientId: 'ocl_two' },
    ])
      await expect(it.grants.refresh(token, { ...refreshing, ...change })).rejects.toThrow()
    const wide = await granted()
    const less = await it.grants.refresh(wide.refresh_token, { ...refreshing, scopes: ['mcp:read'] })
    expect((await callerOf(less.access_token))?.scopes).toEqual(['mcp:read'])
  })

  test('a consent counts once', async () => {
    const interaction = 'the same page'
    await consented({ interaction })
    await expect(consented({ interaction })).rejects.toMatchObject({ code: 'invalid_request' })
  })

  test('a grant ends with its time, its user, its user being disabled, and a new password', async () => {
    const aged = await granted()
    it.clock.advance(30 * dayMs)
    await expect(it.grants.refresh(aged.refresh_token, refreshing)).rejects.toMatchObject({
      code: 'invalid_grant',
    })
    const ends: ((userId: string) => Promise<unknown>)[] = [
      (userId) => it.users.patch(userId, { disabled: true }),
      (userId) => it.users.patch(userId, { password: 'another battery' }),
      (userId) => it.users.delete(userId),
    ]
    for (const end of ends) {
      const { userId, access_token: token, refresh_token: next } = await granted()
      const other = await granted()
      expect(await callerOf(token)).toBeDefined()
      await end(userId)
      expect(await callerOf(token)).toBeUndefined()
      await expect(it.grants.refresh(next, refreshing)).rejects.toMatchObject({ code: 'invalid_grant' })
      expect(await callerOf(other.access_token)).toBeDefined()
    }
  })

  test('a change of roles keeps a grant, and counts at once', async () => {
    const { userId, access_token: token } = await granted()
    expect((await callerOf(token))?.roles).toEqual(['member'])
    await it.users.patch(userId, { roles: ['operator'] })
    expect((await callerOf(token))?.roles).toEqual(['operator'])
  })

  test('a list shows what is in use, and only its owner takes it back', async () => {
    const { userId } = await granted()
    await consented({ userId })
    const other = await granted()
    const [grant] = await it.grants.list({ limit: 10, userId })
    expect(await it.grants.list({ limit: 10, userId })).toHaveLength(1)
    expect(await it.grants.revoke(grant?.id ?? '', { userId: other.userId })).toBe(false)
    expect(await it.grants.revoke(grant?.id ?? '', { userId })).toBe(true)
    expect(await it.grants.revoke(grant?.id ?? '', { userId })).toBe(false)
    expect(await it.grants.list({ limit: 10, userId })).toEqual([])
  })

  test('a user has so many grants; one more ends the one unused for the longest', async () => {
    const first = await granted()
    const { userId } = first
    for (let n = 0; n < 5; n++) {
      it.clock.advance(1000)
      await granted({ userId })
    }
    expect(await it.grants.list({ limit: 10, userId })).toHaveLength(5)
    expect(await callerOf(first.access_token)).toBeUndefined()
  })

  test('sessions that were opened with a grant stand while it does', async () => {
    const keyStore = new KeyStore(it.database)
    const check = new CredentialCheck({
      keyStore,
      loginStore: it.loginStore,
      grants: it.grantStore,
      clock: it.clock,
    })
    const { userId, access_token: token } = await granted()
    const caller = await callerOf(token)
    const reference = { userId, keyId: undefined, loginId: undefined, grantId: caller?.grantId }
    const stands = async () => (await check.findPrincipals([reference]))[0]
    expect(await stands()).toEqual({ ...caller, expiresAtMs: expect.any(Number) })
    expect((await check.findPrincipals([{ ...reference, userId: 'usr_other' }]))[0]).toBeUndefined()
    await it.grants.revoke(caller?.grantId ?? '')
    expect(await stands()).toBeUndefined()
  })

  test('what ended long ago is forgotten, and nothing else', async () => {
    const old = await granted()
    await it.grants.revoke((await callerOf(old.access_token))?.grantId ?? '')
    const unused = await consented()
    it.clock.advance(2 * dayMs)
    const young = await granted()
    await it.grants.purge()
    expect(await it.grants.findByRefreshToken(old.refresh_token)).toBeUndefined()
    expect(await it.grantStore.findByCode(it.keyring.refreshTokenMac(unused.code))).toBeUndefined()
    expect(await it.grants.refresh(young.refresh_token, refreshing)).toBeDefined()
  })

  describe('a token without a consent', () => {
    const client = { id: 'ocl_job', name: 'Job' }
    const scopes = ['mcp:read', 'mcp:call'] as const
    const issue = (userId: string, more: { once?: string; resource?: string } = {}) =>
      it.grants.issueDirectly({ userId, client, resource, scopes, ...more })

    test('comes of one grant for each user, client and endpoint, until that is taken back', async () => {
      const { id: userId } = await it.member(`user${++made}`)
      const tokens = [await issue(userId), await issue(userId)]
      const [first, second] = await Promise.all(tokens.map((each) => callerOf(each.access_token)))
      expect(first?.grantId).toBe(second?.grantId)
      const elsewhere = await callerOf((await issue(userId, { resource: `${publicUrl}/mcp` })).access_token)
      expect(elsewhere?.grantId).not.toBe(first?.grantId)
      await it.grants.revoke(first?.grantId ?? '')
      expect(await callerOf(tokens[1]?.access_token ?? '')).toBeUndefined()
      const third = await callerOf((await issue(userId)).access_token)
      expect(third?.grantId).not.toBe(first?.grantId)
      await it.grants.revokeOfClient(client.id)
      expect(await it.grants.list({ limit: 10, userId })).toEqual([])
    })

    test('is given once for what counts once, also when it is asked for many times at once', async () => {
      const { id: userId } = await it.member(`user${++made}`)
      const all = await Promise.allSettled(Array.from({ length: 5 }, () => issue(userId, { once: 'same' })))
      const given = all.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
      expect(given).toHaveLength(1)
      expect(await callerOf(given[0]?.access_token ?? '')).toBeDefined()
      await expect(issue(userId, { once: 'same' })).rejects.toMatchObject({ code: 'invalid_grant' })
    })

    test('leaves nothing behind that fills up: what counted once is forgotten when it has long ended', async () => {
      const { id: userId } = await it.member(`user${++made}`)
      await issue(userId, { once: 'old' })
      await it.grants.purge()
      await expect(issue(userId, { once: 'old' })).rejects.toMatchObject({ code: 'invalid_grant' })
      it.clock.advance(2 * dayMs)
      await it.grants.purge()
      expect(await callerOf((await issue(userId, { once: 'old' })).access_token)).toBeDefined()
    })

    test('is not given for a user who is disabled or gone', async () => {
      const { id: userId } = await it.member(`user${++made}`)
      await issue(userId)
      await it.users.patch(userId, { disabled: true })
      await expect(issue(userId)).rejects.toMatchObject({ code: 'invalid_grant' })
      await it.users.patch(userId, { disabled: false })
      await it.users.delete(userId)
      await expect(issue(userId)).rejects.toMatchObject({ code: 'invalid_grant' })
    })
  })

  describe('a client that registered itself', () => {
    const open = () =>
      new Clients({
        store: new ClientStore(it.database),
        documents: new ClientDocuments({
          fetchJson: () => Promise.reject(new Error('nobody asks')),
          clock: it.clock,
        }),
        keyring: it.keyring,
        clock: it.clock,
        assertions: new ClientAssertions(it.clock, () => [publicUrl]),
        registration: true,
        metadataDocuments: true,
        maxClients: 3,
      })
    const metadata = { client_name: 'One', redirect_uris: ['https://one.example/cb'] }
    const from = { ip: '192.0.2.1' }

    test('proves itself in the way that it registered and in no other', async () => {
      const clients = open()
      const { client, secret } = await clients.register(metadata, from)
      const proof = { clientId: client.id, secret, method: 'client_secret_basic' as const }
      expect((await clients.authenticate(proof, from)).name).toBe('One')
      for (const change of [
        { secret: `${secret}x` },
        { secret: undefined },
        { method: 'client_secret_post' as const },
        { method: 'none' as const, secret: undefined },
        { clientId: `ocl_${'0'.repeat(26)}` },
      ])
        await expect(clients.authenticate({ ...proof, ...change }, from)).rejects.toMatchObject({
          code: 'invalid_client',
        })
    })

    test('of a user is listed and removed by its user, and does not fill up what others may register', async () => {
      const clients = open()
      const [mine, yours] = [await it.member(`user${++made}`), await it.member(`user${++made}`)]
      const keys = [newIssuerKey().publicJwk]
      const { client } = await clients.createOwned(mine.id, { name: 'Job' })
      // Ids of one millisecond have no order.
      it.clock.advance(1)
      const signed = await clients.createOwned(mine.id, { name: 'Signed', keys })
      expect(signed.secret).toBeUndefined()
      const ids = async (ownerId: string) =>
        (await clients.listOwned({ limit: 10, ownerId })).map(({ id }) => id)
      expect(await ids(mine.id)).toEqual([client.id, signed.client.id])
      expect(await ids(yours.id)).toEqual([])
      expect((await clients.get(signed.client.id, from)).keys).toEqual(keys)
      await expect(clients.deleteOwned(client.id, yours.id)).rejects.toMatchObject({ code: 'not_found' })
      it.clock.advance(100 * dayMs)
      await clients.purge()
      expect(await ids(mine.id)).toHaveLength(2)
      await clients.deleteOwned(client.id, mine.id)
      expect(await ids(mine.id)).toEqual([signed.client.id])
    })

    test('is forgotten a day later where nobody used it, which makes room; one with a grant is not', async () => {
      const clients = open()
      it.clock.advance(2 * dayMs)
      await clients.purge()
      const used = await clients.register(metadata, from)
      await consented({ clientId: used.client.id })
      await clients.register(metadata, from)
      await clients.register(metadata, from).catch(() => undefined)
      await expect(clients.register(metadata, from)).rejects.toMatchObject({ code: 'slow_down' })
      it.clock.advance(2 * dayMs)
      const { client } = await clients.register(metadata, { ip: '192.0.2.2' })
      expect(await clients.get(used.client.id, from)).toBeDefined()
      expect(await clients.get(client.id, from)).toBeDefined()
    })
  })

  test('a wrong password brings nobody to a consent', async () => {
    const user = await it.member('careful')
    const from = { ip: '192.0.2.9' }
    expect(await it.logins.verifyPassword({ username: 'careful', password: 'wrong' }, from)).toBeUndefined()
    expect((await it.logins.verifyPassword({ username: 'careful', password }, from))?.id).toBe(user.id)
  })
})
