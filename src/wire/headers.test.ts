// Mirrored headers carry any value unchanged, and a value that could be read in two ways is refused.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { JsonRpcMessage } from './json-rpc.ts'
import { decodeHeaderValue, encodeHeaderValue, mirroredName } from './headers.ts'
import { mirroredParams, paramMismatch } from './param-headers.ts'
import { answerOutcome } from './outcome.ts'
import { isModernVersion, legacyVersions, modernVersions } from './protocol-version.ts'
import { runs } from '../../test/harness/fuzz.ts'

describe('a header value', () => {
  test('comes back as it was, whatever it is, and is safe to send', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (value) => {
        const encoded = encodeHeaderValue(value)
        expect(encoded).toMatch(/^[\x20-\x7e]+$/)
        expect(decodeHeaderValue(encoded)).toBe(value.toWellFormed())
        expect(decodeHeaderValue(` \t${encoded}\t `)).toBe(value.toWellFormed())
      }),
      { numRuns: runs(1000) },
    )
  })

  test.each([
    ['plain', 'plain'],
    ['two words', 'two words'],
    ['', '=?base64??='],
    [' padded', '=?base64?IHBhZGRlZA==?='],
    ['=?base64?eA==?=', '=?base64?PT9iYXNlNjQ/ZUE9PT89?='],
    ['a\r\nX-Evil: 1', '=?base64?YQ0KWC1FdmlsOiAx?='],
    ['é', '=?base64?w6k=?='],
  ])('%j is written as %s', (value, encoded) => {
    expect(encodeHeaderValue(value)).toBe(encoded)
  })

  test.each([
    '=?base64?eA?=',
    '=?base64?=',
    '=?base64?eA=?=',
    '=?base64?e A=?=',
    '=?base64?eB==?=',
    '=?base64?****?=',
    '=?base64?_-==?=',
    '=?base64?/w==?=',
    '=?base64?eA==?=?=',
  ])('%s is no value', (value) => {
    expect(decodeHeaderValue(value)).toBeUndefined()
  })

  test.each(['=?BASE64?eA==?=', '=?base64?eA==', 'x=?base64?eA==?=', '=?utf-8?q?x?='])(
    '%s is plain',
    (value) => {
      expect(decodeHeaderValue(value)).toBe(value)
    },
  )
})

test.each([
  ['tools/call', { name: 'a', uri: 'b', taskId: 'c' }, 'a'],
  ['prompts/get', { name: 'a' }, 'a'],
  ['resources/read', { name: 'a', uri: 'b' }, 'b'],
  ['tasks/get', { taskId: 'c' }, 'c'],
  ['tasks/update', { taskId: 'c' }, 'c'],
  ['tasks/cancel', { taskId: 'c' }, 'c'],
  ['tools/list', { name: 'a' }, undefined],
  ['tools/call', { name: 7 }, undefined],
  ['tools/call', undefined, undefined],
  ['constructor', { name: 'a' }, undefined],
  ['__proto__', { name: 'a' }, undefined],
])('Mcp-Name of %s mirrors %j as %s', (method, params, name) => {
  const message = { jsonrpc: '2.0', id: 1, method, ...(params && { params }) } as const
  expect(mirroredName(message)).toBe(name)
})

describe('a mirrored parameter', () => {
  const mirrored = mirroredParams({
    type: 'object',
    properties: {
      region: { type: 'string', 'x-mcp-header': 'Region' },
      plain: { type: 'string' },
      deep: { type: 'object', properties: { size: { type: 'integer', 'x-mcp-header': 'Size' } } },
      list: { type: 'array', items: { type: 'string', 'x-mcp-header': 'Not' } },
      any: { anyOf: [{ type: 'string', 'x-mcp-header': 'Neither' }] },
    },
  })

  test('is found by properties alone', () => {
    expect(mirrored).toEqual([
      { path: ['region'], header: 'mcp-param-region', isNumber: false },
      { path: ['deep', 'size'], header: 'mcp-param-size', isNumber: true },
    ])
    expect(mirroredParams(undefined)).toEqual([])
    expect(mirroredParams({ 'x-mcp-header': 'Root', properties: 7 })).toEqual([])
  })

  test('is looked for to a limited depth', () => {
    let schema: object = { 'x-mcp-header': 'Deep' }
    for (let level = 0; level < 10_000; level++) schema = { properties: { a: schema } }
    expect(mirroredParams(schema)).toEqual([])
  })

  test.each([
    [{ region: 'eu' }, { 'mcp-param-region': 'eu' }, undefined],
    [{ region: 'é' }, { 'mcp-param-region': '=?base64?w6k=?=' }, undefined],
    [{ deep: { size: 5 } }, { 'mcp-param-size': '5' }, undefined],
    [{ deep: { size: 5 } }, { 'mcp-param-size': '5.0' }, undefined],
    [{ deep: { size: 2 ** 53 } }, {}, undefined],
    [{ deep: { size: 2 ** 53 } }, { 'mcp-param-size': '1' }, 'disagrees'],
    [{ deep: { size: 16 } }, { 'mcp-param-size': '0x10' }, 'disagrees'],
    [{ deep: { size: 50 } }, { 'mcp-param-size': '5e1' }, 'disagrees'],
    [{ region: 5 }, { 'mcp-param-region': '5.0' }, 'disagrees'],
    [{ region: true }, { 'mcp-param-region': 'true' }, undefined],
    [{}, {}, undefined],
    [undefined, {}, undefined],
    [{ region: null }, {}, undefined],
    [{ region: ['eu'] }, {}, undefined],
    [{ plain: 'x' }, { 'mcp-param-other': 'y' }, undefined],
    [{ region: 'eu' }, { 'mcp-param-region': 'us' }, 'disagrees'],
    [{ region: 'eu' }, { 'mcp-param-region': 'EU' }, 'disagrees'],
    [{ region: 'eu' }, {}, 'missing'],
    [{ region: 'eu' }, { 'mcp-param-region': ['eu', 'us'] }, 'missing'],
    [{}, { 'mcp-param-region': 'eu' }, 'absent'],
    [{ region: ['eu'] }, { 'mcp-param-region': 'eu' }, 'no plain value'],
    [{ region: 'eu' }, { 'mcp-param-region': '=?base64?*?=' }, 'base64'],
    [{ deep: { size: 5 } }, { 'mcp-param-size': '6' }, 'disagrees'],
    [{ deep: { size: 0 } }, { 'mcp-param-size': '' }, 'disagrees'],
    [{ deep: 'x' }, { 'mcp-param-size': '5' }, 'absent'],
  ])('%j with %j: %s', (args, headers, fault) => {
    const found = paramMismatch(mirrored, args, headers)
    if (fault === undefined) expect(found).toBeUndefined()
    else expect(found).toContain(fault)
  })
})

type Answered = Pick<JsonRpcMessage, 'result' | 'error'>
const outcomes: [Answered, object][] = [
  [{ result: {} }, { outcome: 'success', refused: false }],
  [{ result: { isError: false } }, { outcome: 'success', refused: false }],
  [{ result: { isError: 'true' } }, { outcome: 'success', refused: false }],
  [{ result: { isError: true } }, { outcome: 'tool_error', refused: false }],
  [{ error: { code: -32603, message: 'x' } }, { outcome: 'error', refused: false, error: '-32603 x' }],
  ...[-32700, -32600, -32601, -32602].map((code): [Answered, object] => [
    { error: { code, message: 'x' } },
    { outcome: 'error', refused: true, error: `${code} x` },
  ]),
]

test.each(outcomes)('the outcome of %j', (answer, outcome) => {
  expect(answerOutcome({ jsonrpc: '2.0', id: 1, ...answer })).toEqual(outcome)
})

test('a long error message is cut in the record', () => {
  const answer = { jsonrpc: '2.0', id: 1, error: { code: 1, message: 'x'.repeat(10_000) } } as const
  expect(answerOutcome(answer).error?.length).toBe(500)
})

test('every revision is on its side of the line', () => {
  expect(legacyVersions.filter(isModernVersion)).toEqual([])
  expect(modernVersions.every(isModernVersion)).toBe(true)
  expect(isModernVersion('2027-01-01')).toBe(true)
})
