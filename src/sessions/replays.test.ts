// Idempotency keys: one execution a key, and its answer for every repeat.
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { closeStore, startCalls, toolCall, type Calls, type CallsOptions } from '../../test/harness/calls.ts'
import { until } from '../../test/harness/until.ts'
import type { KeptAnswerStore } from './kept-store.ts'
import { Replays } from './replays.ts'

let calls: Calls
const start = async (options: CallsOptions = {}): Promise<Calls> => (calls = await startCalls(options))
afterEach(() => calls.stop())
afterAll(closeStore)

const unit = 10n ** 9n

describe('idempotency', () => {
  const keyed = { idempotencyKey: 'k' }

  test('20 parallel calls with one key run once and all get the answer under their own id', async () => {
    await start()
    calls.upstream.script = (up) => setTimeout(() => up.succeed({ n: calls.upstream.sent.length }), 5)
    const replies = Array.from({ length: 20 }, (_, id) => calls.ask(toolCall(`id-${id}`), keyed))
    await Promise.all(replies.map((reply) => reply.done()))
    expect(calls.upstream.sent.length).toBe(1)
    expect(replies.map((reply) => reply.json)).toEqual(
      replies.map((_, id) => ({ jsonrpc: '2.0', id: `id-${id}`, result: { n: 1 } })),
    )
    expect(new Set(replies.map((reply) => reply.answer?.callId)).size).toBe(1)
    expect(await calls.books()).toEqual({ records: 1, cost: unit, charged: unit })
    expect(replies.every((reply) => reply.answers === 1)).toBe(true)
  })

  test('a repeat tells that it cost nothing where its caller asks for the cost', async () => {
    await start()
    calls.upstream.script = (up) => up.succeed()
    const ask = (id: number) =>
      calls.ask(toolCall(id, { _meta: { 'tollbridge/report': true } }), keyed).done()
    const [first, again] = [await ask(1), await ask(2)]
    const cost = { amount: '1', currency: 'USD', balance: '-1', callId: first.answer?.callId }
    expect(first.json.result?.['_meta']).toEqual({ 'tollbridge/cost': cost })
    expect(again.json.result?.['_meta']).toEqual({ 'tollbridge/cost': { ...cost, amount: '0' } })
    expect(again.answer).toMatchObject({ cost: '0', callId: first.answer?.callId })
  })

  test('another request with the key is a conflict, during the call and after it', async () => {
    await start()
    const first = calls.ask(toolCall(1), keyed)
    await until(() => calls.upstream.sent.length === 1, 'the call')
    const other = await calls.ask(toolCall(2, { name: 'u' }), keyed).done()
    expect(other.answer?.status).toBe(409)
    calls.upstream.sent[0]?.succeed()
    await first.done()
    expect((await calls.ask(toolCall(3, { name: 'u' }), keyed).done()).json.error?.code).toBe(40901)
    expect(calls.upstream.sent.length).toBe(1)
  })

  test('another request that is only being looked up keeps no repeat from its answer', async () => {
    const kept = { fingerprint: 'right', record: 1n, status: 200, bytes: Buffer.from('{}') }
    const waiting: (() => void)[] = []
    const findKept = () => new Promise((found) => waiting.push(() => found(kept)))
    const replays = new Replays({ findKept } as unknown as KeptAnswerStore, { maxBytes: 100 })
    const [wrong, right] = [replays.claim('acc', 'k', 'wrong'), replays.claim('acc', 'k', 'right')]
    for (const kind of ['refuse', 'repeat'] as const) {
      await until(() => waiting.length === 1, 'it is looked up')
      waiting.pop()?.()
      expect((await (kind === 'refuse' ? wrong : right)).kind).toBe(kind)
    }
  })

  test('a call that was never sent frees its key', async () => {
    await start()
    calls.upstream.script = (up) => up.fail({ sent: false })
    await calls.ask(toolCall(1), keyed).done()
    calls.upstream.script = (up) => up.succeed()
    expect((await calls.ask(toolCall(1), keyed).done()).json.result).toEqual({ content: [] })
  })

  test('a call that was refused for its balance frees its key', async () => {
    await start({ mode: 'prepaid' })
    calls.upstream.script = (up) => up.succeed()
    await calls.ask(toolCall(1), keyed).done()
    await calls.ledger.grant('acc_alice', { amount: unit, priority: 0, createdBy: 'test' })
    expect((await calls.ask(toolCall(1), keyed).done()).json.result).toEqual({ content: [] })
  })

  test('a call that may have run is answered the same way again', async () => {
    await start()
    calls.upstream.script = (up) => up.fail()
    const first = await calls.ask(toolCall(1), keyed).done()
    calls.upstream.script = (up) => up.succeed()
    const second = await calls.ask(toolCall(1), keyed).done()
    expect(second.json).toEqual(first.json)
    expect(calls.upstream.sent.length).toBe(1)
  })

  test('a round that asks for input does not use up the key', async () => {
    await start()
    calls.upstream.script = (up) => up.succeed({ resultType: 'input_required', requestState: 's' })
    await calls.ask(toolCall(1), keyed).done()
    calls.upstream.script = (up) => up.succeed()
    const answered = toolCall(2, { inputResponses: {}, requestState: 's' })
    expect((await calls.ask(answered, keyed).done()).json.result).toEqual({ content: [] })
    expect((await calls.books()).cost).toBe(unit)
  })

  test('an answer too large to keep is said to be so', async () => {
    await start()
    calls.upstream.script = (up) => up.succeed({ content: 'x'.repeat(2000) })
    await calls.ask(toolCall(1), keyed).done()
    expect((await calls.ask(toolCall(1), keyed).done()).json.error?.code).toBe(40902)
    expect(calls.upstream.sent.length).toBe(1)
  })

  test('a call that waits for its key while the gateway drains does not start', async () => {
    await start()
    calls.upstream.script = undefined
    const first = calls.ask(toolCall(1), keyed)
    await until(() => calls.upstream.sent.length === 1, 'the call')
    const second = calls.ask(toolCall(2), keyed)
    const drained = calls.relay.drain(2000)
    calls.upstream.sent[0]?.fail({ sent: false })
    await Promise.all([first.done(), second.done(), drained])
    expect(calls.upstream.sent.length).toBe(1)
    expect(second.json.result?.['structuredContent']).toMatchObject({ code: 'shutting_down' })
  })
})
