// The signature of a webhook as Standard Webhooks asks, and its secrets.
import { createHmac, randomBytes } from 'node:crypto'

const prefix = 'whsec_'

/** A fresh signing secret (Standard Webhooks 1.0, "Signature scheme": 24 to 64 bytes). */
export const newSigningSecret = (): string => prefix + randomBytes(32).toString('base64')

/** Whether a text can be a signing secret. */
export function isSigningSecret(text: string): boolean {
  if (!/^whsec_[A-Za-z0-9+/]+={0,2}$/.test(text)) return false
  const { length } = Buffer.from(text.slice(prefix.length), 'base64')
  return length >= 24 && length <= 64
}

/** What is signed: the id, and the time of this attempt in seconds. */
export interface Signed {
  readonly id: string
  readonly timestampS: number
  readonly body: string
}

/** `v1,` and HMAC-SHA256 in base64 over `id.timestamp.body`, one for each secret, separated by spaces. */
export function signatureOf({ id, timestampS, body }: Signed, secrets: readonly string[]): string {
  return secrets
    .map((secret) => {
      const key = Buffer.from(secret.slice(prefix.length), 'base64')
      return `v1,${createHmac('sha256', key).update(`${id}.${timestampS}.${body}`).digest('base64')}`
    })
    .join(' ')
}
