// Guarantees of calls that ask their callers for input: who is asked, who may answer, and for how long.
import { afterEach, describe, expect, test } from 'vitest'
import {
  accept,
  answersOf,
  asked,
  asking,
  askingServer,
  both,
  bridgeOver,
  closeBridges,
  during,
  elicit,
  finishConnection,
  http,
  stdio,
} from '../../../test/harness/modern-bridge.ts'
import { modernRequest, sendTo } from '../../../test/harness/modern-calls.ts'
import { forged } from '../../../test/harness/tampering.ts'
import { until } from '../../../test/harness/until.ts'
import type { JsonRpcMessage } from '../../wire/json-rpc.ts'
import type { ModernOverLegacy } from './bridge.ts'

afterEach(closeBridges)

describe.each(both)('a conversation %s', (_, make) => {
  test('asks its caller for what the server asks, and goes on with the answer', async () => {
    const way = askingServer(make())
    const { bridge } = bridgeOver(way, { capabilities: asking })
    const call = (params: object, id: number) =>
      sendTo(bridge, modernRequest('tools/call', { name: 'a', ...params }, { id, capabilities: asking }))
    const { inputRequests, requestState } = await asked(call({}, 1))
    expect(Object.values(inputRequests)).toEqual([{ method: 'elicitation/create', params: elicit(1).params }])
    expect(bridge.counts()).toMatchObject({ rounds: 0, parked: 1 })
    expect(bridge.busy).toBe(true)
    const [key = ''] = Object.keys(inputRequests)
    const retry = call({ requestState, inputResponses: { [key]: accept('Ann') } }, 2)
    await until(() => answersOf(way).length === 1)
    expect(answersOf(way)).toEqual([{ jsonrpc: '2.0', id: 100, result: accept('Ann') }])
    const [side] = way.of('tools/call')
    if (side) finishConnection(way, side, { content: [] })
    expect(await retry.answer()).toMatchObject({ id: 2, result: { resultType: 'complete', content: [] } })
    expect(way.of('tools/call')).toHaveLength(1)
    expect(bridge.counts()).toMatchObject({ rounds: 0, calls: 0, parked: 0 })
  })

  test('asks for several things in one round, and again for what was left out, but not for ever', async () => {
    const way = askingServer(make(), 2)
    const { bridge } = bridgeOver(way, { capabilities: asking, limits: { maxAsks: 2 } })
    const call = (params: object) =>
      sendTo(bridge, modernRequest('tools/call', { name: 'a', ...params }, { capabilities: asking }))
    const first = await asked(call({}))
    const [one = '', two = ''] = Object.keys(first.inputRequests)
    const inputResponses = { [one]: accept('Ann'), other: accept('x') }
    const second = await asked(call({ requestState: first.requestState, inputResponses }))
    expect(Object.keys(second.inputRequests)).toEqual([two])
    expect(second.requestState).not.toBe(first.requestState)
    const retry = call({ requestState: second.requestState })
    await until(() => answersOf(way).length === 2)
    expect(answersOf(way)).toMatchObject([
      { id: 100, result: accept('Ann') },
      { id: 101, error: { code: -32603 } },
    ])
    const [side] = way.of('tools/call')
    if (side) finishConnection(way, side, {})
    await retry.answer()
  })

  test('fails a call whose server does not take the answer to its question', async () => {
    const way = askingServer(make())
    const { bridge } = bridgeOver(way, { capabilities: asking })
    const call = (params: object) =>
      sendTo(bridge, modernRequest('tools/call', { name: 'a', ...params }, { capabilities: asking }))
    const { requestState, inputRequests } = await asked(call({}))
    way.answerStatus = 404
    const inputResponses = { [Object.keys(inputRequests)[0] ?? '']: accept('Ann') }
    const heard = await call({ requestState, inputResponses }).ended()
    expect(heard.failure).toMatchObject({ sent: true })
  })

  test('keeps the end of a call whose caller was being asked', async () => {
    const way = askingServer(make())
    const { bridge } = bridgeOver(way, { capabilities: asking })
    const call = (params: object) =>
      sendTo(bridge, modernRequest('tools/call', { name: 'a', ...params }, { capabilities: asking }))
    const { requestState } = await asked(call({}))
    const [side] = way.of('tools/call')
    if (side) finishConnection(way, side, { content: ['late'] })
    expect(await call({ requestState }).answer()).toMatchObject({ result: { content: ['late'] } })
  })

  test('tells a caller, when it is back, what the server said while it was away', async () => {
    const way = askingServer(make())
    const { bridge } = bridgeOver(way, { capabilities: asking })
    const call = (params: object, progressToken: string) =>
      sendTo(
        bridge,
        modernRequest(
          'tools/call',
          { name: 'a', ...params },
          { capabilities: asking, meta: { progressToken } },
        ),
      )
    const { requestState } = await asked(call({}, 'first'))
    const [side] = way.of('tools/call')
    if (!side) throw new Error('nothing was sent')
    const token = side.request.params?._meta as { progressToken: number } | undefined
    const progress = (value: number): JsonRpcMessage => ({
      jsonrpc: '2.0',
      method: 'notifications/progress',
      params: { progressToken: token?.progressToken, progress: value },
    })
    for (const value of [1, 2]) during(way, side, progress(value))
    const retry = call({ requestState }, 'second')
    await until(() => retry.messages.length === 2)
    during(way, side, progress(3))
    finishConnection(way, side, { content: [] })
    await retry.answer()
    expect(retry.messages.slice(0, -1).map(({ params }) => params)).toEqual(
      [1, 2, 3].map((value) => ({ progressToken: 'second', progress: value })),
    )
  })

  test('refuses a requestState that is not for this request, and sends nothing', async () => {
    const way = askingServer(make())
    const { bridge, clock } = bridgeOver(way, { capabilities: asking, limits: { parkedMs: 60_000 } })
    const retryOf = (
      requestState: string,
      params: object = {},
      way: Pick<ModernOverLegacy, 'send'> = bridge,
    ) =>
      sendTo(
        way as ModernOverLegacy,
        modernRequest('tools/call', { name: 'a', requestState, ...params }, { capabilities: asking }),
      ).answer()
    const { requestState, inputRequests } = await asked(
      sendTo(bridge, modernRequest('tools/call', { name: 'a' }, { capabilities: asking })),
    )
    const before = way.sent.length
    const [key = ''] = Object.keys(inputRequests)
    const refused = { id: 1, error: { code: -32602 } }
    expect(await retryOf(`${requestState}-TAMPERED`)).toMatchObject(refused)
    expect(await retryOf(forged(requestState))).toMatchObject(refused)
    expect(await retryOf('')).toMatchObject(refused)
    expect(await retryOf(requestState, { name: 'b' })).toMatchObject(refused)
    expect(await retryOf(requestState, {}, bridge.seenBy('you'))).toMatchObject(refused)
    expect(await retryOf(requestState, { inputResponses: { [key]: { action: 'maybe' } } })).toMatchObject(
      refused,
    )
    expect(way.sent).toHaveLength(before)
    expect(bridge.counts().parked).toBe(1)
    clock.advance(60_001)
    expect(await retryOf(requestState)).toMatchObject(refused)
    expect(way.sent).toHaveLength(before)
  })

  test('continues a parked call for one retry only', async () => {
    const way = askingServer(make())
    const { bridge } = bridgeOver(way, { capabilities: asking })
    const call = (params: object) =>
      sendTo(bridge, modernRequest('tools/call', { name: 'a', ...params }, { capabilities: asking }))
    const { requestState, inputRequests } = await asked(call({}))
    const inputResponses = { [Object.keys(inputRequests)[0] ?? '']: accept('Ann') }
    const [first, second] = [0, 1].map(() => call({ requestState, inputResponses }))
    expect(await second?.answer()).toMatchObject({ error: { code: -32602 } })
    const [side] = way.of('tools/call')
    await until(() => answersOf(way).length === 1)
    if (side) finishConnection(way, side, {})
    await first?.answer()
    expect(answersOf(way)).toHaveLength(1)
  })

  test('cancels a parked call at the server when nobody comes back, and frees it', async () => {
    const way = askingServer(make())
    const { bridge } = bridgeOver(way, { capabilities: asking, limits: { parkedMs: 30 } })
    await asked(sendTo(bridge, modernRequest('tools/call', { name: 'a' }, { capabilities: asking })))
    await until(() => bridge.counts().parked === 0)
    const [side] = way.of('tools/call')
    expect(side?.aborted).toBe(true)
    expect(way.of('notifications/cancelled')[0]?.request.params?.['requestId']).toBe(side?.request.id)
    expect(answersOf(way)).toMatchObject([{ id: 100, error: {} }])
    expect(bridge.counts()).toMatchObject({ calls: 0, rounds: 0 })
  })

  test('lets no more calls wait than it may: the server is told, and the call goes on', async () => {
    const way = askingServer(make())
    const { bridge } = bridgeOver(way, { capabilities: asking, limits: { maxParked: 0 } })
    const heard = sendTo(bridge, modernRequest('tools/call', { name: 'a' }, { capabilities: asking }))
    await until(() => answersOf(way).length === 1)
    expect(answersOf(way)).toMatchObject([{ id: 100, error: { message: expect.stringMatching(/Too many/) } }])
    const [side] = way.of('tools/call')
    if (side) finishConnection(way, side, { isError: true })
    expect(await heard.answer()).toMatchObject({ result: { isError: true, resultType: 'complete' } })
  })

  test('asks no caller for what it has not declared, and says so where the call fails for it', async () => {
    const way = askingServer(make())
    const { bridge } = bridgeOver(way, { capabilities: asking })
    const heard = sendTo(bridge, modernRequest('tools/call', { name: 'a' }, { capabilities: { roots: {} } }))
    await until(() => answersOf(way).length === 1)
    expect(answersOf(way)).toMatchObject([{ id: 100, error: { code: -32601 } }])
    const [side] = way.of('tools/call')
    if (side && way.multiplexed) side.sink.head({ status: 200, contentType: 'json' })
    if (side) {
      const error = { code: -32603, message: 'cannot go on' }
      way.say(side, { jsonrpc: '2.0', id: side.request.id ?? 0, error })
      side.sink.end()
    }
    expect((await heard.answer()).error).toEqual({
      code: -32021,
      message: 'cannot go on',
      data: { requiredCapabilities: { elicitation: { form: {} } } },
    })
    expect(heard.headed?.status).toBe(400)
  })

  test('forgets a question that the server takes back', async () => {
    const way = askingServer(make())
    const { bridge } = bridgeOver(way, { capabilities: asking })
    const heard = sendTo(bridge, modernRequest('tools/call', { name: 'a' }, { capabilities: asking }))
    await until(() => way.of('tools/call').length === 1)
    const [side] = way.of('tools/call')
    if (!side) return
    const cancelled = {
      jsonrpc: '2.0',
      method: 'notifications/cancelled',
      params: { requestId: 100 },
    } as const
    await until(() => bridge.counts().calls === 1)
    during(way, side, cancelled)
    finishConnection(way, side, { content: [] })
    expect(await heard.answer()).toMatchObject({ result: { resultType: 'complete' } })
    expect(answersOf(way)).toEqual([])
  })
})

describe('over HTTP', () => {
  test('two calls may be asked at the same time, each on its own exchange', async () => {
    const way = askingServer(http())
    const { bridge } = bridgeOver(way, { capabilities: asking })
    const heard = ['a', 'b'].map((name) =>
      sendTo(bridge, modernRequest('tools/call', { name }, { capabilities: asking })),
    )
    const rounds = await Promise.all(heard.map(asked))
    expect(bridge.counts().parked).toBe(2)
    const [first, second] = rounds
    const retry = sendTo(
      bridge,
      modernRequest('tools/call', { name: 'b', requestState: first?.requestState }, { capabilities: asking }),
    )
    expect(await retry.answer()).toMatchObject({ error: { code: -32602 } })
    expect(first?.requestState).not.toBe(second?.requestState)
  })

  test('a question on the GET stream goes to the only call in flight', async () => {
    const way = http()
    const { bridge } = bridgeOver(way, { capabilities: asking })
    way.script = ({ method }) => (method === 'tools/call' ? undefined : {})
    const heard = sendTo(bridge, modernRequest('tools/call', { name: 'a' }, { capabilities: asking }))
    await until(() => way.of('tools/call').length === 1)
    way.say(undefined, elicit(5))
    await asked(heard)
  })
})

describe('over a connection', () => {
  test('a question that could belong to several calls is refused towards the server', async () => {
    const way = stdio()
    way.script = ({ method }) => (method === 'tools/call' ? undefined : {})
    const { bridge } = bridgeOver(way, { capabilities: asking })
    const heard = ['a', 'b'].map((name) =>
      sendTo(bridge, modernRequest('tools/call', { name }, { capabilities: asking })),
    )
    await until(() => way.of('tools/call').length === 2)
    way.say(undefined, elicit(5))
    way.say(undefined, { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'error' } })
    expect(answersOf(way)).toMatchObject([{ id: 5, error: { message: expect.stringMatching(/Several/) } }])
    expect(heard.every(({ messages }) => messages.length === 0)).toBe(true)
    for (const side of way.of('tools/call')) finishConnection(way, side, {})
    await Promise.all(heard.map((one) => one.answer()))
    way.say(undefined, elicit(6))
    expect(answersOf(way)[1]).toMatchObject({ id: 6, error: { message: expect.stringMatching(/No call/) } })
  })
})
