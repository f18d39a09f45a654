// What an answer says of a delivery: arrived, once more, or never; and when once more is.
import type { WebhookAnswer } from './sender.ts'
import type { Delivery, WebhookFormat } from './webhook.ts'

export interface RetryLimits {
  /** Pause before the second attempt; each further one is four times as long, up to `maxPauseMs`. */
  readonly firstPauseMs: number
  readonly maxPauseMs: number
  /** From the first attempt until a delivery is given up. */
  readonly giveUpMs: number
}

/** `gone`: the receiver wants nothing more, ever (410; Standard Webhooks 1.0, "Deliverability and reliability"). */
export type Verdict = 'delivered' | 'again' | 'never' | 'gone'

/** Of Stripe, requests that are refused for what they hold are refused for ever; a key can be put right. */
const mayPass = new Set([401, 403, 408, 409, 425, 429])

export function verdictOn(format: WebhookFormat, answer: WebhookAnswer): Verdict {
  if ('error' in answer) return 'again'
  const { status, body } = answer
  if (status >= 200 && status < 300) return 'delivered'
  if (format !== 'stripe-meter') return status === 410 ? 'gone' : 'again'
  if (status === 400 && /already exists with identifier|duplicate_meter_event/.test(body)) return 'delivered'
  return status >= 400 && status < 500 && !mayPass.has(status) ? 'never' : 'again'
}

/** The delivery after an attempt. `jitter` is between 0 and 1: pauses vary by a fifth, so that retries spread. */
export function afterAttempt(
  delivery: Delivery,
  answer: WebhookAnswer,
  given: { verdict: Verdict; nowMs: number; jitter: number; limits: RetryLimits },
): Delivery {
  const { verdict, nowMs, limits } = given
  const attempts = delivery.attempts + 1
  const firstAtMs = delivery.firstAtMs ?? nowMs
  const { lastStatus: _status, lastError: _error, ...kept } = delivery
  const tried = {
    ...kept,
    attempts,
    firstAtMs,
    lastAtMs: nowMs,
    ...('error' in answer ? { lastError: answer.error } : { lastStatus: answer.status }),
    ...(verdict !== 'delivered' && 'body' in answer && { lastError: excerpt(answer.body) }),
  }
  if (verdict === 'delivered') return { ...tried, state: 'delivered' }
  const pauseMs = Math.min(limits.firstPauseMs * 4 ** (attempts - 1), limits.maxPauseMs)
  const asked = 'error' in answer ? 0 : Math.min((answer.retryAfterS ?? 0) * 1000, limits.maxPauseMs)
  const nextAtMs = Math.round(nowMs + Math.max(pauseMs * (0.8 + 0.4 * given.jitter), asked))
  const isOver = verdict === 'never' || nextAtMs - firstAtMs > limits.giveUpMs
  return { ...tried, state: isOver ? 'dead' : 'pending', nextAtMs }
}

/** What a receiver says of its refusal, on one line, for whoever looks for the cause. */
const excerpt = (body: string): string => body.slice(0, 300).replaceAll(/\s+/g, ' ').trim()
