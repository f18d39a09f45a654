// A legacy client's messages mean the same at a modern server, and nothing of the modern era reaches it.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { JsonRpcMessage, JsonRpcRequest } from '../wire/json-rpc.ts'
import { mirroredParams, paramMismatch } from '../wire/param-headers.ts'
import { isModernVersion } from '../wire/protocol-version.ts'
import { classify } from './classify.ts'
import type { Json } from './json-object.ts'
import {
  initializeResult,
  legacyAnswer,
  legacyError,
  modernHeaders,
  modernMessage,
  readClient,
} from './legacy-client-modern-server.ts'
import { newestRevision } from './revisions.ts'

const serverInfo = { name: 'fixture', version: '1', icons: [] }
const capabilities = {
  tools: { listChanged: true },
  resources: { subscribe: true },
  logging: {},
  completions: {},
  extensions: { 'com.example/x': { a: 1 } },
  'com.example/new': { b: 2 },
}
const discovered: Json = {
  supportedVersions: ['2027-01-01', '2026-07-28'],
  capabilities,
  instructions: 'be kind',
  resultType: 'complete',
  ttlMs: 5,
  cacheScope: 'private',
  _meta: { 'io.modelcontextprotocol/serverInfo': serverInfo, other: 1 },
}
const initialize = (protocolVersion: unknown, more: Json = {}): JsonRpcMessage => ({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion, capabilities: { roots: {} }, clientInfo: { name: 'c', version: '2' }, ...more },
})
const client = readClient(initialize('2025-06-18'), discovered)
const request = (method: string, params?: Json): JsonRpcRequest => ({
  jsonrpc: '2.0',
  id: 7,
  method,
  ...(params && { params }),
})

describe('initialize', () => {
  test.each([
    ['2024-11-05', '2024-11-05'],
    ['2025-03-26', '2025-03-26'],
    ['2025-06-18', '2025-06-18'],
    ['2025-11-25', '2025-11-25'],
    ['2024-10-07', '2025-11-25'],
    ['2026-07-28', '2025-11-25'],
    [undefined, '2025-11-25'],
  ])('that asks for %s gets %s', (asked, answered) => {
    const negotiated = readClient(initialize(asked), discovered)
    expect(initializeResult(discovered, negotiated)['protocolVersion']).toBe(answered)
    expect(negotiated.modernVersion).toBe('2026-07-28')
  })

  test('tells all that the discovery told, and nothing of the modern era', () => {
    expect(initializeResult(discovered, client)).toEqual({
      protocolVersion: '2025-06-18',
      capabilities,
      serverInfo,
      instructions: 'be kind',
      _meta: { other: 1 },
    })
  })

  test('names a server that does not name itself', () => {
    const result = initializeResult({ supportedVersions: [] }, client)
    expect(result).toEqual({
      protocolVersion: '2025-06-18',
      capabilities: {},
      serverInfo: { name: 'unnamed', version: 'unknown' },
    })
  })
})

describe('a request', () => {
  const meta = (message: JsonRpcMessage): Json => message.params?.['_meta'] as Json

  test('says again what initialize said once, and keeps the metadata of its own', () => {
    const own = { progressToken: 3, traceparent: 't', 'io.modelcontextprotocol/clientInfo': 'forged' }
    expect(meta(modernMessage(request('tools/list', { cursor: 'c', _meta: own }), client))).toEqual({
      progressToken: 3,
      traceparent: 't',
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': { roots: {} },
      'io.modelcontextprotocol/clientInfo': { name: 'c', version: '2' },
      'io.modelcontextprotocol/logLevel': 'info',
    })
  })

  test('asks for no log of a server that has none', () => {
    const quiet = readClient(initialize('2025-06-18', { clientInfo: undefined }), { capabilities: {} })
    expect(Object.keys(meta(modernMessage(request('tools/list'), quiet)))).toEqual([
      'io.modelcontextprotocol/protocolVersion',
      'io.modelcontextprotocol/clientCapabilities',
    ])
  })

  test('has the headers that mirror it', () => {
    const inputSchema = {
      type: 'object',
      properties: {
        region: { type: 'string', 'x-mcp-header': 'Region' },
        deep: { type: 'object', properties: { n: { type: 'integer', 'x-mcp-header': 'N' } } },
        absent: { type: 'string', 'x-mcp-header': 'Absent' },
        whole: { type: 'object', 'x-mcp-header': 'Whole' },
        flag: { type: 'boolean', 'x-mcp-header': 'Flag' },
      },
    }
    const args = { region: 'Zürich', deep: { n: 4 }, whole: {}, flag: false }
    const call = request('tools/call', { name: 'größe', arguments: args })
    const headers = modernHeaders(call, client, inputSchema)
    expect(headers).toEqual({
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': '=?base64?Z3LDtsOfZQ==?=',
      'mcp-param-region': '=?base64?WsO8cmljaA==?=',
      'mcp-param-n': '4',
      'mcp-param-flag': 'false',
    })
    expect(paramMismatch(mirroredParams(inputSchema), args, headers)).toBeUndefined()
  })

  test('of any kind keeps its id and every unknown member, and passes the check for modern requests', () => {
    const requests = fc.record({
      id: fc.oneof(fc.string(), fc.maxSafeInteger()),
      method: fc.oneof(
        fc.constantFrom('tools/call', 'resources/read', 'tasks/get'),
        fc.stringMatching(/^[!-~]+$/),
      ),
      params: fc.dictionary(fc.string(), fc.jsonValue()),
      extra: fc.jsonValue(),
    })
    fc.assert(
      fc.property(requests, ({ id, method, params, extra }) => {
        fc.pre(method !== 'initialize')
        const message = { jsonrpc: '2.0', id, method, params, 'x-extra': extra } as JsonRpcRequest
        const modern = modernMessage(message, client)
        const { _meta: given, ...rest } = params
        const { _meta: sent, ...sentRest } = modern.params ?? {}
        expect({ ...modern, params: sentRest }).toEqual({ ...message, params: rest })
        if (typeof given === 'object' && given !== null && !Array.isArray(given))
          expect(sent).toMatchObject(
            Object.fromEntries(
              Object.entries(given).filter(([key]) => !key.startsWith('io.modelcontextprotocol/')),
            ),
          )
        const headers = modernHeaders(message, client)
        const verdict = classify(modern, {
          protocolVersion: headers['mcp-protocol-version'],
          method: headers['mcp-method'],
          name: headers['mcp-name'],
        })
        expect(verdict).toEqual({ kind: 'era', era: 'modern', version: '2026-07-28' })
        const answer = { jsonrpc: '2.0', id: 'other', result: { ...params, resultType: 'complete' } } as const
        const { _meta: ___, ...back } =
          legacyAnswer({ ...message, method: 'x' }, answer, newestRevision).result ?? {}
        const { resultType: ____, ...expected } = rest
        expect(back).toEqual(expected)
      }),
    )
  })
})

describe('an answer', () => {
  const answered = (method: string, result: Json): JsonRpcMessage =>
    legacyAnswer(request(method), { jsonrpc: '2.0', id: 'upstream', result }, newestRevision)

  test('comes under the id of the client and without what only modern clients read', () => {
    const modern = {
      resultType: 'complete',
      ttlMs: 1,
      cacheScope: 'public',
      tools: [],
      x: 1,
      _meta: { 'io.modelcontextprotocol/serverInfo': serverInfo },
    }
    expect(answered('tools/list', modern)).toEqual({ jsonrpc: '2.0', id: 7, result: { tools: [], x: 1 } })
  })

  test('keeps what is of an extension', () => {
    const task = { resultType: 'task', taskId: 't', ttlMs: 9, _meta: { a: 1 }, content: [] }
    expect(answered('tools/call', task).result).toEqual(task)
  })
})

describe('an error', () => {
  test.each([
    ['resources/read', { code: -32602, message: 'x', data: { uri: 'a' } }, -32002],
    ['resources/read', { code: -32602, message: 'Resource a not found' }, -32002],
    ['resources/read', { code: -32602, message: 'uri must be a string' }, -32602],
    ['tools/call', { code: -32602, message: 'Tool a not found' }, -32602],
    ['tools/call', { code: -32020, message: 'x' }, -32603],
    ['tools/call', { code: -32021, message: 'x', data: { requiredCapabilities: { sampling: {} } } }, -32603],
    ['tools/call', { code: -32022, message: 'x' }, -32603],
    ['tools/call', { code: -32099, message: 'x' }, -32603],
    ['tools/call', { code: -32000, message: 'x' }, -32000],
    ['tools/call', { code: 42, message: 'x' }, 42],
  ])('of %s: %j has the code %i', (method, error, code) => {
    const told = legacyError(request(method), error)
    expect(told.code).toBe(code)
    expect(told.data).toEqual('data' in error ? error.data : undefined)
  })

  test('for a missing capability names it', () => {
    const error = { code: -32021, message: 'x', data: { requiredCapabilities: { sampling: {} } } }
    expect(legacyError(request('tools/call'), error).message).toContain('did not declare: sampling;')
  })
})

test('the versions told upstream are modern', () => {
  expect(isModernVersion(client.modernVersion)).toBe(true)
})
