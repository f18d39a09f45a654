// A legacy client's session at a modern server: every stage of a call, the questions in it, the stream, and nothing left behind.
import { describe, expect, test } from 'vitest'
import {
  LegacyOverModern,
  type LegacyOverModernLimits,
  type LegacyOverModernOptions,
} from '../../src/bridges/legacy-over-modern/bridge.ts'
import { GatewayError } from '../../src/base/errors.ts'
import { clientRequest, Ear, say, ScriptedWay, settle, type Sent } from './scripted-way.ts'
import { until } from '../harness/until.ts'

const discover = {
  supportedVersions: ['2026-07-28'],
  capabilities: {
    tools: { listChanged: true },
    resources: { subscribe: true },
    logging: {},
  },
  _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'scripted', version: '1' } },
}
const everything = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} }
const nothing = { calls: 0, questions: 0, ids: 0, subscriptions: 0, streams: 0 }
const quick: Partial<LegacyOverModernLimits> = {
  pacingMs: 1,
  firstPauseMs: 1,
  longestPauseMs: 5,
  random: () => 0.5,
}

interface SessionOptions extends Partial<Omit<LegacyOverModernOptions, 'limits'>> {
  readonly capabilities?: object
  readonly version?: string
  readonly multiplexed?: boolean
  readonly limits?: Partial<LegacyOverModernLimits>
}

async function open(options: SessionOptions = {}) {
  const { capabilities = everything, version = '2025-11-25', multiplexed, limits, ...rest } = options
  const way = new ScriptedWay(multiplexed)
  const bridge = new LegacyOverModern({
    way: () => way,
    discover,
    toolSchema: () => Promise.resolve(undefined),
    mintId: () => 'minted',
    limits: { ...quick, ...limits },
    ...rest,
  })
  const send = (message: object) => {
    const ear = new Ear()
    return { ear, exchange: bridge.send(clientRequest(message), ear) }
  }
  const clientInfo = { name: 'client', version: '1' }
  const { ear } = send({
    id: 'init',
    method: 'initialize',
    params: { protocolVersion: version, capabilities, clientInfo },
  })
  await until(() => ear.over)
  const call = (id: string | number = 1, params: object = { name: 't', arguments: {} }) =>
    send({ id, method: 'tools/call', params })
  return { way, bridge, send, call, initialized: ear }
}

const done = { resultType: 'complete', content: [{ type: 'text', text: 'done' }] }
const form = {
  method: 'elicitation/create',
  params: { message: 'who?', requestedSchema: { type: 'object' } },
}
const needs = (inputRequests: object, requestState?: string) => ({
  resultType: 'input_required',
  inputRequests,
  ...(requestState !== undefined && { requestState }),
})
const paramsOf = (sent: Sent) => JSON.parse(Buffer.from(sent.request.body).toString()).params

describe('what the session answers itself', () => {
  test('initialize, ping and settings never reach the server', async () => {
    const { way, bridge, send, initialized } = await open()
    expect(initialized.heads).toEqual([{ status: 200, contentType: 'json' }])
    expect(initialized.last).toMatchObject({
      id: 'init',
      result: {
        protocolVersion: '2025-11-25',
        serverInfo: { name: 'scripted' },
        capabilities: discover.capabilities,
      },
    })
    const answers = [
      send({ id: 2, method: 'ping' }),
      send({ id: 3, method: 'logging/setLevel', params: { level: 'error' } }),
      send({ id: 4, method: 'resources/subscribe', params: { uri: 'a' } }),
      send({ id: 5, method: 'resources/unsubscribe', params: { uri: 'a' } }),
    ]
    await until(() => answers.every(({ ear }) => ear.over))
    for (const [index, { ear }] of answers.entries())
      expect(ear.written).toEqual([{ jsonrpc: '2.0', id: index + 2, result: {} }])
    for (const method of ['notifications/initialized', 'notifications/roots/list_changed']) {
      const { ear } = send({ method })
      await until(() => ear.over)
      expect(ear).toMatchObject({ heads: [{ status: 202, contentType: 'none' }], messages: [] })
    }
    expect(way.sent).toEqual([])
    await bridge.close()
    expect(bridge.sizes).toEqual(nothing)
  })

  test.each([
    [{ id: 1, method: 'logging/setLevel', params: { level: 'loud' } }, -32602],
    [{ id: 1, method: 'resources/subscribe', params: {} }, -32602],
    [{ id: 1, method: 'subscriptions/listen', params: {} }, -32601],
    [{ id: 1, method: 'a\nb' }, -32601],
  ])('%j is refused', async (message, code) => {
    const { send, way } = await open()
    const { ear } = send(message)
    await until(() => ear.over)
    expect(ear.last).toMatchObject({ id: 1, error: { code } })
    expect(way.sent).toEqual([])
  })

  test('what the server does not offer is an unknown method', async () => {
    const { send } = await open({ discover: { capabilities: { resources: {} } } })
    for (const method of ['logging/setLevel', 'resources/subscribe', 'resources/unsubscribe']) {
      const { ear } = send({ id: 1, method, params: { uri: 'a', level: 'info' } })
      await until(() => ear.over)
      expect(ear.last).toMatchObject({ error: { code: -32601 } })
    }
  })

  test('a request before initialize is refused, a ping is not', async () => {
    const way = new ScriptedWay()
    const bridge = new LegacyOverModern({ way: () => way, discover, toolSchema: async () => undefined })
    const asked = ['tools/list', 'ping'].map((method) => {
      const ear = new Ear()
      bridge.send(clientRequest({ id: 1, method }), ear)
      return ear
    })
    await until(() => asked.every((ear) => ear.over))
    expect(asked[0]?.last).toMatchObject({ error: { code: -32000 } })
    expect(asked[1]?.last).toMatchObject({ result: {} })
  })

  test('subscriptions are limited', async () => {
    const { send, bridge } = await open({ limits: { maxSubscriptions: 2 } })
    const codes = []
    for (const uri of ['a', 'b', 'c', 'a']) {
      const { ear } = send({ id: uri, method: 'resources/subscribe', params: { uri } })
      await until(() => ear.over)
      codes.push(ear.last?.error?.code)
    }
    expect(codes).toEqual([undefined, undefined, 42202, undefined])
    expect(bridge.sizes.subscriptions).toBe(2)
  })
})

describe('a call', () => {
  test('arrives with metadata, headers and its own bytes, and its answer comes back in legacy words', async () => {
    const inputSchema = { properties: { region: { type: 'string', 'x-mcp-header': 'Region' } } }
    const { way, send, bridge } = await open({ toolSchema: () => Promise.resolve(inputSchema) })
    const level = send({ id: 9, method: 'logging/setLevel', params: { level: 'error' } })
    await until(() => level.ear.over)
    const ear = new Ear()
    const text =
      '{"jsonrpc":"2.0","id":"a","method":"tools/call","x":1.0,"params":{"name":"t","arguments":{"region":"eu","n":12345678901234567890},"_meta":{"progressToken":5}}}'
    bridge.send(
      { body: Buffer.from(text), message: JSON.parse(text), headers: { 'mcp-session-id': 's' } },
      ear,
    )
    const sent = await way.next('tools/call')
    expect(sent.request.headers).toEqual({
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': 't',
      'mcp-param-region': 'eu',
    })
    const body = Buffer.from(sent.request.body).toString()
    expect(body).toContain('"n":12345678901234567890')
    expect(body).toContain('"x":1.0')
    expect(JSON.parse(body)).toMatchObject({
      id: 'a',
      params: {
        _meta: {
          progressToken: 5,
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientCapabilities': everything,
          'io.modelcontextprotocol/clientInfo': { name: 'client' },
          'io.modelcontextprotocol/logLevel': 'error',
        },
      },
    })
    say(sent).head(200, 'event-stream')
    say(sent).bare('', ': keep-alive\n\n')
    say(sent).bare('', 'id: 7\ndata:\n\n')
    say(sent).message({ method: 'notifications/progress', params: { progressToken: 5, progress: 1 } })
    say(sent).message({ id: 'a', result: done })
    expect(ear.written.at(-1)).toEqual({ jsonrpc: '2.0', id: 'a', result: { content: done.content } })
    expect(ear.messages.map(({ frame }) => frame?.toString())).toEqual([
      ': keep-alive\n\n',
      undefined,
      undefined,
    ])
    expect(ear.over).toBe(false)
    say(sent).end()
    expect(ear.ends).toBe(1)
    expect(bridge.sizes).toEqual(nothing)
  })

  test('numbers of an answer survive', async () => {
    const { way, send } = await open()
    const { ear } = send({ id: 1, method: 'x/y' })
    const sent = await way.next('x/y')
    sent.sink.head({ status: 200, contentType: 'json' })
    const text =
      '{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","n":1.50,"big":98765432109876543210}}'
    sent.sink.message({ message: JSON.parse(text), bytes: Buffer.from(text) })
    expect(Buffer.from(ear.messages[0]?.bytes ?? []).toString()).toBe(
      '{"jsonrpc":"2.0","id":1,"result":{"n":1.50,"big":98765432109876543210}}',
    )
  })

  test.each([
    ['an unknown method under 404', { code: -32601, message: 'x' }, 404, -32601, 0],
    ['a wrong version under 400', { code: -32022, message: 'x' }, 400, -32603, 1],
    ['a legacy refusal under 400', { code: -32000, message: 'x' }, 400, -32000, 1],
    ['an error of the tool', { code: -32000, message: 'x' }, 200, -32000, 0],
  ])(
    '%s is answered in the body, and doubts the era as it should',
    async (...[, error, status, code, doubts]) => {
      let doubted = 0
      const { way, send } = await open({ onEraDoubt: () => doubted++ })
      const { ear } = send({ id: 1, method: 'x/y' })
      say(await way.next('x/y')).error(error, status)
      expect(ear.heads).toEqual([{ status: 200, contentType: 'json' }])
      expect(ear.last).toMatchObject({ id: 1, error: { code } })
      expect({ ends: ear.ends, doubted }).toEqual({ ends: 1, doubted: doubts })
    },
  )

  test('a bare 404 is an error of the call and not of the session', async () => {
    let doubted = 0
    const { way, send } = await open({ onEraDoubt: () => doubted++ })
    for (const body of ['<html>', undefined]) {
      const { ear } = send({ id: 1, method: 'x/y' })
      const sent = way.sent.at(-1) as Sent
      say(sent).head(404, 'other')
      if (body !== undefined) say(sent).bare(body)
      else say(sent).end()
      expect(ear.heads).toEqual([{ status: 200, contentType: 'json' }])
      expect(ear.last).toMatchObject({ error: { code: -32000, message: 'The MCP server answered 404' } })
      expect(ear.ends).toBe(1)
    }
    expect(doubted).toBe(2)
  })

  test('trouble with the credential or the health of the server keeps its status', async () => {
    const { way, send } = await open()
    const { ear } = send({ id: 1, method: 'x/y' })
    say(await way.next('x/y')).head(503, 'other')
    expect(ear.heads).toEqual([{ status: 503, contentType: 'other' }])
    say(way.sent[0] as Sent).bare('oops')
    expect(ear.failure).toMatchObject({ stage: 'call', sent: true })
  })

  test('failures keep whether anything was sent', async () => {
    const { way, send, bridge } = await open()
    const { ear } = send({ id: 1, method: 'x/y' })
    const failure = { stage: 'process', message: 'gone', sent: false, gone: true } as const
    say(await way.next('x/y')).fail(failure)
    expect(ear.failure).toEqual(failure)
    expect(bridge.sizes).toEqual(nothing)
  })

  test('without a way fails as not sent, and not before it is in the hands of its caller', async () => {
    const { bridge } = await open({
      way: () => {
        throw new GatewayError('egress_denied')
      },
    })
    const ear = new Ear()
    bridge.send(clientRequest({ id: 1, method: 'x/y' }), ear)
    expect(ear.over).toBe(false)
    await until(() => ear.over)
    expect(ear.failure).toMatchObject({ stage: 'connect', sent: false })
    expect(bridge.sizes).toEqual(nothing)
  })

  test('an answer to another id, no JSON-RPC, or none at all is a failure', async () => {
    const { way, send, bridge } = await open()
    const faults: ((sent: Sent) => void)[] = [
      (sent) => say(sent).message({ id: 2, result: {} }),
      (sent) => say(sent).bare('hello'),
      (sent) => say(sent).end(),
    ]
    for (const [index, fault] of faults.entries()) {
      const { ear } = send({ id: 1, method: 'x/y' })
      const sent = await way.next('x/y', index + 1)
      say(sent).head()
      fault(sent)
      expect(ear.failure).toMatchObject({ stage: 'call', sent: true })
    }
    expect(bridge.sizes).toEqual(nothing)
  })

  test('an answer too deep to be written again is a failure and nothing worse', async () => {
    const { way, send } = await open()
    const { ear } = send({ id: 1, method: 'x/y' })
    const deep = `{"jsonrpc":"2.0","id":1,"result":{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}}`
    const { sink } = await way.next('x/y')
    sink.head({ status: 200, contentType: 'json' })
    sink.message({ message: JSON.parse(deep), bytes: Buffer.from(deep) })
    expect(ear.failure).toMatchObject({ message: "the server's answer nests too deeply" })
  })

  test('whose headers the server refuses is sent once more with a fresh schema', async () => {
    const asked: boolean[] = []
    const schema = { properties: { a: { type: 'string', 'x-mcp-header': 'A' } } }
    const { way, call, bridge } = await open({
      toolSchema: (_, fresh) => {
        asked.push(fresh)
        return fresh ? Promise.resolve(schema) : Promise.reject(new Error('unknown'))
      },
    })
    const { ear } = call(1, { name: 't', arguments: { a: 'x' } })
    say(await way.next('tools/call')).error({ code: -32020, message: 'm' }, 400)
    const again = await way.next('tools/call', 2)
    expect(again.request.headers['mcp-param-a']).toBe('x')
    say(again).error({ code: -32020, message: 'm' }, 400)
    expect(ear.last?.error?.code).toBe(-32603)
    expect(asked).toEqual([false, true])
    expect(bridge.sizes).toEqual(nothing)
  })

  test('can be in flight once by its id, and only so many at a time', async () => {
    const { way, send, bridge } = await open({ limits: { maxCalls: 2 } })
    send({ id: 1, method: 'x/y' })
    const refused = [send({ id: 1, method: 'x/y' })]
    send({ id: '1', method: 'x/y' })
    refused.push(send({ id: 3, method: 'x/y' }))
    await until(() => refused.every(({ ear }) => ear.over))
    for (const { ear } of refused) expect(ear.failure).toMatchObject({ sent: false })
    expect(way.sent.length).toBe(2)
    await bridge.close()
    expect(bridge.sizes).toEqual(nothing)
  })

  test('unknown notifications pass on, and so does what the server says to them', async () => {
    const { way, send } = await open()
    const { ear } = send({ method: 'notifications/x', params: { a: 1 } })
    const sent = await way.next('notifications/x')
    expect(paramsOf(sent)).toMatchObject({
      a: 1,
      _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' },
    })
    expect(sent.request.headers).toEqual({
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'notifications/x',
    })
    say(sent).head(202, 'none')
    say(sent).end()
    expect(ear).toMatchObject({ heads: [{ status: 202 }], ends: 1 })
  })
})

describe('backpressure', () => {
  test('reaches the server, in every round', async () => {
    const { way, call, send } = await open()
    const { ear, exchange } = call()
    const first = await way.next('tools/call')
    exchange.pause()
    expect(first.paused).toBe(true)
    say(first).result(needs({ q: form }))
    send({ id: ear.questions[0]?.id, result: { action: 'decline' } })
    const second = await way.next('tools/call', 2)
    expect(second.paused).toBe(true)
    exchange.resume()
    expect(second.paused).toBe(false)
  })
})

describe('an abort', () => {
  const stages: Record<string, (at: Awaited<ReturnType<typeof open>>, ear: Ear) => Promise<unknown>> = {
    'before the schema is known': () => Promise.resolve(),
    'before the head': ({ way }) => way.next('tools/call'),
    'in the stream': async ({ way }) => {
      const sent = await way.next('tools/call')
      say(sent).head(200, 'event-stream')
      say(sent).message({ method: 'notifications/message', params: {} })
    },
    'while the client is asked': async ({ way }) =>
      say(await way.next('tools/call')).result(needs({ q: form })),
    'while a round without questions waits': async ({ way }) =>
      say(await way.next('tools/call')).result({ resultType: 'input_required', requestState: 's' }),
    'in the second round': async ({ way, send }, ear) => {
      say(await way.next('tools/call')).result(needs({ q: form }))
      send({ id: ear.questions[0]?.id, result: { action: 'accept' } })
      await way.next('tools/call', 2)
    },
    'after the answer, in a stream that stays open': async ({ way }) => {
      const sent = await way.next('tools/call')
      say(sent).head(200, 'event-stream')
      say(sent).message({ id: 1, result: done })
    },
  }

  for (const multiplexed of [false, true])
    for (const [name, reach] of Object.entries(stages))
      test(`${name} silences everything and leaves nothing (${multiplexed ? 'one connection' : 'HTTP'})`, async () => {
        const session = await open({ multiplexed, limits: { pacingMs: 20 } })
        const { ear, exchange } = session.call()
        await reach(session, ear)
        const heard = ear.messages.length
        const asked = ear.questions
        exchange.abort()
        exchange.abort()
        expect(session.bridge.sizes).toEqual(nothing)
        for (const { id } of asked) session.send({ id, result: { action: 'accept' } })
        const calls = session.way.of('tools/call')
        for (const sent of calls) say(sent).result(done)
        await settle()
        expect({ heard: ear.messages.length, ends: ear.ends }).toEqual({ heard, ends: 0 })
        expect(session.way.of('tools/call').length).toBe(calls.length)
        const open_ = calls.filter(({ aborted }) => aborted).map(({ request }) => request.message.id)
        const told = session.way
          .of('notifications/cancelled')
          .map(({ request }) => request.message.params?.requestId)
        const unanswered = name.startsWith('after the answer') ? [] : open_
        expect(told).toEqual(multiplexed ? unanswered : [])
      })

  test("by the client's notification ends the exchange with the server, and the call's without an answer", async () => {
    const { way, call, send, bridge } = await open()
    const { ear } = call()
    const sent = await way.next('tools/call')
    send({ method: 'notifications/cancelled', params: { requestId: '1' } })
    expect(sent.aborted).toBe(false)
    const { ear: notice } = send({ method: 'notifications/cancelled', params: { requestId: 1 } })
    expect(sent.aborted).toBe(true)
    await until(() => ear.over && notice.over)
    expect(ear).toMatchObject({ messages: [], ends: 1, failure: undefined })
    expect(bridge.sizes).toEqual(nothing)
    expect(way.of('notifications/cancelled')).toEqual([])
  })

  test('right after that notification is heard of no more', async () => {
    const { way, call, send } = await open()
    const { ear, exchange } = call()
    await way.next('tools/call')
    send({ method: 'notifications/cancelled', params: { requestId: 1 } })
    exchange.abort()
    await settle()
    expect(ear).toMatchObject({ heads: [], ends: 0 })
  })
})

describe('input that the server asks for', () => {
  test('reaches the client as requests, and the answers the server as a retry', async () => {
    const { way, call, send, bridge } = await open()
    const { ear } = call(1, { name: 't', arguments: { n: 1 }, _meta: { progressToken: 'p' } })
    const sampling = { method: 'sampling/createMessage', params: { messages: [], maxTokens: 1 } }
    const asked = { name: form, llm: sampling, roots: { method: 'roots/list' }, __proto__x: form }
    say(await way.next('tools/call')).result(needs(asked, 'opaque \ud800'))
    expect(ear.heads).toEqual([{ status: 200, contentType: 'event-stream' }])
    expect(ear.questions.map(({ method }) => method)).toEqual([
      'elicitation/create',
      'sampling/createMessage',
      'roots/list',
      'elicitation/create',
    ])
    const answers = [
      { action: 'accept', content: { a: 1 } },
      { role: 'assistant' },
      { roots: [] },
      { action: 'cancel' },
    ]
    for (const [index, { id }] of ear.questions.entries()) {
      expect(way.of('tools/call').length).toBe(1)
      const { ear: accepted } = send({ id, result: answers[index] })
      await until(() => accepted.over)
      expect(accepted.heads).toEqual([{ status: 202, contentType: 'none' }])
    }
    const retry = await way.next('tools/call', 2)
    expect(retry.request.message.id).not.toBe(1)
    expect(paramsOf(retry)).toMatchObject({
      name: 't',
      arguments: { n: 1 },
      _meta: { progressToken: 'p' },
      requestState: 'opaque \ud800',
      inputResponses: { name: answers[0], llm: answers[1], roots: answers[2], __proto__x: answers[3] },
    })
    say(retry).result(done)
    expect(ear.last).toEqual({ jsonrpc: '2.0', id: 1, result: { content: done.content } })
    expect(ear.ends).toBe(1)
    expect(bridge.sizes).toEqual(nothing)
  })

  test('may take several rounds, each with its own answers and state', async () => {
    const { way, call, send } = await open()
    const { ear } = call()
    for (const round of [1, 2, 3]) {
      say(await way.next('tools/call', round)).result(needs({ [`q${round}`]: form }, `s${round}`))
      send({ id: ear.questions.at(-1)?.id, result: { action: 'accept', content: { round } } })
      const retry = await way.next('tools/call', round + 1)
      expect(paramsOf(retry)).toMatchObject({ requestState: `s${round}` })
      expect(paramsOf(retry).inputResponses).toEqual({
        [`q${round}`]: { action: 'accept', content: { round } },
      })
    }
    const ids = way.of('tools/call').map(({ request }) => request.message.id)
    expect(new Set(ids).size).toBe(4)
  })

  test('without a question is a retry after a pause', async () => {
    const { way, call } = await open()
    const { ear } = call()
    say(await way.next('tools/call')).result({ resultType: 'input_required', requestState: 's' })
    const retry = await way.next('tools/call', 2)
    expect(paramsOf(retry).requestState).toBe('s')
    expect(paramsOf(retry)).not.toHaveProperty('inputResponses')
    say(retry).result(done)
    expect(ear.heads).toEqual([{ status: 200, contentType: 'json' }])
  })

  test('a ninth round is refused', async () => {
    const { way, call, send, bridge } = await open()
    const { ear } = call()
    for (let round = 1; round <= 8; round++) {
      say(await way.next('tools/call', round)).result(needs({ q: form }))
      send({ id: ear.questions.at(-1)?.id, result: { action: 'decline' } })
    }
    say(await way.next('tools/call', 9)).result(needs({ q: form }))
    expect(ear.questions.length).toBe(8)
    expect(ear.last).toMatchObject({ id: 1, error: { code: 42202, data: { code: 'unprocessable' } } })
    expect(ear.last?.error?.message).toContain('more than 8 times')
    expect(ear.ends).toBe(1)
    expect(bridge.sizes).toEqual(nothing)
  })

  test.each([
    [{}, '2025-11-25', { q: form }, 'did not declare elicitation'],
    [everything, '2025-03-26', { q: form }, 'revision 2025-03-26'],
    [everything, '2025-11-25', {}, 'without saying what'],
  ])(
    'of %j in %s: %j is an error of the call, and nobody is asked',
    async (capabilities, version, asked, text) => {
      const { way, call, bridge } = await open({ capabilities, version })
      const { ear } = call()
      say(await way.next('tools/call')).result(needs(asked))
      expect(ear.questions).toEqual([])
      expect(ear.last?.error).toMatchObject({ code: 42202 })
      expect(ear.last?.error?.message).toContain(text)
      expect(bridge.sizes).toEqual(nothing)
    },
  )

  test('a client that answers with an error ends the call, and its other questions are taken back', async () => {
    const { way, call, send, bridge } = await open()
    const { ear } = call()
    say(await way.next('tools/call')).result(needs({ a: form, b: form }))
    const [first, second] = ear.questions
    send({ id: first?.id, error: { code: -1, message: 'User rejected' } })
    expect(ear.written.at(-2)).toMatchObject({
      method: 'notifications/cancelled',
      params: { requestId: second?.id },
    })
    expect(ear.last?.error?.message).toContain('User rejected')
    const late = send({ id: second?.id, result: {} })
    await until(() => late.ear.over)
    expect(late.ear.heads).toEqual([{ status: 202, contentType: 'none' }])
    expect(way.of('tools/call').length).toBe(1)
    expect(bridge.sizes).toEqual(nothing)
  })

  test('a client that never answers ends the call after the time of a round', async () => {
    const { way, call, bridge } = await open({ limits: { roundTimeoutMs: 10 } })
    const { ear } = call()
    say(await way.next('tools/call')).result(needs({ a: form }))
    await until(() => ear.over)
    expect(ear.last?.error?.message).toContain('did not answer')
    expect(bridge.sizes).toEqual(nothing)
  })

  test('a retry that cannot be sent is not told as a call that never ran', async () => {
    const { way, call, send } = await open()
    const { ear } = call()
    const first = await way.next('tools/call')
    say(first).result(needs({ a: form }))
    send({ id: ear.questions[0]?.id, result: { action: 'accept' } })
    say(await way.next('tools/call', 2)).fail({ stage: 'connect', message: 'x', sent: false })
    expect(ear.failure).toMatchObject({ sent: true })
  })

  test('a stream that breaks after the question does not end the call', async () => {
    const { way, call, send } = await open()
    const { ear } = call()
    const first = await way.next('tools/call')
    say(first).head(200, 'event-stream')
    say(first).message({ id: 1, result: needs({ a: form }) })
    say(first).fail({ stage: 'call', message: 'x', sent: true })
    send({ id: ear.questions[0]?.id, result: { action: 'accept' } })
    say(await way.next('tools/call', 2)).result(done)
    expect(ear).toMatchObject({ ends: 1, failure: undefined })
  })

  test("an id of the client's that looks like one of ours stays apart on a shared connection", async () => {
    const { way, call, send, bridge } = await open({ multiplexed: true })
    const { ear } = call('x')
    say(await way.next('tools/call')).result(needs({ a: form }))
    const taken = ['tollbridge-1', 'tollbridge-2', 'tollbridge-3']
    for (const id of taken) send({ id, method: 'x/y' })
    send({ id: ear.questions[0]?.id, result: { action: 'accept' } })
    const retry = await way.next('tools/call', 2)
    expect(taken).not.toContain(retry.request.message.id)
    say(retry).result(done)
    expect(ear.last?.id).toBe('x')
    expect(bridge.sizes).toMatchObject({ calls: 3, ids: 3, questions: 0 })
    await bridge.close()
    expect(bridge.sizes).toEqual(nothing)
  })
})

describe('the standing stream', () => {
  const acknowledge = (sent: Sent, notifications: object = paramsOf(sent).notifications) => {
    say(sent).head(200, 'event-stream')
    say(sent).message({
      method: 'notifications/subscriptions/acknowledged',
      params: { notifications, _meta: { 'io.modelcontextprotocol/subscriptionId': sent.request.message.id } },
    })
  }
  const change = (sent: Sent, method = 'notifications/tools/list_changed', params: object = {}) =>
    say(sent).message({
      method,
      params: { ...params, _meta: { 'io.modelcontextprotocol/subscriptionId': sent.request.message.id } },
    })

  async function listening(options: SessionOptions = {}) {
    const session = await open(options)
    const ear = new Ear()
    const stream = session.bridge.listen({}, ear)
    const first = await session.way.next('subscriptions/listen')
    return { ...session, ear, stream, first }
  }

  test('is one listen request; its notifications arrive in legacy words', async () => {
    const { ear, first, bridge, stream } = await listening()
    expect(ear.heads).toEqual([{ status: 200, contentType: 'event-stream' }])
    expect(first.request.headers).toEqual({
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'subscriptions/listen',
    })
    expect(paramsOf(first).notifications).toEqual({ toolsListChanged: true })
    acknowledge(first)
    say(first).bare('', ': ping\n\n')
    change(first)
    expect(ear.written).toEqual([{ jsonrpc: '2.0', method: 'notifications/tools/list_changed', params: {} }])
    expect(ear.messages.length).toBe(2)
    const second = new Ear()
    bridge.listen({}, second)
    await until(() => second.over)
    expect(second.failure).toMatchObject({ sent: false })
    stream.abort()
    expect(first.aborted).toBe(true)
    expect(bridge.sizes).toEqual(nothing)
  })

  test('before initialize waits for it', async () => {
    const way = new ScriptedWay()
    const bridge = new LegacyOverModern({ way: () => way, discover, toolSchema: async () => undefined })
    const ear = new Ear()
    bridge.listen({}, ear)
    await until(() => ear.heads.length === 1)
    expect(way.sent).toEqual([])
    const params = { protocolVersion: '2025-11-25', capabilities: {} }
    bridge.send(clientRequest({ id: 1, method: 'initialize', params }), new Ear())
    await way.next('subscriptions/listen')
    await bridge.close()
    expect(ear.ends).toBe(1)
    expect(bridge.sizes).toEqual(nothing)
  })

  test('a subscription is answered when the server hears for it, and the old stream ends only then', async () => {
    const { way, send, ear, first, bridge } = await listening()
    acknowledge(first)
    const { ear: subscribed } = send({ id: 1, method: 'resources/subscribe', params: { uri: 'a' } })
    const second = await way.next('subscriptions/listen', 2)
    await settle()
    expect({ over: subscribed.over, aborted: first.aborted }).toEqual({ over: false, aborted: false })
    change(first)
    acknowledge(second)
    expect(first.aborted).toBe(true)
    await until(() => subscribed.over)
    expect(subscribed.last).toMatchObject({ id: 1, result: {} })
    expect(paramsOf(second).notifications).toEqual({ toolsListChanged: true, resourceSubscriptions: ['a'] })
    change(second, 'notifications/resources/updated', { uri: 'a' })
    expect(ear.last).toEqual({
      jsonrpc: '2.0',
      method: 'notifications/resources/updated',
      params: { uri: 'a' },
    })
    expect(ear.messages.length).toBe(2)
    const again = send({ id: 2, method: 'resources/subscribe', params: { uri: 'a' } })
    await until(() => again.ear.over)
    expect(way.of('subscriptions/listen').length).toBe(2)
    await bridge.close()
    expect(bridge.sizes).toEqual(nothing)
  })

  test('many changes at once need two requests, and two streams at most', async () => {
    const { way, send, first } = await listening()
    acknowledge(first)
    const answers = ['a', 'b', 'c', 'd'].map((uri) =>
      send({ id: uri, method: 'resources/subscribe', params: { uri } }),
    )
    acknowledge(await way.next('subscriptions/listen', 2))
    const last = await way.next('subscriptions/listen', 3)
    expect(answers.every(({ ear }) => !ear.over)).toBe(true)
    acknowledge(last)
    await until(() => answers.every(({ ear }) => ear.over))
    expect(paramsOf(last).notifications.resourceSubscriptions).toEqual(['a', 'b', 'c', 'd'])
    expect(way.of('subscriptions/listen').length).toBe(3)
    expect(way.of('subscriptions/listen').filter(({ aborted }) => !aborted).length).toBe(1)
  })

  test('is opened again when the server ends it, breaks it or does not acknowledge it', async () => {
    const { way, first, ear, bridge } = await listening({ limits: { acknowledgeMs: 10 } })
    acknowledge(first)
    say(first).message({ id: first.request.message.id, result: { resultType: 'complete' } })
    const second = await way.next('subscriptions/listen', 2)
    say(second).fail({ stage: 'connect', message: 'x', sent: false })
    const third = await way.next('subscriptions/listen', 3)
    const fourth = await way.next('subscriptions/listen', 4)
    expect(third.aborted).toBe(true)
    acknowledge(fourth)
    change(fourth)
    expect(ear.written.length).toBe(1)
    expect(ear.over).toBe(false)
    await bridge.close()
    const count = way.sent.length
    await settle()
    expect(way.sent.length).toBe(count)
  })

  test.each([
    ['does not know the method', (sent: Sent) => say(sent).error({ code: -32601, message: 'x' }, 404)],
    [
      'agrees to nothing',
      (sent: Sent) => {
        acknowledge(sent, {})
        say(sent).message({ id: sent.request.message.id, result: {} })
      },
    ],
  ])('is not asked for again of a server that %s, until the filter changes', async (_, refuse) => {
    const { way, send, first, ear } = await listening()
    refuse(first)
    await settle()
    expect(way.of('subscriptions/listen').length).toBe(1)
    expect(ear.over).toBe(false)
    send({ id: 1, method: 'resources/subscribe', params: { uri: 'a' } })
    await way.next('subscriptions/listen', 2)
  })

  test('whose server ends it while its successor begins is not opened a third time', async () => {
    const { way, send, first } = await listening()
    acknowledge(first)
    send({ id: 1, method: 'resources/subscribe', params: { uri: 'a' } })
    const second = await way.next('subscriptions/listen', 2)
    say(first).end()
    await settle()
    acknowledge(second)
    await settle()
    expect(way.of('subscriptions/listen').length).toBe(2)
    expect(second.aborted).toBe(false)
  })

  test('that the server has ended is not cancelled on a shared connection', async () => {
    const { way, first } = await listening({ multiplexed: true })
    acknowledge(first)
    say(first).message({ id: first.request.message.id, result: { resultType: 'complete' } })
    await way.next('subscriptions/listen', 2)
    expect(way.of('notifications/cancelled')).toEqual([])
  })

  test('stays open without a request where the server has nothing to say', async () => {
    const { way, bridge } = await open({ discover: { capabilities: { tools: {} } } })
    const ear = new Ear()
    bridge.listen({}, ear)
    await settle()
    expect(way.sent).toEqual([])
    expect(ear).toMatchObject({ heads: [{ status: 200 }], ends: 0 })
    await bridge.close()
    expect(ear.ends).toBe(1)
  })

  test('passes backpressure on, to its successor too', async () => {
    const { way, send, first, stream } = await listening()
    acknowledge(first)
    stream.pause()
    expect(first.paused).toBe(true)
    send({ id: 1, method: 'resources/subscribe', params: { uri: 'a' } })
    const second = await way.next('subscriptions/listen', 2)
    expect(second.paused).toBe(false)
    acknowledge(second)
    expect(second.paused).toBe(true)
    stream.resume()
    expect(second.paused).toBe(false)
  })

  test('on a shared connection gets what names it, wherever it arrives', async () => {
    const { way, call, first, ear, bridge } = await listening({ multiplexed: true })
    acknowledge(first)
    const { ear: calling } = call()
    const sent = await way.next('tools/call')
    const named = (id: unknown) => ({
      method: 'notifications/tools/list_changed',
      params: { _meta: { 'io.modelcontextprotocol/subscriptionId': id } },
    })
    say(sent).message(named(first.request.message.id))
    say(sent).message(named('somebody else'))
    expect(ear.written.length).toBe(1)
    expect(calling.messages).toEqual([])
    await bridge.close()
    expect(way.of('notifications/cancelled').map(({ request }) => request.message.params?.requestId)).toEqual(
      [sent.request.message.id, first.request.message.id],
    )
    expect(bridge.sizes).toEqual(nothing)
  })
})

describe('the end of the session', () => {
  test('fails what is in flight, ends the stream, closes the way, and refuses what comes later', async () => {
    const { way, bridge, call, send } = await open()
    const stream = new Ear()
    bridge.listen({}, stream)
    const calls = [call(1), call(2)]
    await way.next('tools/call', 2)
    say(way.of('tools/call')[1] as Sent).result(needs({ q: form }))
    send({ id: 3, method: 'resources/subscribe', params: { uri: 'a' } })
    expect(await bridge.endSession()).toBe(200)
    await bridge.close()
    for (const { ear } of calls)
      expect(ear).toMatchObject({ ends: 1, failure: { message: 'The session was closed.' } })
    expect(stream).toMatchObject({ ends: 1, failure: undefined })
    expect(way.closed).toBe(1)
    expect(bridge.sizes).toEqual(nothing)
    const late = [send({ id: 4, method: 'ping' }), send({ method: 'notifications/x' })]
    const listener = new Ear()
    bridge.listen({}, listener)
    await until(() => late.every(({ ear }) => ear.over) && listener.over)
    for (const ear of [...late.map((one) => one.ear), listener])
      expect(ear.failure).toMatchObject({ sent: false })
    expect(bridge.sizes).toEqual(nothing)
  })
})
