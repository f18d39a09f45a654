// Random JSON-RPC messages: ours and the official SDK's reading of what each is, but for the differences that are wanted.
import {
  isJSONRPCErrorResponse,
  isJSONRPCNotification,
  isJSONRPCRequest,
  isJSONRPCResultResponse,
} from '@modelcontextprotocol/server'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { runs } from '../../test/harness/fuzz.ts'
import { GatewayError } from '../base/errors.ts'
import { isObject } from '../base/is-object.ts'
import { isNotification, isRequest, isResponse } from './json-rpc.ts'
import { parseMessage } from './parse.ts'

const seed = Date.now() % 2 ** 31
console.log(`fast-check seed ${seed}`)

type Kind = 'request' | 'notification' | 'response' | 'refused'
type Body = Readonly<Record<string, unknown>>

function ours(body: unknown): Kind {
  const message = parseMessage(Buffer.from(JSON.stringify(body)), 64)
  if (message instanceof GatewayError) return 'refused'
  const kinds = {
    request: isRequest(message),
    notification: isNotification(message),
    response: isResponse(message),
  }
  const own = Object.entries(kinds).flatMap(([kind, is]) => (is ? [kind as Kind] : []))
  // One message has one meaning.
  expect(own).toHaveLength(1)
  return own[0] ?? 'refused'
}

function theirs(body: unknown): Kind {
  if (isJSONRPCRequest(body)) return 'request'
  if (isJSONRPCNotification(body)) return 'notification'
  return isJSONRPCResultResponse(body) || isJSONRPCErrorResponse(body) ? 'response' : 'refused'
}

const absent = fc.constant(undefined)
const odd = fc.constantFrom<unknown>(null, 7, true, 'x', '', [], {}, [{}])
const member = (...likely: readonly unknown[]) =>
  fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...likely) },
    { weight: 4, arbitrary: absent },
    { weight: 1, arbitrary: odd },
    { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
  )
const seldom = (arbitrary: fc.Arbitrary<unknown>) =>
  fc.oneof({ weight: 9, arbitrary: absent }, { weight: 1, arbitrary })
const methods = ['tools/call', 'm', 'initialize', 'notifications/x', 'é', 'm'.repeat(256), 'm'.repeat(257)]
const params = member(
  {},
  { name: 'a' },
  { _meta: {} },
  { _meta: { progressToken: 1 } },
  { _meta: { progressToken: {} } },
)
const result = member({}, { isError: true }, { _meta: 7 })
const error = member({ code: 1, message: 'x' }, { code: 'x' }, { message: 'x' })
const common = {
  jsonrpc: fc.oneof({ weight: 9, arbitrary: fc.constant('2.0') }, member('1.0', '2')),
  id: member(1, 0, -1, 'a', '', 1.5, 2 ** 53 - 1, 2 ** 53),
  extra: seldom(member(1)),
}
const bodies = fc.oneof(
  fc.record({ ...common, method: member(...methods), params, result: seldom(result), error: seldom(error) }),
  fc.record({ ...common, method: seldom(member(...methods)), params: seldom(params), result, error }),
)
/** As a body says it: without what is undefined. */
const read = (value: unknown): unknown => JSON.parse(JSON.stringify(value)) as unknown

const known = new Set(['jsonrpc', 'id', 'method', 'params', 'result', 'error'])
const is = (asked: { our: Kind; their: Kind }, our: Kind, their: Kind): boolean =>
  asked.our === our && asked.their === their

interface Difference {
  readonly allows: (body: Body, verdicts: { our: Kind; their: Kind }) => boolean
  readonly example: Body
}
const base = { jsonrpc: '2.0', id: 1 }

const wanted: Record<string, Difference> = {
  'members that nobody knows are carried': {
    allows: (body, { our, their }) =>
      our !== 'refused' && their === 'refused' && Object.keys(body).some((name) => !known.has(name)),
    example: { ...base, method: 'm', extra: 1 },
  },
  'with a method it is a request or notification, whatever else it holds': {
    allows: ({ method, result, error }, { our, their }) =>
      method !== undefined &&
      our !== 'response' &&
      their === 'refused' &&
      (result !== undefined || error !== undefined),
    example: { ...base, method: 'm', result: {} },
  },
  'what an answer holds is left to whoever asked': {
    allows: ({ method }, verdicts) => method === undefined && is(verdicts, 'response', 'refused'),
    example: { ...base, result: [] },
  },
  'what _meta holds is left to the server': {
    allows: ({ params }, { our, their }) =>
      isObject(params) &&
      params['_meta'] !== undefined &&
      (our === 'request' || our === 'notification') &&
      their === 'refused',
    example: { ...base, method: 'm', params: { _meta: { progressToken: {} } } },
  },
  'an answer without an id answers nothing': {
    allows: ({ id }, verdicts) => id === undefined && is(verdicts, 'refused', 'response'),
    example: { jsonrpc: '2.0', error: { code: 1, message: 'x' } },
  },
  'a method has a name of up to 256 characters': {
    allows: ({ method }, { our, their }) =>
      typeof method === 'string' &&
      (method === '' || method.length > 256) &&
      our === 'refused' &&
      their !== 'response',
    example: { ...base, method: '' },
  },
}

describe('a random message', () => {
  test('is to us what it is to the official SDK, but for what is wanted', () => {
    const agreed: Record<Kind, number> = { request: 0, notification: 0, response: 0, refused: 0 }
    fc.assert(
      fc.property(bodies, (made) => {
        const body = read(made) as Body
        const verdicts = { our: ours(body), their: theirs(body) }
        if (verdicts.our === verdicts.their) agreed[verdicts.our]++
        else if (!Object.values(wanted).some(({ allows }) => allows(body, verdicts)))
          expect({ body, ...verdicts }).toBe('the same verdict')
      }),
      { seed, numRuns: runs(5000) },
    )
    for (const [kind, count] of Object.entries(agreed)) expect([kind, count > runs(50)]).toEqual([kind, true])
  })

  test.each(Object.entries(wanted))('difference: %s', (_, { allows, example }) => {
    const verdicts = { our: ours(example), their: theirs(example) }
    expect(verdicts.our).not.toBe(verdicts.their)
    expect(allows(example, verdicts)).toBe(true)
  })

  test('that is any JSON at all is a message to both or to neither, and is refused with a code', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect([ours(value), theirs(read(value))]).toEqual(['refused', 'refused'])
        const refusal = parseMessage(Buffer.from(JSON.stringify(value)), 64)
        expect(refusal).toBeInstanceOf(GatewayError)
        expect(refusal).toMatchObject({ code: 'invalid_request' })
      }),
      { seed, numRuns: runs(1000) },
    )
  })

  test('that was damaged on its way is refused, or is what JSON.parse reads', () => {
    const splice = fc.tuple(fc.nat(), fc.nat({ max: 3 }), fc.uint8Array({ maxLength: 3 }))
    fc.assert(
      fc.property(bodies, fc.array(splice, { minLength: 1, maxLength: 3 }), (made, splices) => {
        let bytes = Buffer.from(JSON.stringify(made))
        for (const [at, gone, put] of splices) {
          const place = at % (bytes.length + 1)
          bytes = Buffer.concat([bytes.subarray(0, place), put, bytes.subarray(place + gone)])
        }
        const message = parseMessage(bytes, 64)
        if (message instanceof GatewayError)
          expect(['parse_error', 'invalid_request']).toContain(message.code)
        else
          expect(message).toEqual(
            JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)),
          )
      }),
      { seed, numRuns: runs(3000) },
    )
  })
})
