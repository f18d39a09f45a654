// When a delivery is tried again, and when it is given up.
import { expect, test } from 'vitest'
import { afterAttempt, verdictOn } from './retry.ts'
import type { WebhookAnswer } from './sender.ts'
import type { Delivery } from './webhook.ts'

const hourMs = 3_600_000
const limits = { firstPauseMs: 5000, maxPauseMs: 6 * hourMs, giveUpMs: 72 * hourMs }
const fresh: Delivery = {
  id: 'evt_1',
  kind: 'call.settled',
  events: 1,
  state: 'pending',
  attempts: 0,
  createdAtMs: 0,
  nextAtMs: 0,
}
const failed: WebhookAnswer = { status: 500, body: '' }

const fail = (delivery: Delivery, nowMs: number, { jitter = 0.5, answer = failed } = {}): Delivery =>
  afterAttempt(delivery, answer, { verdict: 'again', nowMs, jitter, limits })

test('pauses grow fourfold up to six hours, for three days, and vary by a fifth', () => {
  let delivery = fresh
  let nowMs = 1_000_000
  const pauses: number[] = []
  while (delivery.state === 'pending') {
    delivery = fail(delivery, nowMs)
    pauses.push((delivery.nextAtMs - nowMs) / 1000)
    nowMs = delivery.nextAtMs
  }
  expect(pauses.slice(0, 7)).toEqual([5, 20, 80, 320, 1280, 5120, 20_480])
  expect(new Set(pauses.slice(7))).toEqual(new Set([6 * 3600]))
  const lastAtMs = delivery.lastAtMs ?? 0
  expect(delivery.state).toBe('dead')
  expect(lastAtMs - 1_000_000).toBeGreaterThan(66 * hourMs)
  expect(lastAtMs - 1_000_000).toBeLessThanOrEqual(72 * hourMs)
  const [least, most] = [0, 1].map((jitter) => fail(fresh, 0, { jitter }).nextAtMs)
  expect([least, most]).toEqual([4000, 6000])
})

test('a receiver is not asked before the time that it asks for, and cannot ask for more than six hours', () => {
  const ask = (retryAfterS: number) =>
    fail(fresh, 0, { answer: { status: 503, body: '', retryAfterS } }).nextAtMs
  expect([ask(1), ask(60), ask(999_999)]).toEqual([5000, 60_000, 6 * hourMs])
})

test.each([
  ['standard', 200, '', 'delivered'],
  ['standard', 204, '', 'delivered'],
  ['standard', 302, '', 'again'],
  ['standard', 400, '', 'again'],
  ['standard', 410, '', 'gone'],
  ['cloudevents', 500, '', 'again'],
  ['stripe-meter', 400, 'An event already exists with identifier use_1.', 'delivered'],
  ['stripe-meter', 400, '{"error":{"code":"duplicate_meter_event"}}', 'delivered'],
  ['stripe-meter', 400, '{"error":{"code":"no_meter"}}', 'never'],
  ['stripe-meter', 401, '', 'again'],
  ['stripe-meter', 404, '', 'never'],
  ['stripe-meter', 429, '', 'again'],
  ['stripe-meter', 500, '', 'again'],
] as const)('%s: %i %s is %s', (format, status, body, verdict) => {
  expect(verdictOn(format, { status, body })).toBe(verdict)
})
