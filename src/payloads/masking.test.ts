// Guarantees of masking: no secret that is named or looks like one stays, what stays is JSON of a bounded size, in linear time.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { runs } from '../../test/harness/fuzz.ts'
import { captureInput } from '../registry/capture.ts'
import { Masking } from './masking.ts'

const masking = (given: object = {}): Masking => new Masking(captureInput.parse(given))
const keep = (value: unknown, given: object = {}): unknown => masking(given).apply(value).value

describe('what is masked', () => {
  test.each([
    'password',
    'Password',
    'user_passwd',
    'client-secret',
    'apiKey',
    'API_KEY',
    'accessToken',
    'Authorization',
    'Set-Cookie',
    'privateKey',
    'credentials',
    'card_number',
    'CVC',
  ])('the value of %s, whatever it is', (name) => {
    expect(keep({ [name]: 'x', other: { [name]: ['a', { b: 1 }] }, n: { [name]: 7 } })).toEqual({
      [name]: '***',
      other: { [name]: '***' },
      n: { [name]: '***' },
    })
  })

  test('but no numbers of tokens, no yes or no, and nothing where there is nothing', () => {
    const value = { max_tokens: 100, totalTokens: 3, hasPassword: true, secret: null, tool: 'x' }
    expect(keep(value)).toEqual(value)
  })

  test.each([
    ['Authorization: Bearer abcdefgh12345678', 'Authorization: ***'],
    ['my key is tb_0123456789abcdefghij, thanks', 'my key is ***, thanks'],
    ['eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl', '***'],
    ['password=hunter2&user=ann', 'password=***&user=ann'],
    ['API_KEY: "abc", x: 1', 'API_KEY: ***", x: 1'],
    ['sk-proj_0123456789abcdefghij', '***'],
    ['before -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- after', 'before *** after'],
    ['a sentence about tokens and passwords', 'a sentence about tokens and passwords'],
  ])('in text: %s', (text, shown) => {
    expect(keep({ text })).toEqual({ text: shown })
  })

  test('in JSON that stands in a text, as results repeat their structured content', () => {
    const inner = JSON.stringify({ user: 'ann', password: 'x', deep: JSON.stringify([{ token: 't' }]) })
    const shown = keep({ content: [{ type: 'text', text: inner }] }) as { content: [{ text: string }] }
    const read = JSON.parse(shown.content[0].text)
    expect(read).toEqual({ user: 'ann', password: '***', deep: JSON.stringify([{ token: '***' }]) })
  })

  test('what the registration names, by globs without regard to case, and by patterns of RE2', () => {
    const given = { mask: ['*Email*', 'iban'], maskPatterns: ['cust_[0-9]{4}', '(?i)top secret'] }
    const value = { workEmail: 'a@b', IBAN: 12, note: 'cust_1234 and Top Secret', cust_9999: true }
    expect(keep(value, given)).toEqual({
      workEmail: '***',
      IBAN: '***',
      note: '*** and ***',
      '***': true,
    })
  })

  test('nothing by a name of an object’s own: __proto__ and constructor are members like others', () => {
    const value: unknown = JSON.parse('{"__proto__":{"password":"x"},"constructor":{"token":"y"}}')
    expect(JSON.stringify(keep(value))).toBe('{"__proto__":{"password":"***"},"constructor":{"token":"***"}}')
  })
})

describe('what is left out', () => {
  test('what is over the size, with a sign that it was', () => {
    const long = masking({ maxBytes: 300 }).apply({ a: 'x'.repeat(1000), b: 'never' })
    expect(long.cut).toBe(true)
    expect(JSON.stringify(long.value)).toMatch(/^\{"a":"x{200,300}…"\}$/)
    const short = masking({ maxBytes: 300 }).apply({ a: 'x'.repeat(200) })
    expect(short).toEqual({ value: { a: 'x'.repeat(200) }, cut: false })
  })

  test('JSON in a text that is too long to be looked into', () => {
    const text = JSON.stringify({ password: 'x', pad: 'y'.repeat(100_000) })
    expect(masking({ maxBytes: 300 }).apply({ text })).toEqual({
      value: { text: `[JSON of ${text.length} characters]` },
      cut: true,
    })
  })

  test('images and audio', () => {
    const image = { type: 'image', data: 'QUJD'.repeat(500), mimeType: 'image/png' }
    expect(masking().apply(image)).toEqual({
      value: { ...image, data: '[2000 characters of base64]' },
      cut: true,
    })
  })

  test('half of a secret that stands where the text is cut', () => {
    const secret = `tb_${'k'.repeat(400)}`
    const { value } = masking({ maxBytes: 300 }).apply({ text: `${'x '.repeat(130)}${secret} end` })
    expect(JSON.stringify(value)).not.toContain('kkk')
  })
})

test('of any JSON no planted secret stays, the size is kept to, and the rest is unchanged', () => {
  const seed = Date.now() % 2 ** 31
  console.log(`fast-check seed ${seed}`)
  const planted = 'PLANTED5ecret'
  const name = fc.constantFrom('password', 'x-api-key', 'Cookie', 'clientSecret', 'refresh_token')
  const leaf = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.constantFrom(`Bearer ${planted}`, `password=${planted}`, `tb_${planted}0123456789`),
    name.map((each) => ({ [each]: planted })),
    name.map((each) => JSON.stringify({ a: [{ [each]: { deep: planted } }] })),
  )
  const value = fc.array(fc.oneof(leaf, fc.dictionary(fc.string(), leaf), fc.array(leaf)))
  fc.assert(
    fc.property(value, fc.integer({ min: 256, max: 4000 }), (each, maxBytes) => {
      const given: unknown = JSON.parse(JSON.stringify(each))
      const kept = masking({ maxBytes }).apply(given)
      const text = JSON.stringify(kept.value)
      expect(text).not.toContain(planted)
      // A text of JSON is escaped again where it stands in another.
      expect(Buffer.byteLength(text)).toBeLessThan(4 * maxBytes + 200)
      const isPlain = !/planted|passw|token|secret|cookie|api|credential|author|cvc|cvv|card|data|blob/i.test(
        JSON.stringify(given),
      )
      if (isPlain && !kept.cut) expect(JSON.parse(text)).toEqual(reprinted(given))
    }),
    { seed, numRuns: runs(1000) },
  )
})

/** Texts of JSON come back without their spaces. */
function reprinted(value: unknown): unknown {
  if (typeof value === 'string' && /^\s*[[{]/.test(value)) {
    try {
      return JSON.stringify(reprinted(JSON.parse(value)))
    } catch {
      return value
    }
  }
  if (Array.isArray(value)) return value.map(reprinted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, reprinted(inner)]))
}

test.each([
  'eyJ-'.repeat(20_000),
  'tb_-'.repeat(20_000),
  'Bearer '.repeat(12_000),
  'token'.repeat(16_000),
  'token:    '.repeat(8000),
  '-----BEGIN PRIVATE KEY-----'.repeat(3000),
  '['.repeat(40_000),
  '{"a":'.repeat(15_000),
  'x'.repeat(80_000),
  '"'.repeat(80_000),
  '\u0000'.repeat(80_000),
])('takes no long time over %#', (text) => {
  const startMs = performance.now()
  masking({ maxBytes: 65_536, maskPatterns: ['(a+)+$', '[a-z]{1,50}x{1,50}'] }).apply({ text })
  expect(performance.now() - startMs).toBeLessThan(2000)
})
