// Signatures of what is sent to webhooks, as Standard Webhooks 1.0 asks.
import { createHmac } from 'node:crypto'

/** What is signed. The id stays the same in every attempt; the time, in seconds since the epoch, is the attempt's. */
export interface Message {
  readonly id: string
  readonly sentS: number
  readonly body: string
}

export type SignedHeaders = Readonly<Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string>>

/**
 * The headers of one attempt: HMAC-SHA256 over `id.timestamp.body`, once for each of `secrets` (`whsec_` and base64),
 * so that a receiver may know either while a secret is being replaced (Standard Webhooks 1.0, "Signature scheme").
 */
export function signedHeaders(message: Message, secrets: readonly string[]): SignedHeaders {
  const { id, sentS, body } = message
  const signatures = secrets.map((secret) => {
    const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
    return `v1,${createHmac('sha256', key).update(`${id}.${sentS}.${body}`).digest('base64')}`
  })
  return { 'webhook-id': id, 'webhook-timestamp': String(sentS), 'webhook-signature': signatures.join(' ') }
}
