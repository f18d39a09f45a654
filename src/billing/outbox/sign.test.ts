// What is sent to webhooks is signed so that receivers of Standard Webhooks accept it, and only as it was sent.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isSignedByStandard } from '../top-ups/signature.ts'
import { signedHeaders } from './sign.ts'

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const other = 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD'
const message = { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', sentS: 1_614_265_330, body: '{"test": 2432232314}' }

const isAccepted = (headers: ReturnType<typeof signedHeaders>, body: string, known: string): boolean =>
  isSignedByStandard(
    {
      id: headers['webhook-id'],
      timestamp: headers['webhook-timestamp'],
      signature: headers['webhook-signature'],
    },
    { body: Buffer.from(body), nowS: message.sentS, secrets: [known] },
  )

test('while a secret is replaced, receivers that know the old or the new one accept the message', () => {
  const headers = signedHeaders(message, [secret, other])
  assert.ok(isAccepted(headers, message.body, secret))
  assert.ok(isAccepted(headers, message.body, other))
})

test('a changed body, or a secret that did not sign, is refused', () => {
  const headers = signedHeaders(message, [secret])
  assert.equal(isAccepted(headers, `${message.body} `, secret), false)
  assert.equal(isAccepted(headers, message.body, other), false)
})
