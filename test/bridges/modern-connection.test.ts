// Callers of one connection with the same ids, tokens and subscriptions each hear what is theirs alone.
import { beforeEach, expect, test } from 'vitest'
import { GatewayError } from '../../src/base/errors.ts'
import { ModernConnection } from '../../src/bridges/modern-connection.ts'
import type { UpstreamSink } from '../../src/upstreams/upstream.ts'
import { ScriptedWay, Ear, clientRequest, say, settle, type Sent } from './scripted-way.ts'

const subscriptionId = 'io.modelcontextprotocol/subscriptionId'

/** A connection: what names no request comes to its listener. */
class ScriptedConnection extends ScriptedWay {
  listener: UpstreamSink | undefined

  constructor() {
    super(true)
  }

  override listen(_?: unknown, sink?: UpstreamSink) {
    this.listener = sink
    return { abort() {}, pause() {}, resume() {} }
  }

  hear(message: object): void {
    const whole = { jsonrpc: '2.0' as const, ...message }
    this.listener?.message({ message: whole, bytes: Buffer.from(JSON.stringify(whole)) })
  }
}

let connections: ScriptedConnection[]
let refusal: GatewayError | undefined
let shared: ModernConnection

beforeEach(() => {
  connections = []
  refusal = undefined
  shared = new ModernConnection({
    transport: 'stdio',
    open: () => {
      if (refusal) throw refusal
      const connection = new ScriptedConnection()
      connections.push(connection)
      return connection
    },
  })
})

const connection = (): ScriptedConnection => connections.at(-1) as ScriptedConnection
const sent = (index: number): Sent => connection().sent[index] as Sent
const idOf = (index: number): unknown => sent(index).request.message.id
const call = (id: number | string, token?: string) =>
  clientRequest({
    id,
    method: 'tools/call',
    params: { name: 'slow', _meta: token === undefined ? {} : { progressToken: token } },
  })

test('equal ids and progress tokens are told apart, and given back as they were', async () => {
  const [a, b] = [new Ear(), new Ear()]
  shared.send(call(1, 't'), a)
  shared.send(call(1, 't'), b)
  expect(idOf(0)).not.toBe(idOf(1))
  const progress = (index: number) => ({
    method: 'notifications/progress',
    params: { progressToken: idOf(index), progress: index },
  })
  say(sent(1)).head(200, 'event-stream')
  say(sent(1)).message(progress(1))
  say(sent(1)).message({ id: idOf(1), result: { content: ['b'] } })
  say(sent(1)).end()
  say(sent(0)).result({ content: ['a'] })
  expect(a.written).toEqual([{ jsonrpc: '2.0', id: 1, result: { content: ['a'] } }])
  expect(b.written).toEqual([
    { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 't', progress: 1 } },
    { jsonrpc: '2.0', id: 1, result: { content: ['b'] } },
  ])
  expect([connections.length, shared.busy, a.ends, b.ends]).toEqual([1, false, 1, 1])
})

test('a change goes to the listener whose stream it names, under the id that it knows', () => {
  const [a, b] = [new Ear(), new Ear()]
  for (const ear of [a, b]) shared.send(clientRequest({ id: 'l', method: 'subscriptions/listen' }), ear)
  connection().hear({
    method: 'notifications/tools/list_changed',
    params: { _meta: { [subscriptionId]: idOf(1) } },
  })
  expect(a.messages).toEqual([])
  expect(b.last?.params).toEqual({ _meta: { [subscriptionId]: 'l' } })
  say(sent(1)).message({ id: idOf(1), result: { _meta: { [subscriptionId]: idOf(1) } } })
  expect(b.last).toMatchObject({ id: 'l', result: { _meta: { [subscriptionId]: 'l' } } })
})

test('a log is heard where one call is in flight, and by nobody where it may be about another', () => {
  const [a, b] = [new Ear(), new Ear()]
  const log = (text: string) => connection().hear({ method: 'notifications/message', params: { data: text } })
  shared.send(call(1), a)
  log('only a')
  shared.send(call(1), b)
  log('a or b')
  expect([a.messages.length, b.messages.length]).toEqual([1, 0])
})

test('giving up tells the server, under its own id, and nobody hears of the call again', () => {
  const ear = new Ear()
  const exchange = shared.send(call(7), ear)
  const late = sent(0)
  exchange.abort()
  exchange.abort()
  late.sink.message({ message: { jsonrpc: '2.0', id: 1, result: {} }, bytes: Buffer.from('{}') })
  late.sink.end()
  expect(
    connection()
      .of('notifications/cancelled')
      .map(({ request }) => request.message.params),
  ).toEqual([{ requestId: late.request.message.id }])
  expect([ear.messages.length, ear.ends, shared.busy]).toEqual([0, 0, false])
})

test("a caller's own notification of a cancellation is not passed: its id may be another's at the server", async () => {
  shared.send(call(1), new Ear())
  const ear = new Ear()
  shared.send(clientRequest({ method: 'notifications/cancelled', params: { requestId: 1 } }), ear)
  await settle()
  expect([connection().sent.length, ear.heads[0]?.status, ear.ends]).toEqual([1, 202, 1])
})

test('what a server asks is refused, since nobody can be asked', () => {
  shared.send(call(1), new Ear())
  connection().hear({ id: 'q', method: 'elicitation/create' })
  expect(connection().sent.at(-1)?.request.message).toMatchObject({ id: 'q', error: { code: -32601 } })
})

test('a connection that broke is opened again by the next request', () => {
  const ear = new Ear()
  shared.send(call(1), ear)
  const gone = { stage: 'process', message: 'ended', sent: true, gone: true } as const
  say(sent(0)).fail(gone)
  connection().listener?.fail(gone)
  expect(ear.failure).toEqual(gone)
  shared.send(call(2), new Ear())
  expect([connections.length, connection().sent.length]).toEqual([2, 1])
})

test('where no connection can be had, a call is not sent, and closing ends what is open', async () => {
  refusal = new GatewayError('too_many_sessions')
  const ear = new Ear()
  shared.send(call(1), ear)
  await settle()
  expect(ear.failure).toMatchObject({ stage: 'connect', sent: false })
  refusal = undefined
  shared.send(call(1), new Ear())
  await shared.close()
  expect(connection().closed).toBe(1)
})
