// Guarantees of what a modern client is asked and hears of a legacy server: input, changes, logs, and the state of a call.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { JsonRpcMessage, JsonRpcRequest } from '../../wire/json-rpc.ts'
import { readFilter } from '../change-filter.ts'
import { inputRequiredResult, isInputResponse, judgeServerRequest, toLegacyResponse } from './inputs.ts'
import {
  acknowledged,
  changeKey,
  forListener,
  honoured,
  isHeard,
  listenClosed,
  missedChanges,
} from './listening.ts'
import { isLogFor, logLevelOf, lowestLevel } from './logs.ts'
import { checkState, requestDigest, stateText } from './state.ts'
import { runs } from '../../../test/harness/fuzz.ts'

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
        numRuns: runs(500),
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
