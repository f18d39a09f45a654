// The keys of another issuer: what is believed of its metadata, and how often it is asked.
import { expect, test } from 'vitest'
import { ManualClock } from '../../base/clock.ts'
import { silentLog as log } from '../../base/log.ts'
import { IssuerKeys } from './issuer-keys.ts'

const issuer = 'https://idp.example/tenant'
const discovery = 'https://idp.example/tenant/.well-known/openid-configuration'
const metadata = 'https://idp.example/.well-known/oauth-authorization-server/tenant'
const keysUrl = 'https://keys.example/jwks'
const key = (kid: string) => ({ kty: 'OKP', crv: 'Ed25519', x: 'A'.repeat(43), kid, alg: 'EdDSA' })

function open(documents: Record<string, unknown>, jwksUri?: string) {
  const clock = new ManualClock()
  const asked: string[] = []
  const fetchJson = (url: string) => {
    asked.push(url)
    const value = documents[url]
    return value === undefined ? Promise.reject(new Error('not there')) : Promise.resolve({ value })
  }
  const keys = new IssuerKeys({ issuer, jwksUri, fetchJson, clock, log })
  /** Whether there is a key of this name. */
  const has = async (kid: string): Promise<boolean> => {
    const getKey = await keys.find(kid)
    return Promise.resolve(getKey({ alg: 'EdDSA', kid }, { payload: '', signature: '' })).then(
      () => true,
      () => false,
    )
  }
  return { clock, asked, keys, has, documents }
}
const usual = () => ({
  [discovery]: { issuer, jwks_uri: keysUrl },
  [keysUrl]: { keys: [key('one')] } as { keys: unknown[] },
})
const unavailable = { code: 'issuer_unavailable', retryAfterS: 30 }

test('they are where OpenID Connect says, else where RFC 8414 says, else where the configuration says', async () => {
  const oidc = open(usual())
  expect(await oidc.has('one')).toBe(true)
  expect(oidc.asked).toEqual([discovery, keysUrl])
  const oauth = open({ ...usual(), [discovery]: undefined, [metadata]: { issuer, jwks_uri: keysUrl } })
  expect(await oauth.has('one')).toBe(true)
  expect(oauth.asked).toEqual([discovery, metadata, keysUrl])
  const told = open({ [keysUrl]: { keys: [key('one')] } }, keysUrl)
  expect(await told.has('one')).toBe(true)
  expect(told.asked).toEqual([keysUrl])
})

test.each([
  ['names another issuer', { [discovery]: { issuer: `${issuer}/`, jwks_uri: keysUrl } }],
  ['names no keys', { [discovery]: { issuer } }],
  ['is no object', { [discovery]: [] }],
  ['leads to no set of keys', { [keysUrl]: { key: key('one') } }],
])('an issuer whose metadata %s has no keys', async (_name, change) => {
  await expect(open({ ...usual(), ...change }).keys.find('one')).rejects.toMatchObject(unavailable)
})

test('a shared secret among the keys is none', async () => {
  const it = open({
    ...usual(),
    [keysUrl]: { keys: [{ kty: 'oct', k: 'c2VjcmV0', kid: 'secret' }, key('one')] },
  })
  expect(await it.has('one')).toBe(true)
  expect(await it.has('secret')).toBe(false)
})

test('a new key is found at once, and nonsense is asked for every 30 seconds at most', async () => {
  const it = open(usual())
  await it.has('one')
  it.clock.advance(30_000)
  it.documents[keysUrl] = { keys: [key('one'), key('two')] }
  expect(await it.has('two')).toBe(true)
  const asked = it.asked.length
  await Promise.all(Array.from({ length: 100 }, (_, n) => it.has(`no-${n}`)))
  expect(it.asked.length).toBe(asked)
  it.clock.advance(30_000)
  await Promise.all(Array.from({ length: 100 }, (_, n) => it.has(`no-${n}`)))
  expect(it.asked.length).toBe(asked + 2)
})

test('a key that is no longer published is good for ten minutes and one call', async () => {
  const it = open(usual())
  await it.has('one')
  it.documents[keysUrl] = { keys: [key('two')] }
  it.clock.advance(10 * 60_000)
  expect(await it.has('one')).toBe(true)
  it.clock.advance(1)
  await it.has('one')
  await new Promise((done) => setImmediate(done))
  expect(await it.has('one')).toBe(false)
})

test('an issuer that cannot be reached is done without for a day, and then its tokens wait', async () => {
  const it = open(usual())
  await it.has('one')
  it.documents[keysUrl] = undefined
  it.clock.advance(24 * 3_600_000)
  expect(await it.has('one')).toBe(true)
  it.clock.advance(60_000)
  await expect(it.keys.find('one')).rejects.toMatchObject(unavailable)
  it.documents[keysUrl] = { keys: [key('one')] }
  it.clock.advance(30_000)
  expect(await it.has('one')).toBe(true)
})
