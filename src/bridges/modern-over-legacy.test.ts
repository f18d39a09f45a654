// Guarantees of the bridge from modern callers to a legacy server, against a scripted server.
import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, test } from 'vitest'
import {
  modernRequest,
  ScriptedWay,
  sendTo,
  until,
  type Heard,
  type ServerSide,
} from '../../test/harness/modern-calls.ts'
import { ManualClock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { Seal } from '../base/seal.ts'
import type { JsonRpcMessage } from '../wire/json-rpc.ts'
import { ModernOverLegacy, type ModernOverLegacyOptions } from './modern-over-legacy.ts'

const sealer = new Seal(randomBytes(32))
const seal = {
  seal: (text: string) => sealer.seal(text, 'request-state'),
  open: (sealed: string) => {
    try {
      return sealer.open(sealed, 'request-state')
    } catch {
      return undefined
    }
  },
}

const opened: ModernOverLegacy[] = []
afterEach(async () => {
  for (const bridge of opened.splice(0)) {
    await bridge.close()
    expect(bridge.counts()).toEqual({ rounds: 0, calls: 0, parked: 0, listeners: 0, subscriptions: 0 })
    expect(bridge.busy).toBe(false)
  }
})

type More = Partial<Omit<ModernOverLegacyOptions, 'caller'>> & { readonly capabilities?: object }

function bridgeOver(ways: ScriptedWay | ScriptedWay[], more: More = {}) {
  const { capabilities = {}, ...options } = more
  const left = Array.isArray(ways) ? ways : [ways]
  const clock = new ManualClock()
  const bridge = new ModernOverLegacy({
    transport: 'streamable-http',
    open: () => {
      const way = left.length > 1 ? left.shift() : left[0]
      if (!way) throw new GatewayError('upstream_unavailable')
      return way
    },
    caller: {
      capabilities: capabilities as never,
      clientInfo: { name: 'c', version: '1' },
      principalTag: 'me',
    },
    seal,
    clock,
    handshakeTimeoutMs: 2000,
    ...options,
  })
  opened.push(bridge)
  return { bridge, clock }
}

const http = () => new ScriptedWay({ multiplexed: false, sessions: true })
const stdio = () => new ScriptedWay({ multiplexed: true })
const both = [
  ['over HTTP', http],
  ['over a connection', stdio],
] as const

const asking = { elicitation: {}, sampling: {}, roots: {} }
const elicit = (id: number): JsonRpcMessage => ({
  jsonrpc: '2.0',
  id,
  method: 'elicitation/create',
  params: { message: 'name?', requestedSchema: { type: 'object', properties: {} } },
})
const accept = (name: string) => ({ action: 'accept', content: { name } })

/** Says something where this way puts what belongs to a call. */
const during = (way: ScriptedWay, side: ServerSide, message: JsonRpcMessage) =>
  way.say(way.multiplexed ? undefined : side, message, undefined)

/** A server that asks for a name in `ask` and greets with it. */
function askingServer(way: ScriptedWay, questions = 1): ScriptedWay {
  way.script = (message, side) => {
    if (message.method !== 'tools/call') return {}
    if (!way.multiplexed) side.sink.head({ status: 200, contentType: 'event-stream' })
    for (let i = 0; i < questions; i++) during(way, side, elicit(100 + i))
    return undefined
  }
  return way
}

async function asked(heard: Heard) {
  const { result } = await heard.answer()
  expect(result).toMatchObject({ resultType: 'input_required' })
  return result as unknown as { inputRequests: Record<string, unknown>; requestState: string }
}

const answersOf = (way: ScriptedWay) => way.of(undefined).map(({ request }) => request)

/** Lets the server give its final answer, on the exchange of the call. */
function finish(way: ScriptedWay, side: ServerSide, result: object): void {
  way.say(side, { jsonrpc: '2.0', id: side.request.id ?? 0, result: result as never })
  if (!side.aborted) side.sink.end()
}

/** The scripted connection heads a call with its first message, as a child does. */
function finishConnection(way: ScriptedWay, side: ServerSide, result: object): void {
  if (way.multiplexed) side.sink.head({ status: 200, contentType: 'json' })
  finish(way, side, result)
}

describe.each(both)('a conversation %s', (_, make) => {
  test('is opened by its first use, once for everybody who waits, and answers server/discover itself', async () => {
    const way = make()
    const { bridge } = bridgeOver(way)
    expect(way.sent).toEqual([])
    const heard = [1, 2, 3].map((id) => sendTo(bridge, modernRequest('server/discover', {}, { id })))
    const answers = await Promise.all(heard.map((one) => one.answer()))
    expect(way.of('initialize')).toHaveLength(1)
    expect(way.of('notifications/initialized')).toHaveLength(1)
    expect(way.of('server/discover')).toHaveLength(0)
    expect(answers.map(({ id }) => id)).toEqual([1, 2, 3])
    expect(answers[0]?.result).toMatchObject({ supportedVersions: ['2026-07-28'], cacheScope: 'private' })
    expect(way.of('initialize')[0]?.request.params).toEqual({
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'c', version: '1' },
    })
  })

  test('carries callers with the same ids, each to its own answer', async () => {
    const way = make()
    way.script = ({ params }) => ({ echoed: params?.['name'] })
    const { bridge } = bridgeOver(way)
    const heard = ['a', 'b', 'c'].map((name) =>
      sendTo(bridge, modernRequest('tools/call', { name }, { id: 5 })),
    )
    const answers = await Promise.all(heard.map((one) => one.answer()))
    expect(answers.map(({ id, result }) => [id, result?.['echoed']])).toEqual([
      [5, 'a'],
      [5, 'b'],
      [5, 'c'],
    ])
    expect(new Set(way.of('tools/call').map(({ request }) => request.id)).size).toBe(3)
  })

  test('brings progress to the caller whose it is, under its own token', async () => {
    const way = make()
    const sides: ServerSide[] = []
    way.script = (message, side) => (message.method === 'tools/call' ? void sides.push(side) : {})
    const { bridge } = bridgeOver(way)
    const heard = ['a', 'b'].map((name) =>
      sendTo(bridge, modernRequest('tools/call', { name }, { meta: { progressToken: 't' } })),
    )
    await until(() => sides.length === 2)
    for (const [i, side] of sides.entries()) {
      const { progressToken } = side.request.params?.['_meta'] as { progressToken: number }
      if (!way.multiplexed) side.sink.head({ status: 200, contentType: 'event-stream' })
      const params = { progressToken, progress: i }
      during(way, side, { jsonrpc: '2.0', method: 'notifications/progress', params })
    }
    for (const side of sides) finishConnection(way, side, {})
    await Promise.all(heard.map((one) => one.answer()))
    expect(heard.map(({ messages }) => messages[0]?.params)).toEqual([
      { progressToken: 't', progress: 0 },
      { progressToken: 't', progress: 1 },
    ])
  })

  test('tells the server by its own id when a caller gives up, and the caller hears nothing more', async () => {
    const way = make()
    way.script = ({ method }) => (method === 'tools/call' ? undefined : {})
    const { bridge } = bridgeOver(way)
    const heard = sendTo(bridge, modernRequest('tools/call', { name: 'a' }, { id: 'mine' }))
    await until(() => way.of('tools/call').length === 1)
    heard.exchange?.abort()
    heard.exchange?.abort()
    const [side] = way.of('tools/call')
    expect(side?.aborted).toBe(true)
    expect(way.of('notifications/cancelled').map(({ request }) => request.params?.['requestId'])).toEqual([
      side?.request.id,
    ])
    expect([heard.headed, heard.ends]).toEqual([undefined, 0])
    expect(bridge.counts()).toMatchObject({ rounds: 0, calls: 0 })
  })

  test('frees a caller that gives up before the conversation is open, and sends nothing for it', async () => {
    const way = make()
    let open: (() => void) | undefined
    way.script = (message, side) => {
      if (message.method !== 'initialize') return {}
      open = () => way.answer(side, { result: { protocolVersion: '2025-06-18', capabilities: {} } })
      return undefined
    }
    const { bridge } = bridgeOver(way)
    const first = sendTo(bridge, modernRequest('tools/call', { name: 'a' }))
    const second = sendTo(bridge, modernRequest('tools/call', { name: 'b' }))
    await until(() => open !== undefined)
    first.exchange?.abort()
    expect(bridge.counts()).toMatchObject({ rounds: 1, calls: 1 })
    open?.()
    await second.answer()
    expect(way.of('tools/call').map(({ request }) => request.params?.['name'])).toEqual(['b'])
    expect(way.of('notifications/cancelled')).toEqual([])
    expect(way.of('tools/call')[0]?.headers['mcp-protocol-version']).toBe('2025-06-18')
  })

  test('that cannot be opened fails the calls that wait as not sent, and is tried again after a pause', async () => {
    const way = make()
    let refuses = true
    way.script = ({ method }) =>
      method === 'initialize' && refuses ? { error: { code: -32603, message: 'not today' } } : {}
    const { bridge, clock } = bridgeOver(way)
    const heard = [1, 2].map((id) => sendTo(bridge, modernRequest('tools/call', { name: 'a' }, { id })))
    for (const one of heard)
      expect((await one.ended()).failure).toMatchObject({ sent: false, stage: 'handshake' })
    expect((await sendTo(bridge, modernRequest('tools/list')).ended()).failure?.sent).toBe(false)
    expect(way.of('initialize')).toHaveLength(1)
    refuses = false
    clock.advance(251)
    await sendTo(bridge, modernRequest('tools/list')).answer()
    expect(way.of('initialize')).toHaveLength(2)
  })

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
    const changed = `${requestState.slice(0, -2)}${requestState.endsWith('A') ? 'B' : 'A'}x`
    const refused = { id: 1, error: { code: -32602 } }
    expect(await retryOf(`${requestState}-TAMPERED`)).toMatchObject(refused)
    expect(await retryOf(changed)).toMatchObject(refused)
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

  test('answers a ping of the server, and refuses what it cannot carry', async () => {
    const way = make()
    way.script = (message, side) => {
      if (message.method !== 'tools/call') return {}
      if (!way.multiplexed) side.sink.head({ status: 200, contentType: 'event-stream' })
      during(way, side, { jsonrpc: '2.0', id: 'p', method: 'ping' })
      during(way, side, { jsonrpc: '2.0', id: 'x', method: 'x/unknown' })
      return undefined
    }
    const { bridge } = bridgeOver(way)
    const heard = sendTo(bridge, modernRequest('tools/call', { name: 'a' }))
    await until(() => answersOf(way).length === 2)
    expect(answersOf(way)).toMatchObject([
      { id: 'p', result: {} },
      { id: 'x', error: { code: -32601 } },
    ])
    heard.exchange?.abort()
  })

  test('refuses the methods of the legacy era, and never sends them', async () => {
    const way = make()
    const { bridge } = bridgeOver(way)
    for (const method of ['ping', 'initialize', 'logging/setLevel', 'resources/subscribe', 'tasks/list']) {
      const heard = sendTo(bridge, modernRequest(method))
      expect(await heard.answer()).toMatchObject({ error: { code: -32601 } })
      expect(heard.headed?.status).toBe(404)
    }
    expect(way.sent).toEqual([])
  })

  test('passes unknown methods and notifications on, and drops those that name another caller’s id', async () => {
    const way = make()
    way.script = ({ method }) => (method === 'x/own' ? { fine: true } : {})
    const { bridge } = bridgeOver(way)
    expect(await sendTo(bridge, modernRequest('x/own', { a: 1 })).answer()).toMatchObject({
      result: { fine: true },
    })
    for (const method of ['notifications/x', 'notifications/cancelled']) {
      const { id: _id, ...notification } = modernRequest(method, { requestId: 1 })
      expect((await sendTo(bridge, notification).ended()).headed?.status).toBe(202)
    }
    expect(way.of('notifications/x')[0]?.request.params).toEqual({ requestId: 1, _meta: {} })
    expect(way.of('notifications/cancelled')).toEqual([])
  })

  test('sets the log level that is wanted, and brings logs to the only call that asked for them', async () => {
    const way = make()
    const sides: ServerSide[] = []
    way.script = (message, side) => (message.method === 'tools/call' ? void sides.push(side) : {})
    const { bridge } = bridgeOver(way)
    const logs = { meta: { 'io.modelcontextprotocol/logLevel': 'warning' } }
    const log = (level: string): JsonRpcMessage => ({
      jsonrpc: '2.0',
      method: 'notifications/message',
      params: { level, data: level },
    })
    const heard = sendTo(bridge, modernRequest('tools/call', { name: 'a' }, logs))
    await until(() => sides.length === 1)
    expect(way.of('logging/setLevel').map(({ request }) => request.params)).toEqual([{ level: 'warning' }])
    const [side] = sides
    if (!side) return
    if (!way.multiplexed) side.sink.head({ status: 200, contentType: 'event-stream' })
    during(way, side, log('info'))
    during(way, side, log('error'))
    finishConnection(way, side, {})
    await heard.answer()
    expect(heard.messages.map(({ params }) => params?.['level'])).toEqual(['error', undefined])
    // Nobody asks: nobody hears. The level stays as it is.
    const quiet = sendTo(bridge, modernRequest('tools/call', { name: 'a' }))
    await until(() => sides.length === 2)
    const [, next] = sides
    if (!next) return
    if (!way.multiplexed) next.sink.head({ status: 200, contentType: 'event-stream' })
    during(way, next, log('emergency'))
    finishConnection(way, next, {})
    await quiet.answer()
    expect(quiet.messages).toHaveLength(1)
    expect(way.of('logging/setLevel')).toHaveLength(1)
  })

  test('acknowledges a subscription first, and lets each listener hear what it asked for', async () => {
    const way = make()
    const { bridge } = bridgeOver(way)
    const listen = (notifications: object, id: number) =>
      sendTo(bridge, modernRequest('subscriptions/listen', { notifications }, { id }))
    const tools = listen({ toolsListChanged: true, promptsListChanged: true }, 7)
    const files = [8, 9].map((id) => listen({ resourceSubscriptions: ['file:///a'] }, id))
    const heard = [tools, ...files]
    const firsts = await Promise.all(heard.map((one) => one.until(() => true)))
    expect(firsts.map(({ params }) => params?.['notifications'])).toEqual([
      { toolsListChanged: true },
      { resourceSubscriptions: ['file:///a'] },
      { resourceSubscriptions: ['file:///a'] },
    ])
    expect(way.of('resources/subscribe')).toHaveLength(1)
    expect(way.streams).toHaveLength(1)
    way.say(undefined, { jsonrpc: '2.0', method: 'notifications/tools/list_changed' })
    way.say(undefined, { jsonrpc: '2.0', method: 'notifications/prompts/list_changed' })
    const params = { uri: 'file:///a' }
    way.say(undefined, { jsonrpc: '2.0', method: 'notifications/resources/updated', params })
    expect(tools.messages.map(({ method }) => method)).toEqual([
      'notifications/subscriptions/acknowledged',
      'notifications/tools/list_changed',
    ])
    expect(files.map(({ messages }) => messages[1]?.params)).toEqual([
      { ...params, _meta: { 'io.modelcontextprotocol/subscriptionId': 8 } },
      { ...params, _meta: { 'io.modelcontextprotocol/subscriptionId': 9 } },
    ])
    expect(bridge.counts()).toMatchObject({ listeners: 3, subscriptions: 1 })
    files[0]?.exchange?.abort()
    expect(way.of('resources/unsubscribe')).toHaveLength(0)
    files[1]?.exchange?.abort()
    await until(() => way.of('resources/unsubscribe').length === 1)
    await until(() => bridge.counts().subscriptions === 0)
    await bridge.close()
    expect(await tools.answer()).toMatchObject({ id: 7, result: { resultType: 'complete' } })
  })

  test('keeps one of each change for a listener that does not read', async () => {
    const way = make()
    const { bridge } = bridgeOver(way)
    const heard = sendTo(
      bridge,
      modernRequest('subscriptions/listen', { notifications: { toolsListChanged: true } }),
    )
    await heard.until(() => true)
    heard.exchange?.pause()
    for (let i = 0; i < 100; i++)
      way.say(undefined, { jsonrpc: '2.0', method: 'notifications/tools/list_changed' })
    expect(heard.messages).toHaveLength(1)
    heard.exchange?.resume()
    expect(heard.messages).toHaveLength(2)
  })

  test('ends everything when it is closed, and takes leave of the server', async () => {
    const way = askingServer(make())
    const { bridge } = bridgeOver(way, { capabilities: asking })
    const call = () => sendTo(bridge, modernRequest('tools/call', { name: 'a' }, { capabilities: asking }))
    const waiting = call()
    await asked(waiting)
    way.script = () => undefined
    const running = call()
    await until(() => way.of('tools/call').length === 2)
    await bridge.close()
    expect((await running.ended()).failure).toMatchObject({ sent: true })
    expect(way.of('notifications/cancelled')).toHaveLength(2)
    expect(
      way.sent.filter(({ aborted, request }) => aborted && request.method === 'tools/call'),
    ).toHaveLength(2)
    expect(way.streams.every(({ aborted }) => aborted)).toBe(true)
    expect(way.endedSessions).toEqual(way.multiplexed ? [] : ['session-1'])
    expect(way.closed).toBeGreaterThan(0)
    expect((await call().ended()).failure).toMatchObject({ sent: false })
  })

  test('has neither a GET stream nor a session to end', async () => {
    const { bridge } = bridgeOver(make())
    const heard = await new Promise((resolve) => {
      bridge.listen({}, { head: resolve, message: () => {}, end: () => {}, fail: () => {} })
    })
    expect(heard).toMatchObject({ status: 405 })
    expect(await bridge.endSession()).toBe(405)
  })
})

describe('over HTTP', () => {
  test('a call whose session the server has forgotten is sent once more in a new one', async () => {
    const way = http()
    way.script = ({ method }) => (method === 'tools/call' ? { content: [] } : {})
    const { bridge } = bridgeOver(way)
    await sendTo(bridge, modernRequest('tools/call', { name: 'a' })).answer()
    way.sessions?.clear()
    const heard = [1, 2].map((id) => sendTo(bridge, modernRequest('tools/call', { name: 'b' }, { id })))
    for (const one of heard) expect((await one.answer()).result).toMatchObject({ content: [] })
    expect(way.of('initialize')).toHaveLength(2)
    expect(way.of('tools/call').map(({ headers }) => headers['mcp-session-id'])).toEqual([
      'session-1',
      'session-1',
      'session-1',
      'session-2',
      'session-2',
    ])
  })

  test('a server that forgets every session at once is not asked for ever', async () => {
    const way = http()
    way.script = (_message, side) =>
      side.request.method === 'initialize'
        ? {}
        : void way.answer(side, { error: { code: -32001, message: 'Session not found' } }, 404)
    const { bridge } = bridgeOver(way)
    const heard = await sendTo(bridge, modernRequest('tools/call', { name: 'a' })).ended()
    expect(heard.failure).toMatchObject({ sent: false })
    expect(way.of('tools/call')).toHaveLength(2)
  })

  test('a method that the server does not know is not a lost session', async () => {
    const way = http()
    way.script = (_message, side) =>
      side.request.method === 'x/own'
        ? void way.answer(side, { error: { code: -32601, message: 'Method not found' } }, 404)
        : {}
    const { bridge } = bridgeOver(way)
    const heard = sendTo(bridge, modernRequest('x/own'))
    expect(await heard.answer()).toMatchObject({ error: { code: -32601 } })
    expect(heard.headed?.status).toBe(404)
    expect(way.of('initialize')).toHaveLength(1)
  })

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

  test('a server without a GET stream honours no subscription, and is served all the same', async () => {
    const way = http()
    way.streamStatus = 405
    const { bridge } = bridgeOver(way, { capabilities: asking })
    const notifications = { toolsListChanged: true, resourceSubscriptions: ['a'] }
    const heard = sendTo(bridge, modernRequest('subscriptions/listen', { notifications }))
    expect((await heard.until(() => true)).params).toMatchObject({ notifications: {} })
    expect(way.of('resources/subscribe')).toEqual([])
    await sendTo(bridge, modernRequest('tools/list')).answer()
  })

  test('a GET stream that breaks off is opened again where it was, and what may be missed is announced', async () => {
    const way = http()
    const { bridge } = bridgeOver(way)
    const notifications = { toolsListChanged: true, resourceSubscriptions: ['a'] }
    const heard = sendTo(bridge, modernRequest('subscriptions/listen', { notifications }))
    await heard.until(() => true)
    const [stream] = way.streams
    const frame = Buffer.from('id: e-5\ndata: {}\n\n')
    stream?.sink.message({ message: undefined, bytes: Buffer.alloc(0), frame })
    stream?.sink.end()
    await heard.until(({ method }) => method === 'notifications/resources/updated')
    expect(way.streams[1]?.headers['last-event-id']).toBe('e-5')
    expect(heard.messages.map(({ method }) => method)).toContain('notifications/tools/list_changed')
  })

  test('the GET stream is closed with the last listener', async () => {
    const way = http()
    const { bridge } = bridgeOver(way)
    const heard = sendTo(
      bridge,
      modernRequest('subscriptions/listen', { notifications: { toolsListChanged: true } }),
    )
    await heard.until(() => true)
    heard.exchange?.abort()
    expect(way.streams.map(({ aborted }) => aborted)).toEqual([true])
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

  test('an answer whose stream the server closes is fetched where it left off', async () => {
    const way = http()
    way.script = (_message, side) => {
      if (side.request.method !== 'tools/call') return {}
      side.sink.head({ status: 200, contentType: 'event-stream' })
      const frame = Buffer.from('id: e-1\nretry: 5\ndata: \n\n')
      side.sink.message({ message: undefined, bytes: Buffer.alloc(0), frame })
      side.sink.end()
      return undefined
    }
    const { bridge } = bridgeOver(way)
    const heard = sendTo(bridge, modernRequest('tools/call', { name: 'a' }))
    await until(() => way.streams.length === 1)
    const [stream] = way.streams
    expect(stream?.headers['last-event-id']).toBe('e-1')
    const id = way.of('tools/call')[0]?.request.id ?? 0
    stream?.sink.message({
      message: { jsonrpc: '2.0', id, result: { late: true } },
      bytes: Buffer.from('{}'),
    })
    expect((await heard.answer()).result).toMatchObject({ late: true })
    expect(stream?.aborted).toBe(true)
  })

  test('a batch of a 2025-03-26 server is taken apart', async () => {
    const way = http()
    way.script = (_message, side) => {
      if (side.request.method !== 'tools/call') return {}
      side.sink.head({ status: 200, contentType: 'json' })
      const answer = { jsonrpc: '2.0', id: side.request.id, result: { batched: true } }
      side.sink.message({ message: undefined, bytes: Buffer.from(JSON.stringify([answer])) })
      side.sink.end()
      return undefined
    }
    const { bridge } = bridgeOver(way)
    const heard = sendTo(bridge, modernRequest('tools/call', { name: 'a' }))
    expect((await heard.answer()).result).toMatchObject({ batched: true })
  })

  test.each([401, 403, 500])('HTTP %i without a message is a failure that says so', async (status) => {
    const way = http()
    way.script = (_message, side) => {
      if (side.request.method !== 'tools/call') return {}
      side.sink.head({ status, contentType: 'none' })
      if (!side.aborted) side.sink.end()
      return undefined
    }
    const { bridge } = bridgeOver(way)
    const heard = await sendTo(bridge, modernRequest('tools/call', { name: 'a' })).ended()
    expect(heard.failure).toMatchObject({ sent: true, message: expect.stringContaining(String(status)) })
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

  test('that is gone fails what was sent, and is opened again for the next call', async () => {
    const [first, second] = [stdio(), stdio()]
    for (const way of [first, second]) way.script = ({ method }) => (method === 'tools/call' ? undefined : {})
    const { bridge } = bridgeOver([first, second])
    const heard = sendTo(bridge, modernRequest('tools/call', { name: 'a' }))
    const listener = sendTo(
      bridge,
      modernRequest('subscriptions/listen', { notifications: { toolsListChanged: true } }),
    )
    await until(() => first.of('tools/call').length === 1)
    await listener.until(() => true)
    const gone = { stage: 'process', message: 'gone', sent: true, gone: true } as const
    first.of('tools/call')[0]?.sink.fail(gone)
    first.streams[0]?.sink.fail(gone)
    expect((await heard.ended()).failure).toMatchObject({ sent: true })
    expect(first.closed).toBe(1)
    second.script = () => ({ content: [] })
    expect(await sendTo(bridge, modernRequest('tools/call', { name: 'b' })).answer()).toMatchObject({
      result: { content: [] },
    })
    expect(second.of('initialize')).toHaveLength(1)
    // Whoever listens hears of what may have changed meanwhile.
    await listener.until(({ method }) => method === 'notifications/tools/list_changed')
  })

  test('that was gone before a call left carries the call once it is open again', async () => {
    const [first, second] = [stdio(), stdio()]
    const gone = { stage: 'process', message: 'gone', sent: false, gone: true } as const
    first.script = (message, side) => {
      if (message.method !== 'tools/call') return {}
      side.sink.fail(gone)
      return undefined
    }
    const { bridge } = bridgeOver([first, second])
    const heard = sendTo(bridge, modernRequest('tools/call', { name: 'a' }))
    await heard.answer()
    expect(second.of('tools/call')).toHaveLength(1)
  })

  test('that cannot be opened again ends the subscriptions as a server does that closes', async () => {
    const way = stdio()
    const clock = new ManualClock()
    let opens = 0
    const { bridge } = bridgeOver(way, {
      clock,
      limits: { maxReopenings: 2 },
      open: () => {
        clock.advance(60_000)
        if (opens++ > 0) throw new GatewayError('upstream_unavailable')
        return way
      },
    })
    const heard = sendTo(
      bridge,
      modernRequest('subscriptions/listen', { notifications: { toolsListChanged: true } }),
    )
    await heard.until(() => true)
    way.streams[0]?.sink.fail({ stage: 'process', message: 'gone', sent: true, gone: true })
    expect(await heard.answer()).toMatchObject({ id: 1, result: { resultType: 'complete' } })
    expect(opens).toBeGreaterThan(1)
  })
})
