// Signatures of webhooks, by the published example of Standard Webhooks.
import { expect, test } from 'vitest'
import { isSigningSecret, newSigningSecret, signatureOf } from './signature.ts'

const example = {
  id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  timestampS: 1614265330,
  body: '{"test": 2432232314}',
}
const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'

test('the published example has the published signature', () => {
  expect(signatureOf(example, [secret])).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=')
})

test('while a secret changes both sign', () => {
  const next = newSigningSecret()
  expect(isSigningSecret(next)).toBe(true)
  const both = signatureOf(example, [next, secret]).split(' ')
  expect(both).toEqual([signatureOf(example, [next]), signatureOf(example, [secret])])
})

test.each(['', 'whsec_', 'whsec_c2hvcnQ=', `whsec_${'A'.repeat(100)}`, 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'])(
  '%j is no signing secret',
  (text) => {
    expect(isSigningSecret(text)).toBe(false)
  },
)
