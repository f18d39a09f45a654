// Proves that guessing passwords is slowed down for everybody alike, in bounded memory.
import { describe, expect, test } from 'vitest'
import { ManualClock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { defaultLockoutLimits, Lockout } from './lockout.ts'

const ann = { username: 'ann', ip: '192.0.2.1' }

function retryAfterS(check: () => void): number | undefined {
  try {
    check()
    return undefined
  } catch (error) {
    expect(error).toBeInstanceOf(GatewayError)
    expect((error as GatewayError).code).toBe('locked_out')
    return (error as GatewayError).retryAfterS
  }
}

function fail(lockout: Lockout, attempt: typeof ann, times: number): void {
  for (let i = 0; i < times; i++) lockout.failed(attempt)
}

describe('lockout', () => {
  test('ten failures in a minute lock the name for that address, in any case, and for a growing time', () => {
    const clock = new ManualClock()
    const lockout = new Lockout(clock)
    fail(lockout, ann, 9)
    expect(retryAfterS(() => lockout.check(ann))).toBeUndefined()
    fail(lockout, ann, 1)
    expect(retryAfterS(() => lockout.check(ann))).toBe(30)
    expect(retryAfterS(() => lockout.check({ ...ann, username: 'ANN' }))).toBe(30)
    expect(retryAfterS(() => lockout.check({ ...ann, ip: '::ffff:192.0.2.1' }))).toBe(30)
    expect(retryAfterS(() => lockout.check({ ...ann, ip: '192.0.2.2' }))).toBeUndefined()
    clock.advance(29_500)
    expect(retryAfterS(() => lockout.check(ann))).toBe(1)
    clock.advance(500)
    expect(retryAfterS(() => lockout.check(ann))).toBeUndefined()
    fail(lockout, ann, 10)
    expect(retryAfterS(() => lockout.check(ann))).toBe(60)
  })

  test('failures that are older than the window do not count', () => {
    const clock = new ManualClock()
    const lockout = new Lockout(clock)
    for (let i = 0; i < 30; i++) {
      fail(lockout, ann, 1)
      clock.advance(7_000)
    }
    expect(retryAfterS(() => lockout.check(ann))).toBeUndefined()
  })

  test('a clock that is set back or forth neither makes nor ends a lock', () => {
    const clock = new ManualClock()
    const lockout = new Lockout(clock)
    fail(lockout, ann, 10)
    clock.set(clock.now() + 86_400_000)
    expect(retryAfterS(() => lockout.check(ann))).toBe(30)
  })

  test('success forgets the failures of this address, not those that others made', () => {
    const lockout = new Lockout(new ManualClock())
    for (let host = 1; host <= 7; host++) fail(lockout, { username: 'ann', ip: `198.51.100.${host}` }, 7)
    fail(lockout, { username: 'bob', ip: '192.0.2.1' }, 9)
    lockout.succeeded({ username: 'bob', ip: '192.0.2.1' })
    fail(lockout, { username: 'bob', ip: '192.0.2.1' }, 1)
    expect(retryAfterS(() => lockout.check({ username: 'bob', ip: '192.0.2.1' }))).toBeUndefined()
    lockout.succeeded(ann)
    fail(lockout, ann, 1)
    expect(retryAfterS(() => lockout.check({ username: 'ann', ip: '203.0.113.9' }))).toBe(30)
  })

  test('one address that tries many names is locked for all names, a whole IPv6 network counting as one', () => {
    const lockout = new Lockout(new ManualClock())
    for (let i = 0; i < 100; i++) fail(lockout, { username: `user${i}`, ip: `2001:db8::${i}` }, 1)
    expect(retryAfterS(() => lockout.check({ username: 'new', ip: '2001:db8::ffff' }))).toBe(30)
    expect(retryAfterS(() => lockout.check({ username: 'new', ip: '2001:db8:1::1' }))).toBeUndefined()
  })

  test('memory stays bounded under any number of names', () => {
    const lockout = new Lockout(new ManualClock(), { ...defaultLockoutLimits, maxCounters: 30 })
    fail(lockout, ann, 10)
    for (let i = 0; i < 5; i++) fail(lockout, { username: `user${i}`, ip: '192.0.2.9' }, 1)
    expect(retryAfterS(() => lockout.check(ann))).toBe(30)
    for (let i = 0; i < 100; i++) fail(lockout, { username: `user${i}`, ip: `192.0.2.${i}` }, 1)
    expect(retryAfterS(() => lockout.check(ann))).toBeUndefined()
  })
})
