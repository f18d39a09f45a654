// Guarantees of limits: never one call too many, none refused that fits, and nothing counted for what is refused.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ManualClock } from '../../base/clock.ts'
import { BandwidthMeter } from './bandwidth.ts'
import { Gcra } from './gcra.ts'
import type { LimitedCall } from './limit.ts'
import { limitInput } from './limit-input.ts'
import { Limits, type Admission, type Limited } from './limits.ts'
import type { NamedStore } from '../named-store.ts'
import type { Limit } from './limit.ts'
import { runs } from '../../../test/harness/fuzz.ts'

const seed = Number(process.env['TOLLBRIDGE_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
console.log(`limits seed ${seed} (TOLLBRIDGE_TEST_SEED)`)

const noStore = {
  list: () => Promise.resolve([]),
  insert: () => Promise.resolve(),
  update: () => Promise.resolve(),
  remove: () => Promise.resolve(),
} as unknown as NamedStore<Limit>

async function open(...inputs: object[]) {
  const clock = new ManualClock()
  const limits = new Limits({ store: noStore, clock })
  for (const [n, input] of inputs.entries())
    await limits.create(limitInput.parse({ name: `limit-${n}`, ...input }))
  return { clock, limits }
}

const ada: LimitedCall = {
  userId: 'usr_ada',
  keyId: 'key_ada',
  accountId: 'acc_ada',
  server: 'weather',
  method: 'tools/call',
  tool: 'forecast',
  requestBytes: 0,
}
const isRefused = (answer: Admission | Limited | undefined): answer is Limited =>
  answer !== undefined && 'error' in answer

describe('a rate', () => {
  /** What has come, each drained by a leak, against the same whole numbers: the bucket that GCRA is said to equal. */
  test('admits exactly what a leaking bucket admits', () => {
    const rate = fc.record({
      calls: fc.integer({ min: 1, max: 50 }),
      seconds: fc.integer({ min: 1, max: 100 }),
      burst: fc.integer({ min: 1, max: 20 }),
    })
    const gapsUs = fc.array(fc.integer({ min: 0, max: 3_000_000 }), { maxLength: 200 })
    fc.assert(
      fc.property(rate, gapsUs, (given, gaps) => {
        const gcra = new Gcra(given)
        const interval = BigInt(Math.ceil((given.seconds * 1_000_000) / given.calls))
        let [nowUs, arrivalUs, level] = [0, 0, 0n]
        for (const gap of gaps) {
          nowUs += gap
          level = level > BigInt(gap) ? level - BigInt(gap) : 0n
          const fits = level + interval <= interval * BigInt(given.burst)
          expect(gcra.remaining(arrivalUs, nowUs) > 0).toBe(fits)
          expect(gcra.waitUs(arrivalUs, nowUs)).toBe(
            fits ? 0 : Number(level + interval - interval * BigInt(given.burst)),
          )
          if (!fits) continue
          level += interval
          arrivalUs = gcra.take(arrivalUs, nowUs)
        }
      }),
      { seed, numRuns: runs(500) },
    )
  })

  test('never lets more through in any time than its burst and what that time is worth', () => {
    const gapsUs = fc.array(fc.integer({ min: 0, max: 400_000 }), { minLength: 50, maxLength: 300 })
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 1, max: 10 }),
        gapsUs,
        (calls, burst, gaps) => {
          const gcra = new Gcra({ calls, seconds: 1, burst })
          const passed: number[] = []
          let [nowUs, arrivalUs] = [0, 0]
          for (const gap of gaps) {
            nowUs += gap
            if (gcra.waitUs(arrivalUs, nowUs) > 0) continue
            passed.push(nowUs)
            arrivalUs = gcra.take(arrivalUs, nowUs)
          }
          for (const [from, startUs] of passed.entries())
            for (let to = from; to < passed.length; to++) {
              const spanUs = (passed[to] ?? 0) - startUs
              expect(to - from + 1).toBeLessThanOrEqual(burst + (spanUs * calls) / 1_000_000)
            }
        },
      ),
      { seed, numRuns: runs(100) },
    )
  })

  test('comes back with time, and says how long that is', async () => {
    const { limits, clock } = await open({ rate: { calls: 60, seconds: 60, burst: 3 } })
    for (const remaining of [2, 1, 0]) {
      const answer = limits.admit(ada)
      expect(isRefused(answer)).toBe(false)
      expect(answer?.state).toMatchObject({ remaining })
    }
    const refused = limits.admit(ada)
    if (!isRefused(refused)) throw new Error('it was let through')
    expect(refused.error).toMatchObject({ code: 'rate_limited', retryAfterS: 1 })
    expect(refused.error.message).toBe(
      'The limit limit-0 is 60 calls in 60 s for each user. Try again in 1 s.',
    )
    expect(refused.state).toMatchObject({ remaining: 0, resetS: 3 })
    clock.advance(999)
    expect(isRefused(limits.admit(ada))).toBe(true)
    clock.advance(1)
    expect(isRefused(limits.admit(ada))).toBe(false)
  })
})

describe('calls at once', () => {
  test('are as many as may run, whoever releases twice', async () => {
    const { limits } = await open({ concurrent: 2 })
    const [first, second] = [limits.admit(ada), limits.admit(ada)]
    expect(isRefused(limits.admit(ada))).toBe(true)
    if (!first || !second || isRefused(first) || isRefused(second)) throw new Error('refused')
    first.release()
    first.release()
    expect([isRefused(limits.admit(ada)), isRefused(limits.admit(ada))]).toEqual([false, true])
    second.release()
    expect(isRefused(limits.admit(ada))).toBe(false)
  })
})

describe('a bandwidth', () => {
  test('lets pass over any time what its rate and its burst are worth, and one call more', () => {
    const call = fc.record({
      gapUs: fc.integer({ min: 0, max: 3_000_000 }),
      bytes: fc.integer({ min: 0, max: 20_000 }),
    })
    const given = fc.record({
      bytes: fc.integer({ min: 1024, max: 50_000 }),
      seconds: fc.integer({ min: 1, max: 20 }),
      burst: fc.integer({ min: 1024, max: 50_000 }),
    })
    fc.assert(
      fc.property(given, fc.array(call, { maxLength: 200 }), (bandwidth, calls) => {
        const meter = new BandwidthMeter(bandwidth)
        // The bucket that it is said to be, in whole bytes times microseconds.
        const perByte = BigInt(bandwidth.seconds) * 1_000_000n
        const full = BigInt(bandwidth.burst) * perByte
        let [nowUs, emptyUs, level, brought, largest] = [0, 0, 0n, 0, 0]
        for (const { gapUs, bytes } of calls) {
          nowUs += gapUs
          const leaked = BigInt(gapUs) * BigInt(bandwidth.bytes)
          level = level > leaked ? level - leaked : 0n
          const waits = meter.waitUs(emptyUs, nowUs) > 0
          // Rounding is a microsecond for each piece that was counted.
          const slack = BigInt(bandwidth.bytes) * BigInt(calls.length + 1)
          if (waits) expect(level + slack).toBeGreaterThanOrEqual(full)
          else expect(level).toBeLessThanOrEqual(full)
          if (waits) continue
          level += BigInt(bytes) * perByte
          emptyUs = meter.spend(emptyUs, nowUs, bytes)
          brought += bytes
          largest = Math.max(largest, bytes)
        }
        const worth = (nowUs * bandwidth.bytes) / (bandwidth.seconds * 1_000_000)
        expect(brought).toBeLessThanOrEqual(bandwidth.burst + worth + largest)
      }),
      { seed, numRuns: runs(300) },
    )
  })

  test('is used up by what came, says for how long, and counts for each caller apart', async () => {
    const { limits, clock } = await open({ bandwidth: { bytes: 60_000, seconds: 60, burst: 10_000 } })
    const first = limits.admit(ada)
    if (!first || isRefused(first)) throw new Error('refused')
    expect(first.state).toMatchObject({
      policy: '"limit-0";q=60000;w=60;qu="content-bytes"',
      remaining: 10_000,
      unit: 'bytes',
    })
    first.spend(4000)
    expect(limits.admit(ada)?.state).toMatchObject({ remaining: 6000, resetS: 4 })
    first.spend(10_000)
    const refused = limits.admit(ada)
    if (!isRefused(refused)) throw new Error('it was let through')
    expect(refused.error.message).toBe(
      'The limit limit-0 is 60000 bytes in 60 s for each user. Try again in 5 s.',
    )
    expect(refused.state).toMatchObject({ remaining: 0, resetS: 14 })
    expect(isRefused(limits.admit({ ...ada, userId: 'usr_ben' }))).toBe(false)
    clock.advance(3999)
    expect(isRefused(limits.admit(ada))).toBe(true)
    clock.advance(2)
    expect(isRefused(limits.admit(ada))).toBe(false)
  })

  test('tells of calls first while there are any, and of what refused', async () => {
    const { limits } = await open({
      rate: { calls: 2, seconds: 60 },
      bandwidth: { bytes: 1024, seconds: 60 },
    })
    const first = limits.admit(ada)
    expect(first?.state).toMatchObject({ unit: 'calls', remaining: 1 })
    if (first && !isRefused(first)) first.spend(5000)
    const refused = limits.admit(ada)
    expect(refused?.state).toMatchObject({ unit: 'bytes', remaining: 0 })
    expect(isRefused(refused) && refused.error.message).toMatch(/1024 bytes in 60 s .* Try again in 233 s/)
  })
})

describe('several limits', () => {
  test('all have to agree, and where one refuses none counts the call', async () => {
    const { limits } = await open(
      { rate: { calls: 5, seconds: 60 }, per: ['user'] },
      { rate: { calls: 2, seconds: 60 }, per: ['user', 'tool'] },
      { concurrent: 100, per: [] },
    )
    const other = { ...ada, tool: 'history' }
    for (let n = 0; n < 2; n++) expect(isRefused(limits.admit(ada))).toBe(false)
    for (let n = 0; n < 10; n++) expect(isRefused(limits.admit(ada))).toBe(true)
    // The refused ones took nothing of the five.
    for (let n = 0; n < 2; n++) expect(isRefused(limits.admit(other))).toBe(false)
    expect(isRefused(limits.admit({ ...ada, tool: 'third' }))).toBe(false)
    expect(isRefused(limits.admit({ ...ada, tool: 'fourth' }))).toBe(true)
    expect(isRefused(limits.admit({ ...ada, userId: 'usr_ben' }))).toBe(false)
  })

  test('are for what they match: everything named must be there and agree', async () => {
    const { limits } = await open({
      match: { server: 'wea*', tool: 'fore*', user: `usr_${'a'.repeat(26)}` },
      rate: { calls: 1, seconds: 60 },
    })
    const matching = { ...ada, userId: `usr_${'a'.repeat(26)}` }
    expect(limits.admit(matching)).toBeDefined()
    const others = [
      ada,
      { ...matching, server: 'maps' },
      { ...matching, tool: 'history' },
      { ...matching, tool: undefined },
    ]
    for (const call of others) expect(limits.admit(call)).toBeUndefined()
  })

  test('that rest ask nothing, and a change begins anew', async () => {
    const { limits } = await open({ rate: { calls: 1, seconds: 60 } })
    const [{ id } = { id: '' }] = limits.list()
    expect([isRefused(limits.admit(ada)), isRefused(limits.admit(ada))]).toEqual([false, true])
    await limits.replace(id, limitInput.parse({ name: 'x', rate: { calls: 1, seconds: 60 }, active: false }))
    expect(limits.admit(ada)).toBeUndefined()
    await limits.replace(id, limitInput.parse({ name: 'x', rate: { calls: 1, seconds: 60 } }))
    expect([isRefused(limits.admit(ada)), isRefused(limits.admit(ada))]).toEqual([false, true])
    await limits.remove(id)
    expect(limits.admit(ada)).toBeUndefined()
  })
})

test('a caller without a key counts as its user', async () => {
  const { limits } = await open({ rate: { calls: 1, seconds: 60 }, per: ['key'] })
  const { keyId: _, ...keyless } = ada
  expect(isRefused(limits.admit(keyless))).toBe(false)
  expect(isRefused(limits.admit({ ...keyless, userId: 'usr_ben' }))).toBe(false)
  expect(isRefused(limits.admit(keyless))).toBe(true)
  expect(isRefused(limits.admit(ada))).toBe(false)
})

test('names without end take no memory without end, and are no way around a limit', async () => {
  const { limits, clock } = await open({ rate: { calls: 1, seconds: 3600 }, per: ['tool'] })
  const [{ id } = { id: '' }] = limits.list()
  let admitted = 0
  for (let n = 0; n < 150_000; n++) if (!isRefused(limits.admit({ ...ada, tool: `t${n}` }))) admitted++
  expect(limits.countCallers(id)).toBeLessThanOrEqual(100_001)
  expect(admitted).toBeLessThanOrEqual(100_001)
  clock.advance(3_600_000)
  expect(isRefused(limits.admit({ ...ada, tool: 'again' }))).toBe(false)
})
