// Guarantees of the queue: no call waits for its payload, what waits is bounded, and only calls with a record are kept.
import { describe, expect, test } from 'vitest'
import { testServer } from '../../test/harness/calls.ts'
import { ManualClock } from '../base/clock.ts'
import { silentLog as log } from '../base/log.ts'
import { captureInput } from '../registry/capture.ts'
import type { KeptPayload } from './payload.ts'
import { Payloads } from './payloads.ts'

const capture = captureInput.parse({ tools: ['keep*'] })
const server = { ...testServer, capture }

function setUp(insert?: (rows: readonly KeptPayload[]) => Promise<void>) {
  const kept: KeptPayload[] = []
  const outcomes = { kept: 0, dropped: 0 }
  const payloads = new Payloads({
    store: { insert: insert ?? ((rows) => Promise.resolve(void kept.push(...rows))) },
    clock: new ManualClock(1000),
    log,
    onDone: (outcome) => outcomes[outcome]++,
  })
  let id = 0n
  const run = ({ tool = 'keep_it', isRecorded = true, requestBytes = 10, on = server } = {}) => {
    const call = { id: ++id, origin: { tool, requestBytes } }
    payloads.begin(call, on, {
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: tool, arguments: { n: Number(id) } },
    })
    payloads.answered(id, { jsonrpc: '2.0', id: 1, result: { ok: true } }, 10)
    if (isRecorded) payloads.recorded(id)
    payloads.finished(id)
    return id
  }
  return { payloads, kept, outcomes, run }
}

describe('payloads', () => {
  test('are of calls that have a record, of tools that are named, of servers that say so', async () => {
    const { payloads, kept, run } = setUp()
    const first = run()
    run({ isRecorded: false })
    run({ tool: 'other' })
    run({ on: { ...testServer, capture: undefined } as never })
    const last = run({ tool: 'keep_that' })
    await payloads.flush()
    expect(kept.map(({ id }) => id)).toEqual([first, last])
    expect(kept[0]).toEqual({
      id: first,
      serverId: server.id,
      expiresAtMs: 1000 + 30 * 86_400_000,
      payload: { arguments: { n: 1 }, result: { ok: true }, cut: false },
    })
  })

  test('that the store does not take, or that are too many, are dropped and counted; calls go on', async () => {
    let release = (): void => {}
    const gate = new Promise<void>((resolve) => (release = resolve))
    const { payloads, outcomes, run } = setUp(() => gate)
    run()
    await new Promise((resolve) => setTimeout(resolve, 20))
    // The first waits for the store; this many may wait behind it.
    for (let n = 0; n < 1500; n++) run()
    expect(outcomes.dropped).toBe(500)
    release()
    await payloads.flush()
    expect(outcomes).toEqual({ kept: 1001, dropped: 500 })
  })

  test('are bounded in bytes too', async () => {
    const { payloads, outcomes, run } = setUp()
    for (let n = 0; n < 5; n++) run({ requestBytes: 10 * 1024 * 1024 })
    expect(outcomes.dropped).toBe(2)
    await payloads.flush()
    // What has been written makes room again.
    run({ requestBytes: 10 * 1024 * 1024 })
    await payloads.flush()
    expect(outcomes).toEqual({ kept: 4, dropped: 2 })
  })

  test('whose commit fails are counted as dropped, and the next are kept', async () => {
    let fails = true
    const { payloads, outcomes, run } = setUp(() =>
      fails ? Promise.reject(new Error('disk full')) : Promise.resolve(),
    )
    run()
    await payloads.flush()
    fails = false
    run()
    await payloads.flush()
    expect(outcomes).toEqual({ kept: 1, dropped: 1 })
  })
})
