// Guarantees of the conversions between a modern client and a legacy server.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { JsonRpcMessage, JsonRpcRequest } from '../wire/json-rpc.ts'
import {
  progressTokenOf,
  requestRefusal,
  toLegacyNotification,
  toLegacyRequest,
  toModernAnswer,
  withProgressToken,
  type AnswerContext,
} from './modern-client-legacy-server-calls.ts'
import {
  inputRequiredResult,
  isInputResponse,
  judgeServerRequest,
  toLegacyResponse,
} from './modern-client-legacy-server-inputs.ts'
import {
  acknowledged,
  changeKey,
  forListener,
  honoured,
  isHeard,
  listenClosed,
  missedChanges,
  readFilter,
} from './modern-client-legacy-server-listening.ts'
import { isLogFor, logLevelOf, lowestLevel } from './modern-client-legacy-server-logs.ts'
import { checkState, requestDigest, stateText } from './modern-client-legacy-server-state.ts'
import { discoverResult, initializeParams, readInitializeResult } from './modern-client-legacy-server.ts'

const seed = Date.now() % 2 ** 31
console.log(`seed ${seed}`)

const prefix = 'io.modelcontextprotocol/'
const envelope = {
  [`${prefix}protocolVersion`]: '2026-07-28',
  [`${prefix}clientCapabilities`]: { elicitation: {} },
  [`${prefix}clientInfo`]: { name: 'client', version: '1' },
}
const serverInfo = { name: 'old', version: '9' }

const request = (method: string, params: object = {}, meta: object = {}): JsonRpcRequest => ({
  jsonrpc: '2.0',
  id: 'caller-1',
  method,
  params: { ...params, _meta: { ...envelope, ...meta } },
})

const contextOf = (method: string, more: Partial<AnswerContext> = {}): AnswerContext => ({
  request: request(method),
  serverInfo,
  capabilities: {},
  missing: undefined,
  ...more,
})

const answer = (result: object): JsonRpcMessage => ({ jsonrpc: '2.0', id: 7, result: result as never })
const failed = (code: number, data?: unknown): JsonRpcMessage => ({
  jsonrpc: '2.0',
  id: 7,
  error: { code, message: 'no', ...(data !== undefined && { data }) },
})

describe('opening a conversation', () => {
  test('initialize offers the newest legacy revision and exactly what the caller declares', () => {
    const client = { capabilities: { sampling: { tools: {} }, 'x/own': { a: 1 } }, clientInfo: { name: 'c' } }
    expect(initializeParams(client)).toEqual({ protocolVersion: '2025-11-25', ...client })
  })

  test('server/discover tells what initialize told, unknown members included, and is never shared', () => {
    const server = readInitializeResult(
      answer({
        protocolVersion: '2025-06-18',
        capabilities: {
          tools: { listChanged: true },
          logging: {},
          extensions: { 'a/b': {} },
          tasks: { list: {} },
          'x/own': {},
        },
        serverInfo,
        instructions: 'be kind',
        future: 1,
        _meta: { 'x/note': true },
      }),
    )
    expect(server && discoverResult(server)).toEqual({
      resultType: 'complete',
      supportedVersions: ['2026-07-28'],
      capabilities: {
        tools: { listChanged: true },
        logging: {},
        extensions: { 'a/b': {} },
        'x/own': {},
      },
      instructions: 'be kind',
      future: 1,
      ttlMs: 0,
      cacheScope: 'private',
      _meta: { 'x/note': true, [`${prefix}serverInfo`]: serverInfo },
    })
  })

  test.each([undefined, failed(-32600), answer({}), answer({ protocolVersion: '2026-07-28' })])(
    'what is no InitializeResult of a legacy server opens nothing: %j',
    (message) => expect(readInitializeResult(message)).toBeUndefined(),
  )
})

describe('a request', () => {
  test('loses the envelope and what belongs to a retry, and keeps everything else', () => {
    const asked = request(
      'tools/call',
      { name: 't', arguments: { a: 1 }, inputResponses: { x: {} }, requestState: 's', future: [1] },
      {
        progressToken: 'mine',
        traceparent: '00-x',
        [`${prefix}logLevel`]: 'info',
        'tollbridge/report': true,
        [`${prefix}related-task`]: 1,
      },
    )
    expect(toLegacyRequest(asked, 42)).toEqual({
      jsonrpc: '2.0',
      id: 42,
      method: 'tools/call',
      params: {
        name: 't',
        arguments: { a: 1 },
        future: [1],
        _meta: {
          progressToken: 42,
          traceparent: '00-x',
          'tollbridge/report': true,
          [`${prefix}related-task`]: 1,
        },
      },
    })
  })

  test('of another method keeps members that only look like those of a retry', () => {
    const legacy = toLegacyRequest(request('x/own', { requestState: 5, inputResponses: 'a' }), 1)
    expect(legacy.params).toEqual({ requestState: 5, inputResponses: 'a' })
  })

  test('asks for no progress where the caller does not', () => {
    expect(toLegacyRequest(request('tools/list'), 3)).toEqual({
      jsonrpc: '2.0',
      id: 3,
      method: 'tools/list',
      params: {},
    })
    expect(progressTokenOf(request('tools/list'))).toBeUndefined()
  })

  test('whatever it holds, only the id, the envelope, the token and what belongs to a retry change', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.constantFrom('tools/call', 'tools/list', 'x/unknown'),
        fc.integer({ min: 1 }),
        (params, meta, method, id) => {
          const { _meta: _, requestState: __, inputResponses: ___, ...own } = params
          const legacy = toLegacyRequest(request(method, own, meta), id)
          const { _meta, ...rest } = legacy.params ?? {}
          expect(rest).toEqual(own)
          const token = meta['progressToken']
          const wants = typeof token === 'string' || typeof token === 'number'
          const kept = { ...meta, ...(wants && { progressToken: id }) }
          expect(_meta ?? {}).toEqual(kept)
          expect(legacy.id).toBe(id)
        },
      ),
      { seed, numRuns: 300 },
    )
  })

  test('a notification loses the envelope only', () => {
    const { id: _, ...notification } = request('notifications/x', { a: 1 }, { 'x/y': 2 })
    expect(toLegacyNotification(notification)).toEqual({
      jsonrpc: '2.0',
      method: 'notifications/x',
      params: { a: 1, _meta: { 'x/y': 2 } },
    })
  })

  const v = `${prefix}protocolVersion`
  test.each([
    ['without a version', { [v]: undefined }, 'tools/list', 400, -32602],
    ['of a revision that is not served', { [v]: '2027-01-01' }, 'tools/list', 400, -32022],
    ['without capabilities', { [`${prefix}clientCapabilities`]: 1 }, 'tools/list', 400, -32602],
    ['with an unknown log level', { [`${prefix}logLevel`]: 'loud' }, 'tools/list', 400, -32602],
    ['of the handshake', {}, 'initialize', 404, -32601],
    ['that would change the conversation', {}, 'logging/setLevel', 404, -32601],
    ['that would subscribe for everybody', {}, 'resources/subscribe', 404, -32601],
    ['for a legacy task', {}, 'tasks/list', 404, -32601],
  ])('%s is refused before it is sent', (_, meta, method, status, code) => {
    const refusal = requestRefusal(request(method, {}, meta))
    expect(refusal).toMatchObject({ status, error: { code } })
  })

  test('the refusal of a revision names those that are served', () => {
    expect(requestRefusal(request('x', {}, { [v]: '2027-01-01' }))?.error.data).toEqual({
      supported: ['2026-07-28'],
      requested: '2027-01-01',
    })
  })

  test.each([
    { inputResponses: null },
    { inputResponses: { a: 5 } },
    { inputResponses: [] },
    { requestState: 7 },
  ])('with %j is refused as invalid', (params) => {
    expect(requestRefusal(request('tools/call', params))).toMatchObject({ error: { code: -32602 } })
  })

  test.each(['tools/call', 'server/discover', 'completion/complete', 'x/unknown'])('%s passes', (method) => {
    expect(requestRefusal(request(method))).toBeUndefined()
  })
})

describe('an answer', () => {
  test.each([
    ['tools/list', true],
    ['prompts/list', true],
    ['resources/list', true],
    ['resources/templates/list', true],
    ['resources/read', true],
    ['tools/call', false],
    ['x/unknown', false],
  ])('of %s says whether it may be kept: %s', (method, isCacheable) => {
    const { message, status } = toModernAnswer(answer({ a: [1], isError: true }), contextOf(method))
    expect(status).toBe(200)
    expect(message).toEqual({
      jsonrpc: '2.0',
      id: 'caller-1',
      result: {
        a: [1],
        isError: true,
        resultType: 'complete',
        ...(isCacheable && { ttlMs: 0, cacheScope: 'private' }),
        _meta: { [`${prefix}serverInfo`]: serverInfo },
      },
    })
  })

  test('keeps what the server says itself', () => {
    const own = {
      resultType: 'x',
      ttlMs: 5,
      cacheScope: 'public',
      _meta: { [`${prefix}serverInfo`]: 'me', a: 1 },
    }
    expect(toModernAnswer(answer(own), contextOf('tools/list')).message.result).toEqual(own)
  })

  test('whatever a result holds, nothing of it is lost or changed', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (result) => {
        const { _meta: _, ...rest } =
          toModernAnswer(answer(result), contextOf('tools/call')).message.result ?? {}
        const { _meta: __, ...own } = result
        expect(rest).toEqual({ resultType: 'complete', ...own })
      }),
      { seed, numRuns: 300 },
    )
  })

  test.each([
    [-32002, -32602, 200],
    [-32601, -32601, 404],
    [-32602, -32602, 200],
    [-32603, -32603, 200],
    [-32000, -32000, 200],
    [-32021, -32603, 200],
    [-32099, -32603, 200],
    [40200, 40200, 200],
  ])('error %i becomes %i under HTTP %i', (code, expected, status) => {
    const { message, ...rest } = toModernAnswer(failed(code, { a: 1 }), contextOf('resources/read'))
    expect(rest.status).toBe(status)
    expect(message).toEqual({
      jsonrpc: '2.0',
      id: 'caller-1',
      error: { code: expected, message: 'no', data: { a: 1 } },
    })
  })

  test('an error after the server asked for an undeclared capability names that capability', () => {
    const missing = { sampling: {} }
    const { status, message } = toModernAnswer(failed(-32603), contextOf('tools/call', { missing }))
    expect(status).toBe(400)
    expect(message.error).toEqual({ code: -32021, message: 'no', data: { requiredCapabilities: missing } })
  })

  const elicitations = [{ mode: 'url', url: 'https://x', message: 'm', elicitationId: 'e' }]
  test('a required URL elicitation becomes a round of its own, without the legacy id', () => {
    const context = contextOf('tools/call', { capabilities: { elicitation: { url: {} } } })
    const { message } = toModernAnswer(failed(-32042, { elicitations }), context)
    expect(message.result).toMatchObject({
      resultType: 'input_required',
      inputRequests: {
        'url-1': { method: 'elicitation/create', params: { mode: 'url', url: 'https://x', message: 'm' } },
      },
    })
    expect(JSON.stringify(message)).not.toContain('elicitationId')
    expect(message.result).not.toHaveProperty('requestState')
  })

  test('a required URL elicitation that the caller cannot do names the capability', () => {
    const context = contextOf('tools/call', { capabilities: { elicitation: {} } })
    const { status, message } = toModernAnswer(failed(-32042, { elicitations }), context)
    expect(status).toBe(400)
    expect(message.error).toMatchObject({
      code: -32021,
      data: { requiredCapabilities: { elicitation: { url: {} } } },
    })
  })

  test('progress goes by the token of the caller', () => {
    const progress = {
      jsonrpc: '2.0',
      method: 'notifications/progress',
      params: { progressToken: 7, progress: 1 },
    }
    expect(withProgressToken(progress as JsonRpcMessage, 'mine').params).toEqual({
      progressToken: 'mine',
      progress: 1,
    })
  })
})

describe('a request of the server', () => {
  const judge = (asked: string, params: object, capabilities: object, method = 'tools/call') =>
    judgeServerRequest(
      { jsonrpc: '2.0', id: 1, method: asked, params: params as never },
      { method, capabilities: capabilities as never },
    )

  test.each([
    ['elicitation/create', { mode: 'form' }, { elicitation: {} }, 'ask'],
    ['elicitation/create', {}, { elicitation: { form: {} } }, 'ask'],
    ['elicitation/create', {}, { elicitation: { url: {} } }, 'refuse'],
    ['elicitation/create', { mode: 'url' }, { elicitation: {} }, 'refuse'],
    ['elicitation/create', { mode: 'url' }, { elicitation: { url: {} } }, 'ask'],
    ['elicitation/create', {}, { sampling: {} }, 'refuse'],
    ['sampling/createMessage', {}, { sampling: {} }, 'ask'],
    ['sampling/createMessage', { tools: [] }, { sampling: {} }, 'refuse'],
    ['sampling/createMessage', { tools: [] }, { sampling: { tools: {} } }, 'ask'],
    ['sampling/createMessage', {}, { elicitation: {} }, 'refuse'],
    ['roots/list', {}, { roots: {} }, 'ask'],
    ['roots/list', {}, {}, 'refuse'],
    ['ping', {}, {}, 'answer'],
    ['x/unknown', {}, { roots: {}, sampling: {}, elicitation: {} }, 'refuse'],
  ])('%s with %j to a caller that declares %j: %s', (asked, params, capabilities, kind) => {
    expect(judge(asked, params, capabilities).kind).toBe(kind)
  })

  test.each(['tools/call', 'prompts/get', 'resources/read'])('may be asked during %s', (method) => {
    expect(judge('roots/list', {}, { roots: {} }, method).kind).toBe('ask')
  })

  test.each(['tools/list', 'completion/complete', 'x/own'])('is refused during %s', (method) => {
    const verdict = judge('roots/list', {}, { roots: {} }, method)
    expect(verdict.kind).toBe('refuse')
    expect(verdict).not.toHaveProperty('requiredCapabilities')
  })

  test('reaches the caller without what the modern era does not know, and otherwise whole', () => {
    const params = {
      mode: 'url',
      url: 'u',
      message: 'm',
      elicitationId: 'e',
      task: { ttl: 1 },
      future: 1,
      _meta: { progressToken: 3, 'x/y': 1 },
    }
    expect(judge('elicitation/create', params, { elicitation: { url: {} } })).toEqual({
      kind: 'ask',
      input: {
        method: 'elicitation/create',
        params: { mode: 'url', url: 'u', message: 'm', future: 1, _meta: { 'x/y': 1 } },
      },
    })
  })

  test('is asked with the state to come back with', () => {
    expect(inputRequiredResult({ a: { method: 'roots/list', params: {} } }, 's')).toEqual({
      resultType: 'input_required',
      inputRequests: { a: { method: 'roots/list', params: {} } },
      requestState: 's',
    })
  })

  test.each([
    ['elicitation/create', { action: 'accept', content: {} }, true],
    ['elicitation/create', { action: 'maybe' }, false],
    ['elicitation/create', {}, false],
    ['sampling/createMessage', { role: 'assistant', content: {}, model: 'm' }, true],
    ['sampling/createMessage', { model: 'm' }, false],
    ['roots/list', { roots: [] }, true],
    ['roots/list', { roots: {} }, false],
    ['roots/list', 5, false],
  ])('%s is answered by %j: %s', (method, response, isOne) => {
    expect(isInputResponse({ method, params: {} }, response)).toBe(isOne)
  })

  test('gets the answer under its own id', () => {
    expect(toLegacyResponse('s-1', { action: 'accept', resultType: 'complete' })).toEqual({
      jsonrpc: '2.0',
      id: 's-1',
      result: { action: 'accept' },
    })
  })
})

describe('a subscription', () => {
  const can = {
    tools: { listChanged: true },
    prompts: {},
    resources: { subscribe: true, listChanged: true },
  }
  const updated = (uri: string): JsonRpcMessage => ({
    jsonrpc: '2.0',
    method: 'notifications/resources/updated',
    params: { uri },
  })

  test('hears what the server can tell, and nothing that was not asked for', () => {
    const wanted = readFilter(
      {
        notifications: {
          toolsListChanged: true,
          promptsListChanged: true,
          resourceSubscriptions: ['a', 'a', 'b/'],
          taskIds: ['t'],
        },
      },
      10,
    )
    if (typeof wanted === 'string') throw new Error(wanted)
    const filter = honoured(wanted, can)
    expect(filter).toEqual({ toolsListChanged: true, resourceSubscriptions: ['a', 'b/'] })
    const heard = (message: JsonRpcMessage) => isHeard(message, filter)
    expect(heard({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' })).toBe(true)
    expect(heard({ jsonrpc: '2.0', method: 'notifications/resources/list_changed' })).toBe(false)
    expect([updated('a'), updated('a/1'), updated('b/1')].map(heard)).toEqual([true, true, true])
    expect([updated('ab'), updated('b'), updated('c')].map(heard)).toEqual([false, false, false])
    expect(missedChanges(filter).map(changeKey)).toEqual([
      'notifications/tools/list_changed',
      'notifications/resources/updated a',
      'notifications/resources/updated b/',
    ])
  })

  test.each([
    { notifications: 5 },
    { notifications: { resourceSubscriptions: 'a' } },
    { notifications: { resourceSubscriptions: [1] } },
    { notifications: { resourceSubscriptions: ['a', 'b', 'c'] } },
  ])('with %j is refused in a sentence', (params) => {
    expect(readFilter(params, 2)).toBeTypeOf('string')
  })

  test('names itself by the id of the listen request on every message', () => {
    const key = `${prefix}subscriptionId`
    expect(acknowledged(1, { toolsListChanged: true }).params).toEqual({
      notifications: { toolsListChanged: true },
      _meta: { [key]: 1 },
    })
    expect(
      forListener({ ...updated('a'), params: { uri: 'a', _meta: { b: 1, [key]: 9 } } }, 'x').params,
    ).toEqual({
      uri: 'a',
      _meta: { b: 1, [key]: 'x' },
    })
    expect(listenClosed('x', serverInfo).result).toEqual({
      resultType: 'complete',
      _meta: { [`${prefix}serverInfo`]: serverInfo, [key]: 'x' },
    })
  })
})

describe('a log level', () => {
  const log = (level: string): JsonRpcMessage => ({
    jsonrpc: '2.0',
    method: 'notifications/message',
    params: { level },
  })

  test('lets through what is at least as severe, and nothing where none was asked for', () => {
    expect(isLogFor(log('error'), 'warning')).toBe(true)
    expect(isLogFor(log('warning'), 'warning')).toBe(true)
    expect(isLogFor(log('info'), 'warning')).toBe(false)
    expect(isLogFor(log('emergency'), undefined)).toBe(false)
    expect(isLogFor(log('odd'), 'debug')).toBe(false)
  })

  test('of a conversation is the lowest that anybody wants', () => {
    expect(lowestLevel(['error', undefined, 'notice'])).toBe('notice')
    expect(lowestLevel([undefined])).toBeUndefined()
    expect(logLevelOf(request('x', {}, { [`${prefix}logLevel`]: 'alert' }))).toBe('alert')
  })
})

describe('requestState', () => {
  const asked = request('tools/call', { name: 't', arguments: { a: 1, b: [{ c: 2, d: 3 }] } })
  const state = { key: 'k', principalTag: 'me', digest: requestDigest(asked), expiresAtMs: 100 }
  const retry = { request: asked, principalTag: 'me', nowMs: 50 }

  test('opens for the same request of the same principal in time', () => {
    const again = request(
      'tools/call',
      { arguments: { b: [{ d: 3, c: 2 }], a: 1 }, name: 't', inputResponses: { x: {} }, requestState: 's' },
      { progressToken: 9 },
    )
    expect(checkState(stateText(state), { ...retry, request: { ...again, id: 'another' } })).toEqual({
      key: 'k',
    })
  })

  test.each([
    ['that was changed', undefined, retry],
    ['of another principal', stateText(state), { ...retry, principalTag: 'you' }],
    ['that is over', stateText(state), { ...retry, nowMs: 100 }],
    ['of another tool', stateText(state), { ...retry, request: request('tools/call', { name: 'u' }) }],
    ['of another method', stateText(state), { ...retry, request: { ...asked, method: 'prompts/get' } }],
    ['that is no state', '{}', retry],
    ['that is no JSON', 'x', retry],
  ])('%s is refused in a sentence', (_, text, given) => {
    const checked = checkState(text, given)
    expect('fault' in checked && checked.fault).toMatch(/requestState .*; .*\.$/)
  })

  test('two requests have one digest only where they ask for the same', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        const digest = (value: unknown) => requestDigest(request('tools/call', { arguments: value as never }))
        const same = JSON.stringify(sortKeys(a)) === JSON.stringify(sortKeys(b))
        expect(digest(a) === digest(b)).toBe(same)
      }),
      {
        seed,
        numRuns: 500,
        examples: [
          [
            { a: 1, b: 2 },
            { b: 2, a: 1 },
          ],
          [{ a: 1 }, [['a', 1]]],
        ],
      },
    )
  })
})

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sortKeys(inner)]),
  )
}
