// Numbers survive a bridge as their sender wrote them.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { JsonRpcMessage } from '../wire/json-rpc.ts'
import { exactly } from './exact-json.ts'

const rewrite = (text: string): string =>
  JSON.stringify(exactly(JSON.parse(text) as JsonRpcMessage, Buffer.from(text)))

test.each([
  '{"id":12345678901234567890}',
  '{"params":{"a":1.0,"b":[1e3,-0,0.10,2.50E+10],"c":"1.0"}}',
  '{"params":{"__proto__":1.0,"text":"\\ud800 \\"1.0\\""}}',
])('%s is written again as it came', (text) => {
  expect(rewrite(text)).toBe(text)
})

test('a message without such numbers is not read twice', () => {
  const message: JsonRpcMessage = { jsonrpc: '2.0', id: 1, result: { a: 17 } }
  expect(exactly(message, Buffer.from(JSON.stringify(message)))).toBe(message)
})

test('any JSON is written again as JSON.stringify wrote it', () => {
  fc.assert(
    fc.property(fc.json(), (json) => {
      const text = JSON.stringify({ value: JSON.parse(json) as unknown })
      expect(rewrite(text)).toBe(text)
    }),
  )
})
