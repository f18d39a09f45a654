// Answers that are given twice, that are written as they are made, and that other origins may read.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { problemOf, startSampleApi, type SampleApi } from '../../../test/harness/sample-api.ts'

let sample: SampleApi
beforeEach(async () => {
  sample = await startSampleApi()
})
afterEach(() => sample.stop())

describe('an idempotency key', () => {
  test('runs 20 parallel requests once and gives all of them the same answer', async () => {
    const responses = await Promise.all(
      Array.from({ length: 20 }, () => sample.post({ name: 'ab' }, { 'idempotency-key': 'k1' })),
    )
    expect(responses.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 201))
    const bodies = await Promise.all(responses.map((response) => response.text()))
    expect(new Set(bodies).size).toBe(1)
    expect(sample.counts.executions).toBe(1)
  })

  test('gives the stored answer with its headers later, marked as a repetition', async () => {
    await sample.post({ name: 'ab' }, { 'idempotency-key': 'k2' })
    const again = await sample.post({ name: 'ab' }, { 'idempotency-key': 'k2' })
    expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([201, 'true'])
    expect(again.headers.get('location')).toBe('/api/v1/widgets/1')
    expect(sample.counts.executions).toBe(1)
  })

  test('with another body is a conflict, running or finished', async () => {
    const [first, second] = await Promise.all([
      sample.post({ name: 'ab' }, { 'idempotency-key': 'k3' }),
      sample.post({ name: 'cd' }, { 'idempotency-key': 'k3' }),
    ])
    expect(new Set([first.status, second.status])).toEqual(new Set([201, 409]))
    const third = await sample.post({ name: 'ef' }, { 'idempotency-key': 'k3' })
    expect([third.status, (await problemOf(third)).code]).toEqual([409, 'idempotency_conflict'])
    expect(sample.counts.executions).toBe(1)
  })

  test('is free again after a refusal', async () => {
    expect((await sample.post({ name: 'broke' }, { 'idempotency-key': 'k4' })).status).toBe(402)
    expect((await sample.post({ name: 'ab' }, { 'idempotency-key': 'k4' })).status).toBe(201)
  })

  test('whose first request never ended is answered as unknown and not run again', async () => {
    await sample.post({ name: 'ab' }, { 'idempotency-key': 'k5' })
    delete sample.keys.rows.get('usr_alice/k5')?.answer
    const response = await sample.post({ name: 'ab' }, { 'idempotency-key': 'k5' })
    expect([response.status, (await problemOf(response)).code]).toEqual([409, 'idempotency_unknown'])
    expect(sample.counts.executions).toBe(1)
  })

  test('that is not printable or too long is refused', async () => {
    expect((await sample.post({ name: 'ab' }, { 'idempotency-key': 'x'.repeat(256) })).status).toBe(400)
    expect((await sample.post({ name: 'ab' }, { 'idempotency-key': 'a b' })).status).toBe(400)
    expect(sample.counts.executions).toBe(0)
  })
})

describe('a streamed answer', () => {
  test('arrives as it is made, and ends when its client goes', async () => {
    const response = await fetch(`${sample.base}/api/v1/ticks`)
    expect(response.headers.get('x-request-id')).toMatch(/^req_/)
    const reader = response.body?.getReader()
    const first = await reader?.read()
    expect(new TextDecoder().decode(first?.value as Uint8Array)).toMatch(/^data: 0/)
    await reader?.cancel()
    await expect.poll(() => sample.counts.streamEnded, { timeout: 3000 }).toBe(true)
  })

  test('ends when the gateway ends its streams', async () => {
    const response = await fetch(`${sample.base}/api/v1/ticks`)
    setTimeout(() => sample.api.endStreams(), 30)
    expect(await response.text()).toMatch(/^data: 0/)
  })
})

describe('cross-origin headers', () => {
  test('go to the configured origins only', async () => {
    await sample.stop()
    sample = await startSampleApi({ allowedOrigins: ['https://app.example'] })
    const preflight = (origin: string) =>
      fetch(`${sample.base}/api/v1/widgets`, {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'POST' },
      })
    const ours = await preflight('https://app.example')
    expect(ours.headers.get('access-control-allow-origin')).toBe('https://app.example')
    expect(ours.headers.get('access-control-allow-methods')).toContain('POST')
    const theirs = await preflight('https://evil.example')
    expect(theirs.headers.get('access-control-allow-origin')).toBeNull()
    expect(theirs.headers.get('access-control-allow-methods')).toBeNull()
  })
})
