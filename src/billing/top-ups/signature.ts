// Signatures of webhooks: whether a provider that knows our secret has sent these bytes, just now.
import { createHmac, timingSafeEqual } from 'node:crypto'

/** Older and younger ones are refused, so that what was overheard is of no use later. */
const toleranceS = 300
/** Of one request; a provider sends two while it changes its secret. */
const maxSignatures = 10

/** What a request says of itself. */
export interface Signed {
  readonly body: Uint8Array
  /** Seconds since the epoch. */
  readonly nowS: number
  readonly secrets: readonly string[]
}

/** `Stripe-Signature: t=…,v1=…` (docs.stripe.com/webhooks, "Verify manually"): HMAC-SHA256 in hex over `t.body`. */
export function isSignedByStripe(header: string | undefined, { body, nowS, secrets }: Signed): boolean {
  const parts = (header ?? '').split(',').map((part) => part.trim().split('=', 2))
  const timestamp = parts.find(([name]) => name === 't')?.[1]
  const given = parts.flatMap(([name, value]) => (name === 'v1' && value ? [Buffer.from(value, 'hex')] : []))
  if (timestamp === undefined || !isRecent(timestamp, nowS)) return false
  const made = secrets.map((secret) => mac(Buffer.from(secret), `${timestamp}.`, body))
  return anyEqual(given, made)
}

export interface StandardHeaders {
  readonly id: string | undefined
  readonly timestamp: string | undefined
  readonly signature: string | undefined
}

/** Standard Webhooks 1.0, "Signature scheme": `v1,` and HMAC-SHA256 in base64 over `id.timestamp.body`. */
export function isSignedByStandard(
  { id, timestamp, signature }: StandardHeaders,
  { body, nowS, secrets }: Signed,
): boolean {
  if (id === undefined || timestamp === undefined || !isRecent(timestamp, nowS)) return false
  const given = (signature ?? '')
    .split(' ')
    .flatMap((part) => (part.startsWith('v1,') ? [Buffer.from(part.slice(3), 'base64')] : []))
  const made = secrets.map((secret) =>
    mac(Buffer.from(secret.replace(/^whsec_/, ''), 'base64'), `${id}.${timestamp}.`, body),
  )
  return anyEqual(given, made)
}

const isRecent = (timestamp: string, nowS: number): boolean =>
  /^\d{1,12}$/.test(timestamp) && Math.abs(nowS - Number(timestamp)) <= toleranceS

const mac = (key: Uint8Array, head: string, body: Uint8Array): Buffer =>
  createHmac('sha256', key).update(head).update(body).digest()

const anyEqual = (given: readonly Buffer[], made: readonly Buffer[]): boolean =>
  given
    .slice(0, maxSignatures)
    .some((one) => made.some((own) => own.length === one.length && timingSafeEqual(own, one)))
