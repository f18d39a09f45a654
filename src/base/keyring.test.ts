// Proves that keys are derived apart, weak secrets are refused, and sealed text opens only where it belongs.
import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { GatewayError } from './errors.ts'
import { derivedKeys, Keyring } from './keyring.ts'
import { newMasterSecret, parseMasterSecret } from './master-secret.ts'

const master = Buffer.alloc(32, 7)
const sentinel = 'S3NTINEL-secret-value'

describe('the keyring', () => {
  test('the same secret gives the same keys, another secret gives others', () => {
    const [one, same, other] = [
      new Keyring(derivedKeys(master)),
      new Keyring(derivedKeys(master)),
      new Keyring(derivedKeys(Buffer.alloc(32, 8))),
    ]
    expect(same.publicJwk).toEqual(one.publicJwk)
    expect(same.apiKeyMac('x')).toEqual(one.apiKeyMac('x'))
    expect(other.publicJwk.x).not.toBe(one.publicJwk.x)
    expect(other.apiKeyMac('x')).not.toEqual(one.apiKeyMac('x'))
  })

  test('one purpose never uses the key of another', () => {
    const keyring = new Keyring(derivedKeys(master))
    expect(keyring.apiKeyMac('x')).not.toEqual(keyring.refreshTokenMac('x'))
  })

  test('the published key holds no private part', () => {
    const { publicJwk } = new Keyring(derivedKeys(master))
    expect(Object.keys(publicJwk).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x'])
    expect(publicJwk.kid).toMatch(/^[\w-]{43}$/)
  })
})

describe('sealed text', () => {
  const keyring = new Keyring(derivedKeys(master))

  test('opens in its own context and shows nothing of the plaintext', () => {
    const sealed = keyring.seal(sentinel, 'server:srv_1')
    expect(keyring.open(sealed, 'server:srv_1')).toBe(sentinel)
    expect(sealed).not.toContain(sentinel)
    expect(sealed).not.toContain(Buffer.from(sentinel).toString('base64url').slice(0, 10))
    expect(keyring.seal(sentinel, 'server:srv_1')).not.toBe(sealed)
    expect(keyring.open(keyring.seal('', 'a'), 'a')).toBe('')
  })

  test('does not open elsewhere, with another key, or after any one character changed', () => {
    const sealed = keyring.seal(sentinel, 'server:srv_1')
    const refused = (text: string, context = 'server:srv_1', ring = keyring) =>
      expect(() => ring.open(text, context)).toThrow(GatewayError)
    refused(sealed, 'server:srv_2')
    refused(sealed, 'server:srv_1', new Keyring(derivedKeys(Buffer.alloc(32, 8))))
    refused('')
    refused(`${sealed}.x`)
    // The last character of an unpadded base64url group may carry unused bits, so whole bytes are changed instead.
    const [version, keyId, nonce, body = ''] = sealed.split('.')
    const bytes = Buffer.from(body, 'base64url')
    for (let i = 0; i < bytes.length; i++) {
      const changed = Buffer.from(bytes)
      changed[i] = (changed[i] ?? 0) ^ 1
      refused([version, keyId, nonce, changed.toString('base64url')].join('.'))
    }
    refused([version, keyId, nonce, bytes.subarray(0, -1).toString('base64url')].join('.'))
  })
})

describe('a master secret', () => {
  test.each([
    ['hex', () => newMasterSecret()],
    ['long hex', () => randomBytes(48).toString('hex').toUpperCase()],
    ['base64', () => randomBytes(32).toString('base64')],
    ['base64url', () => randomBytes(33).toString('base64url')],
    ['a long text with a line end', () => 'correct horse battery staple, then 7 more words\n'],
  ])('of 32 bytes in %s is taken', (_, make) => {
    const secret = parseMasterSecret(make())
    expect(secret).toBeInstanceOf(Uint8Array)
    expect((secret as Uint8Array).length).toBeGreaterThanOrEqual(32)
  })

  test('in hex and in base64 means the same bytes', () => {
    const bytes = randomBytes(32)
    expect(parseMasterSecret(bytes.toString('hex'))).toEqual(parseMasterSecret(bytes.toString('base64url')))
  })

  test.each([
    '',
    'changeme',
    'changeme'.repeat(6),
    'please-CHANGE-ME-please-please-0123456789',
    randomBytes(16).toString('hex'),
    randomBytes(16).toString('base64'),
    randomBytes(31).toString('hex'),
    'a'.repeat(64),
    '00'.repeat(32),
    '0123456789abcdef'.repeat(4),
    'abcdefghijklmnopqrstuvwxyz0123456789',
    'my-own-Secret-9'.repeat(3),
    'short but varied: 8&Kq!',
    Buffer.from(Array.from({ length: 32 }, (_, i) => i)).toString('base64'),
  ])('that is weak is refused with the way to fix it: %s', (text) => {
    const answer = parseMasterSecret(text)
    expect(answer).toHaveProperty('problem', expect.stringContaining('openssl rand -hex 32'))
  })
})
