// Proves that no token is taken but those that this gateway signed for itself and that still hold.
import { createHmac, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { password, publicUrl, engines, identityOn, type Identity } from '../harness/identity.ts'

type Part = Record<string, unknown>

const encode = (part: Part): string => Buffer.from(JSON.stringify(part)).toString('base64url')

describe.each(engines)('access tokens on %s', (engine) => {
  const store = identityOn(engine)
  let it: Identity
  let good: string
  let header: Part
  let claims: Part
  beforeAll(async () => {
    await store.open()
    it = await store.start()
    await it.member('ann')
    await it.member('bob')
    good = (await it.logins.login({ username: 'ann', password }, { ip: '192.0.2.1' })).token
    const [head = '', body = ''] = good.split('.')
    header = JSON.parse(Buffer.from(head, 'base64url').toString()) as Part
    claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as Part
  })
  afterAll(async () => {
    await it.stop()
    await store.close()
  })

  /** A token as ours but for what is changed; signed with our own key unless another is given. */
  function forge(change: { header?: Part; claims?: Part; key?: KeyObject }): string {
    const signed = `${encode({ ...header, ...change.header })}.${encode({ ...claims, ...change.claims })}`
    const signature = sign(null, Buffer.from(signed), change.key ?? it.keyring.signingKey)
    return `${signed}.${signature.toString('base64url')}`
  }

  async function refused(token: string): Promise<void> {
    const { reads } = it.database
    expect(await it.authenticator.authenticate(token)).toBeUndefined()
    expect(it.database.reads, 'a refused token costs no query').toBe(reads)
  }

  test('ours holds an issuer, an audience, a login, an id and an end, and no role', () => {
    expect(header).toEqual({ alg: 'EdDSA', typ: 'at+jwt', kid: it.keyring.publicJwk.kid })
    expect(Object.keys(claims).sort()).toEqual(['aud', 'exp', 'iat', 'iss', 'jti', 'sid', 'sub'])
    expect(Number(claims.exp) - Number(claims.iat)).toBe(900)
  })

  test('a token as ours, made here, is taken: the forgeries below fail for what they change', async () => {
    expect(await it.authenticator.authenticate(forge({}))).toMatchObject({ username: 'ann' })
  })

  test('the published keys verify our tokens', async () => {
    const keys = createLocalJWKSet({ keys: it.tokens.jwks.keys.map((key) => ({ ...key })) })
    const { payload } = await jwtVerify(good, keys, { currentDate: new Date(it.clock.now()) })
    expect(payload.sub).toBe(claims.sub)
  })

  test('an HMAC keyed with our public key, in any of its spellings, is refused', async () => {
    const publicKey = createPublicKey(it.keyring.signingKey)
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
    const { x } = it.keyring.publicJwk
    const der = publicKey.export({ type: 'spki', format: 'der' })
    for (const key of [pem, pem.trim(), `\n${pem}`, x, Buffer.from(x, 'base64url'), der])
      for (const alg of ['HS256', 'EdDSA']) {
        const signed = `${encode({ ...header, alg })}.${encode(claims)}`
        await refused(`${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`)
      }
  })

  test('no algorithm, another algorithm or another spelling is refused, signed or not', async () => {
    for (const alg of ['none', 'NoNe', '', 'RS256', 'ES256', 'eddsa', 'Ed25519', null, ['EdDSA']]) {
      await refused(forge({ header: { alg } }))
      await refused(`${encode({ ...header, alg })}.${encode(claims)}.`)
    }
    await refused(`${good.split('.').slice(0, 2).join('.')}.`)
  })

  test('headers that would steer the verifier are refused, even under our own signature', async () => {
    for (const more of [
      { crit: ['x'], x: 1 },
      { crit: ['b64'], b64: true },
      { crit: [] },
      { jku: 'http://127.0.0.1/jwks' },
      { x5u: 'http://127.0.0.1/cert' },
      { jwk: it.keyring.publicJwk },
      { kid: '../../x' },
      { kid: "' OR 1=1--" },
      { kid: undefined },
      { typ: 'JWT' },
      { typ: undefined },
    ])
      await refused(forge({ header: more }))
  })

  test('a signature by any other key is refused', async () => {
    const { privateKey } = generateKeyPairSync('ed25519')
    await refused(forge({ key: privateKey }))
  })

  test('another issuer or audience is refused; an audience among others is taken', async () => {
    for (const aud of ['http://other.test', ['http://other.test'], undefined, '', `${publicUrl}/`])
      await refused(forge({ claims: { aud } }))
    await refused(forge({ claims: { iss: 'http://other.test' } }))
    await refused(forge({ claims: { iss: undefined } }))
    const both = forge({ claims: { aud: ['http://other.test', publicUrl] } })
    expect(await it.authenticator.authenticate(both)).toBeDefined()
  })

  test('beyond the leeway of 60 s an expired or not yet valid token is refused', async () => {
    const nowS = it.clock.now() / 1000
    await refused(forge({ claims: { exp: nowS - 61 } }))
    await refused(forge({ claims: { nbf: nowS + 61 } }))
    for (const missing of ['exp', 'iat', 'jti', 'sid', 'sub'])
      await refused(forge({ claims: { [missing]: undefined } }))
    expect(await it.authenticator.authenticate(forge({ claims: { exp: nowS - 59 } }))).toBeDefined()
    expect(await it.authenticator.authenticate(forge({ claims: { nbf: nowS + 59 } }))).toBeDefined()
  })

  test("a login's token in another user's name is refused", async () => {
    const bob = (await it.users.list({ limit: 10 })).find((user) => user.username === 'bob')
    expect(await it.authenticator.authenticate(forge({ claims: { sub: bob?.id } }))).toBeUndefined()
    expect(await it.authenticator.authenticate(forge({ claims: { sid: 'rft_none' } }))).toBeUndefined()
  })

  test('the same header and claims with another signature miss the cache and are refused', async () => {
    expect(await it.authenticator.authenticate(good)).toMatchObject({ username: 'ann' })
    const [head, body, signature = ''] = good.split('.')
    const bytes = Buffer.from(signature, 'base64url')
    bytes[10] = (bytes[10] ?? 0) ^ 1
    await refused(`${head}.${body}.${bytes.toString('base64url')}`)
    await refused(`${head}.${encode({ ...claims, sub: 'usr_other' })}.${signature}`)
    await refused(`${good} `)
  })

  test('what is too long or no token at all is refused', async () => {
    await refused(`${good}${'A'.repeat(5_000)}`)
    for (const text of ['', '.', '..', 'a.b', 'a.b.c', "' OR '1'='1", 'undefined', '\u0000', good.slice(1)])
      await refused(text)
  })
})
