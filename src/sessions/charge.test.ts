// The money of a call: nothing runs or is answered that is not covered, durable and charged once.
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest'
import { ManualClock } from '../base/clock.ts'
import {
  closeStore,
  startCalls,
  toolCall,
  type Calls,
  type CallsOptions,
  settledOnce,
} from '../../test/harness/calls.ts'
import { until } from '../../test/harness/until.ts'

let calls: Calls
const start = async (options: CallsOptions = {}): Promise<Calls> => (calls = await startCalls(options))
afterEach(() => calls.stop())
afterAll(closeStore)

const unit = 10n ** 9n
const progress = {
  jsonrpc: '2.0',
  method: 'notifications/progress',
  params: { progressToken: 1, progress: 1 },
}

describe('money', () => {
  test('an exhausted balance refuses before anything is sent', async () => {
    await start({ mode: 'prepaid', credit: '0.5' })
    const reply = calls.ask(toolCall(1))
    await settledOnce(calls, reply, { outcome: 'denied', cost: 0n })
    expect(calls.upstream.sent).toEqual([])
    expect(reply.json.result).toMatchObject({
      isError: true,
      resultType: 'complete',
      structuredContent: { code: 'balance_exhausted', balance: '0.5', required: '1' },
    })
  })

  test('credit for 10 calls lets 10 of 200 run', async () => {
    await start({ mode: 'prepaid', credit: '10' })
    calls.upstream.script = (up) => up.succeed()
    const replies = Array.from({ length: 200 }, (_, id) => calls.ask(toolCall(id)))
    await Promise.all(replies.map((reply) => reply.done()))
    expect(calls.upstream.sent.length).toBe(10)
    expect(await calls.books()).toEqual({ records: 200, cost: 10n * unit, charged: 10n * unit })
    expect([calls.balance(), calls.held()]).toEqual([0n, 0n])
  })

  test('the balance is computed for whoever shows it alone, and is that after the call', async () => {
    await start({ mode: 'prepaid', credit: '10' })
    calls.upstream.script = (up) => up.succeed({ content: [] })
    const totals = vi.spyOn(calls.ledger, 'totals')
    await calls.ask(toolCall(1)).done()
    expect(totals).not.toHaveBeenCalled()
    const reply = await calls.ask(toolCall(2, { _meta: { 'tollbridge/report': true } })).done()
    const meta = reply.json.result?.['_meta']
    expect(meta).toMatchObject({ 'tollbridge/cost': { amount: '1', balance: '8' } })
    expect(totals).toHaveBeenCalledOnce()
    await calls.ask(toolCall(3)).done()
    expect(calls.settled[1]?.balance).toBe(8n * unit)
  })

  test('an answer that outgrows the balance is cut', async () => {
    await start({ mode: 'prepaid', credit: '20', price: { perKb: '1' } })
    const reply = calls.ask(toolCall(1))
    const [up] = calls.upstream.sent
    up?.head({ contentType: 'event-stream' })
    const big = { ...progress, params: { message: 'x'.repeat(4000) } }
    for (let i = 0; i < 10; i++) up?.event(big)
    await settledOnce(calls, reply, { outcome: 'denied', cost: 0n })
    expect(up?.aborted).toBe(true)
    expect(reply.messages.length).toBeLessThan(6)
    expect(reply.json.result?.['structuredContent']).toMatchObject({ code: 'balance_exhausted' })
  })

  test('a hold grows with an answer that the balance covers', async () => {
    await start({ mode: 'prepaid', credit: '100', price: { perKb: '1' } })
    calls.upstream.script = (up) => up.succeed({ content: 'x'.repeat(20_000) })
    const reply = await calls.ask(toolCall(1)).done()
    const { requestBytes, responseBytes } = calls.settled[0]?.record ?? { requestBytes: 0, responseBytes: 0 }
    const cost = (BigInt(requestBytes + responseBytes) * unit) / 1024n
    expect(responseBytes).toBe(reply.answer?.bytes.length)
    const difference = (calls.settled[0]?.record.cost ?? 0n) - cost
    expect(difference >= 0n && difference <= 1n).toBe(true)
    expect(calls.held()).toBe(0n)
  })

  test('a price by time cuts the call when the balance is used up', async () => {
    const clock = new ManualClock()
    await start({ clock, mode: 'prepaid', credit: '3', price: { perSecond: '1' }, billOn: ['denied'] })
    const reply = calls.ask(toolCall(1))
    expect(calls.held()).toBe(unit)
    clock.advance(3500)
    await settledOnce(calls, reply, { outcome: 'denied', cost: unit })
    expect(calls.upstream.sent[0]?.aborted).toBe(true)
  })
})

describe('the store', () => {
  test('an answer whose record cannot be written does not leave, and nothing is charged', async () => {
    await start({ mode: 'prepaid', credit: '10' })
    calls.upstream.script = (up) => up.succeed({ secret: 1 })
    calls.fault.commit = true
    const reply = await calls.ask(toolCall(1)).done()
    expect(reply.answers).toBe(1)
    expect(reply.json.result?.['structuredContent']).toMatchObject({ code: 'store_unavailable' })
    expect(calls.held()).toBe(0n)
    const refused = await calls.ask(toolCall(2)).done()
    expect(refused.answer?.retryAfterS).toBe(1)
    expect(calls.upstream.sent.length).toBe(1)
    calls.fault.commit = false
    await until(() => calls.writer.accepting, 'the healing of the store')
    expect(calls.balance()).toBe(10n * unit)
    expect((await calls.ask(toolCall(3)).done()).json.result).toEqual({ secret: 1 })
    expect(await calls.books()).toEqual({ records: 1, cost: unit, charged: unit })
  })

  test('a session whose initialize could not be recorded ends', async () => {
    await start()
    const session = await calls.open()
    calls.upstream.script = (up) => up.succeed({ protocolVersion: '2025-11-25' }, { sessionId: 'up' })
    calls.fault.commit = true
    const reply = await calls.ask({ id: 1, method: 'initialize' }, { session }).done()
    expect(reply.answer?.status).toBe(503)
    expect(reply.sessionToken).toBeUndefined()
    await until(() => session.status === 'closed', 'the end of the session')
  })
})
