// A conversation over several connections: the handshake is repeated unseen, nothing else is sent twice, nobody waits in vain.
import { beforeEach, describe, expect, test } from 'vitest'
import { GatewayError } from '../../base/errors.ts'
import { Conversation } from './conversation.ts'

// Tests read whatever shape they expect.
// oxlint-disable-next-line typescript/no-explicit-any
type Json = any

let toClient: Json[]
let toGateway: Json[]
let refusals: number
let conversation: Conversation
beforeEach(() => {
  toClient = []
  toGateway = []
  refusals = 0
  conversation = new Conversation({
    toClient: (text) => toClient.push(JSON.parse(text)),
    toGateway: (bytes) => toGateway.push(JSON.parse(Buffer.from(bytes).toString())),
    onRefused: () => refusals++,
  })
})

const bytes = (message: unknown) => Buffer.from(JSON.stringify(message))
const client = (message: object) => conversation.clientSays(bytes(message))
const gateway = (message: object) => conversation.gatewaySays(bytes(message))
const request = (id: unknown, method = 'tools/call', params: object = {}) => ({
  jsonrpc: '2.0',
  id,
  method,
  params,
})
const result = (id: unknown, of = 'done') => ({ jsonrpc: '2.0', id, result: { of } })
const initialize = request(0, 'initialize', { clientInfo: { name: 'c' } })
const initialized = { jsonrpc: '2.0', method: 'notifications/initialized' }
const cancelled = (requestId: unknown) => ({
  jsonrpc: '2.0',
  method: 'notifications/cancelled',
  params: { requestId },
})
const away = new GatewayError('upstream_unavailable')
const sinceThen = (list: Json[]) => list.splice(0)

function shakeHands(): void {
  conversation.connected()
  client(initialize)
  gateway(result(0, 'hello'))
  client(initialized)
  toClient.length = toGateway.length = 0
}

describe('while there is a connection', () => {
  test('messages pass in both directions, as they are', () => {
    shakeHands()
    client(request('a'))
    gateway(request('q', 'roots/list'))
    client(result('q'))
    gateway(result('a'))
    expect(toGateway).toEqual([request('a'), result('q')])
    expect(toClient).toEqual([request('q', 'roots/list'), result('a')])
    expect(conversation.settled).toBe(true)
  })

  test('a message of several lines is one line to the client', () => {
    const lines: string[] = []
    const one = new Conversation({
      toClient: (text) => lines.push(text),
      toGateway: () => {},
      onRefused: () => {},
    })
    one.connected()
    one.gatewaySays(Buffer.from('{\r\n "jsonrpc": "2.0",\n "method": "a\\nb"}'))
    expect(lines).toEqual(['{  "jsonrpc": "2.0",  "method": "a\\nb"}'])
  })

  test('a line that is no JSON is answered as such, and goes no further', () => {
    conversation.connected()
    conversation.clientSays(Buffer.from('{"jsonrpc"'))
    conversation.clientSays(Buffer.from('7'))
    expect(toClient.map(({ id, error }) => [id, error.code])).toEqual([
      [null, -32700],
      [null, -32700],
    ])
    expect(toGateway).toEqual([])
  })

  test('an answer that nobody waits for, and a cancellation of what is not there, are dropped', () => {
    shakeHands()
    client(result('never asked'))
    client(cancelled('never sent'))
    client(request(1))
    client(cancelled(1))
    expect(toGateway).toEqual([request(1), cancelled(1)])
  })

  test('the end of the input waits for answers, but not for a stream without an end', () => {
    conversation.connected()
    client(request('l', 'subscriptions/listen'))
    expect(conversation.settled).toBe(true)
    client(request(1))
    expect(conversation.settled).toBe(false)
    gateway({ jsonrpc: '2.0', id: 1, error: { code: 1, message: 'no' } })
    expect(conversation.settled).toBe(true)
  })
})

describe('before the first connection', () => {
  test('messages wait in their order', () => {
    client(initialize)
    client(initialized)
    client(request(1))
    expect([toGateway, conversation.queuedBytes > 0, conversation.settled]).toEqual([[], true, false])
    conversation.connected()
    expect(toGateway).toEqual([initialize, initialized, request(1)])
    expect([conversation.queuedBytes, conversation.greeting]).toEqual([0, false])
  })

  test('what is cancelled while it waits is never sent', () => {
    client(request(1))
    client(request('1'))
    client(cancelled(1))
    conversation.connected()
    expect(toGateway).toEqual([request('1')])
  })

  test('who waits is told once there will be none, and who asks later too', () => {
    client(initialize)
    client(initialized)
    conversation.giveUp(away)
    client(request(1))
    client(cancelled(1))
    expect(toClient.map(({ id, error }) => [id, error.data.code])).toEqual([
      [0, 'upstream_unavailable'],
      [1, 'upstream_unavailable'],
    ])
    expect([conversation.failed, conversation.queuedBytes]).toEqual([2, 0])
    conversation.connected()
    client(request(2))
    expect(toGateway).toEqual([request(2)])
  })
})

describe('when the connection breaks off', () => {
  test('what is in flight is answered as perhaps run, and never sent again', () => {
    shakeHands()
    client(request(1))
    client([request(2), request(3)])
    conversation.lost()
    expect(sinceThen(toClient).map(({ id, error }) => [id, error.data.mayHaveRun])).toEqual([
      [1, true],
      [2, true],
      [3, true],
    ])
    toGateway.length = 0
    conversation.connected()
    gateway(result(0))
    expect(toGateway).toEqual([initialize, initialized])
    expect(toClient).toEqual([])
  })

  test("the client's handshake is repeated, unseen, before anything else", () => {
    shakeHands()
    conversation.lost()
    client(request(1))
    conversation.connected()
    expect([sinceThen(toGateway), conversation.greeting]).toEqual([[initialize], true])
    client(request(2))
    gateway({ jsonrpc: '2.0', method: 'notifications/message' })
    expect(toGateway).toEqual([])
    gateway(result(0, 'hello again'))
    expect(toGateway).toEqual([initialized, request(1), request(2)])
    expect(toClient).toEqual([{ jsonrpc: '2.0', method: 'notifications/message' }])
    // The same id is a new request's afterwards.
    client(request(0))
    gateway(result(0, 'mine'))
    expect(toClient.at(-1)).toEqual(result(0, 'mine'))
  })

  test('a handshake that was not answered yet is sent again, and its answer is seen once', () => {
    conversation.connected()
    client(initialize)
    conversation.lost()
    expect(toClient).toEqual([])
    conversation.connected()
    expect(toGateway).toEqual([initialize, initialize])
    gateway(result(0))
    expect(toClient).toEqual([result(0)])
  })

  test('a handshake that was refused is not repeated; one that is refused now ends the connection', () => {
    conversation.connected()
    client(initialize)
    gateway({ jsonrpc: '2.0', id: 0, error: { code: 1, message: 'no' } })
    conversation.lost()
    toGateway.length = 0
    conversation.connected()
    expect(toGateway).toEqual([])
    shakeHands()
    conversation.lost()
    conversation.connected()
    gateway({ jsonrpc: '2.0', id: 0, error: { code: 1, message: 'no' } })
    expect([refusals, toClient.length]).toEqual([1, 0])
  })

  test("questions of the lost connection are withdrawn, and answers to them are nobody's", () => {
    shakeHands()
    gateway(request(7, 'elicitation/create'))
    toClient.length = 0
    conversation.lost()
    expect(toClient).toMatchObject([{ method: 'notifications/cancelled', params: { requestId: 7 } }])
    client(result(7))
    conversation.connected()
    gateway(result(0))
    toGateway.length = 0
    client(result(7))
    gateway(request(7, 'elicitation/create'))
    client(result(7, 'new'))
    expect(toGateway).toEqual([result(7, 'new')])
  })

  test('a client of the modern era has no handshake to repeat', () => {
    conversation.connected()
    client(request(1, 'server/discover'))
    conversation.lost()
    toGateway.length = 0
    client(request(2))
    conversation.connected()
    expect(toGateway).toEqual([request(2)])
  })
})
