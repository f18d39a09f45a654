// What a client's bytes may be: one message that every parser reads alike, or a refusal that says why.
import { describe, expect, test } from 'vitest'
import { GatewayError } from '../base/errors.ts'
import { isNotification, isRequest, isResponse } from './json-rpc.ts'
import { parseMessage } from './parse.ts'

const parse = (text: string | Uint8Array) =>
  parseMessage(typeof text === 'string' ? Buffer.from(text) : text, 64)
const codeOf = (text: string | Uint8Array): string => {
  const read = parse(text)
  return read instanceof GatewayError ? read.code : 'ok'
}
const call = (rest: string): string => `{"jsonrpc":"2.0","id":1,"method":"tools/call"${rest}}`
const withId = (id: string): string => `{"jsonrpc":"2.0","id":${id},"method":"m"}`

describe('a message', () => {
  test.each([
    ['', 'parse_error'],
    ['{', 'parse_error'],
    ['nope', 'parse_error'],
    ["{'jsonrpc':'2.0'}", 'parse_error'],
    ['{"jsonrpc":"2.0","id":1,"method":"m"} x', 'parse_error'],
    ['\ufeff{"jsonrpc":"2.0","id":1,"method":"m"}', 'parse_error'],
    ['{"jsonrpc":"2.0","method":"m","method"', 'parse_error'],
    ['null', 'invalid_request'],
    ['"text"', 'invalid_request'],
    ['[]', 'invalid_request'],
    [`[${withId('1')}]`, 'invalid_request'],
    ['{}', 'invalid_request'],
    ['{"jsonrpc":"1.0","id":1,"method":"m"}', 'invalid_request'],
    ['{"jsonrpc":2.0,"id":1,"method":"m"}', 'invalid_request'],
    ['{"jsonrpc":"2.0","id":1}', 'invalid_request'],
    ['{"jsonrpc":"2.0","result":{}}', 'invalid_request'],
    ['{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}', 'invalid_request'],
    ['{"jsonrpc":"2.0","id":1,"method":""}', 'invalid_request'],
    ['{"jsonrpc":"2.0","id":1,"method":7}', 'invalid_request'],
    [`{"jsonrpc":"2.0","id":1,"method":"${'m'.repeat(257)}"}`, 'invalid_request'],
    [call(',"params":[]'), 'invalid_request'],
    [call(',"params":"x"'), 'invalid_request'],
    [call(',"params":null'), 'invalid_request'],
    [call(',"params":{"name":"ok","Name":"secret"}'), 'invalid_request'],
    [call(',"params":{"name":"ok","name":"secret"}'), 'invalid_request'],
    [call(',"params":{"name":"ok","na\\u006de":"secret"}'), 'invalid_request'],
    [call(',"params":{"name":"ok"},"params":{"name":"secret"}'), 'invalid_request'],
    [call(',"Method":"tools/list"'), 'invalid_request'],
    [call(`,"params":${'['.repeat(10_000)}${']'.repeat(10_000)}`), 'invalid_request'],
    [`${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`, 'invalid_request'],
    [call(''), 'ok'],
    [call(',"params":{"name":"ok","arguments":{"name":1,"Name":2}}'), 'ok'],
    [call(',"extra":{"kept":true}'), 'ok'],
    ['{"jsonrpc":"2.0","method":"notifications/x"}', 'ok'],
    ['{"jsonrpc":"2.0","id":"1","result":{}}', 'ok'],
    ['{"jsonrpc":"2.0","id":"1","error":{"code":1,"message":""}}', 'ok'],
  ])('%#: %s is %s', (text, code) => {
    expect(codeOf(text)).toBe(code)
  })

  test.each([
    ['1', 'ok'],
    ['0', 'ok'],
    ['-1', 'ok'],
    ['"1"', 'ok'],
    ['""', 'ok'],
    ['9007199254740991', 'ok'],
    ['9007199254740993', 'invalid_request'],
    ['1.5', 'invalid_request'],
    ['1e400', 'invalid_request'],
    ['null', 'invalid_request'],
    ['true', 'invalid_request'],
    ['{}', 'invalid_request'],
    ['[1]', 'invalid_request'],
  ])('with the id %s is %s', (id, code) => {
    expect(codeOf(withId(id))).toBe(code)
  })

  test('that is no UTF-8 is refused, since its tool name would depend on the parser', () => {
    const bytes = Buffer.from(call(',"params":{"name":"dea?r"}'))
    bytes[bytes.indexOf('?')] = 0xff
    expect(codeOf(bytes)).toBe('parse_error')
  })

  test('with a lone surrogate is carried as it is', () => {
    expect(parse(call(',"params":{"name":"a\\ud800b"}'))).toMatchObject({ params: { name: 'a\ud800b' } })
  })

  test('with __proto__ changes no object', () => {
    const message = parse(
      call(',"params":{"__proto__":{"name":"secret","role":"admin"}},"__proto__":{"id":9}'),
    )
    expect(message).not.toBeInstanceOf(GatewayError)
    if (message instanceof GatewayError) return
    expect([message.id, message.params?.['name']]).toEqual([1, undefined])
    expect(({} as { role?: string }).role).toBeUndefined()
  })

  test('of the deepest nesting that is allowed passes, one level more does not', () => {
    const nested = (levels: number) => call(`,"params":{"a":${'['.repeat(levels)}${']'.repeat(levels)}}`)
    expect([codeOf(nested(62)), codeOf(nested(63))]).toEqual(['ok', 'invalid_request'])
  })

  test('is a request, a notification or a response, and only one of them', () => {
    const kinds = [
      withId('1'),
      '{"jsonrpc":"2.0","method":"m"}',
      '{"jsonrpc":"2.0","id":1,"result":{}}',
      '{"jsonrpc":"2.0","id":1,"method":"m","result":{}}',
    ].map((text) => {
      const message = parse(text)
      if (message instanceof GatewayError) throw message
      return [isRequest(message), isNotification(message), isResponse(message)]
    })
    expect(kinds).toEqual([
      [true, false, false],
      [false, true, false],
      [false, false, true],
      [true, false, false],
    ])
  })

  test('reads the bytes of a view, not of the whole buffer behind it', () => {
    const whole = Buffer.from(`xx${withId('5')}yy`)
    expect(parse(new Uint8Array(whole.buffer, whole.byteOffset + 2, whole.length - 4))).toMatchObject({
      id: 5,
    })
  })
})
