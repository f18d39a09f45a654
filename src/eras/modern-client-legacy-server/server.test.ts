// Guarantees of the conversions between a modern client and a legacy server.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { JsonRpcMessage, JsonRpcRequest } from '../../wire/json-rpc.ts'
import {
  progressTokenOf,
  requestRefusal,
  toLegacyNotification,
  toLegacyRequest,
  toModernAnswer,
  withProgressToken,
  type AnswerContext,
} from './calls.ts'
import { discoverResult, initializeParams, readInitializeResult } from './server.ts'
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
    const clientInfo = { name: 'c', version: '1', 'x/own': true }
    const client = { capabilities: { sampling: { tools: {} }, 'x/own': { a: 1 } }, clientInfo }
    expect(initializeParams(client)).toEqual({ protocolVersion: '2025-11-25', ...client })
  })

  test('initialize has a name and a version also for callers who do not say who they are', () => {
    const infoOf = (clientInfo: object) =>
      initializeParams({ capabilities: {}, clientInfo: clientInfo as never })['clientInfo']
    expect(infoOf({})).toEqual({ name: 'unknown', version: 'unknown' })
    expect(infoOf({ name: 7, version: '2', title: 'T' })).toEqual({
      name: 'unknown',
      version: '2',
      title: 'T',
    })
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
          const kept = { ...meta, ...(token !== undefined && { progressToken: id }) }
          expect(_meta ?? {}).toEqual(kept)
          expect(legacy.id).toBe(id)
        },
      ),
      { seed, numRuns: runs(300) },
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
  ])('%s is refused before it is sent', (...[, meta, method, status, code]) => {
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
      { seed, numRuns: runs(300) },
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
