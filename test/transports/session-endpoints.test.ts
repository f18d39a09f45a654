// A session made by the REST API, over each of its endpoints: whose it is, initialized once, and alive until it is closed.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ApiCaller } from '../harness/gateway.ts'
import { until } from '../harness/until.ts'
import {
  bearer,
  initialize,
  openSse,
  openWebSocket,
  startRig,
  toolCall,
  upgrade,
  type RawClient,
  type Rig,
} from './rig.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig()
})
afterAll(() => rig.stop())

interface Made {
  readonly id: string
  readonly path: string
  readonly endpoints: Readonly<Record<string, string>>
}

async function make(server = 'recorder', transport = 'websocket'): Promise<Made> {
  const { id, endpoints } = await rig.ann.ok('POST', `/api/v1/servers/${server}/sessions`, { transport })
  return { id, endpoints, path: `/api/v1/sessions/${id}` }
}

type Opening = (made: Made, caller?: ApiCaller) => Promise<RawClient>
const overSse: Opening = ({ path }, caller = rig.ann) =>
  openSse(rig.gateway.url, `${path}/sse`, bearer(caller))
const overWebSocket: Opening = ({ path }, caller = rig.ann) =>
  openWebSocket(rig.gateway.url, `${path}/ws`, { headers: bearer(caller) })

test('names its endpoints, each with its own kind of URL', async () => {
  const { id, endpoints } = await make('recorder', 'sse')
  const base = `${rig.gateway.url}/api/v1/sessions/${id}`
  expect(endpoints).toEqual({
    streamableHttp: `${base}/mcp`,
    sse: `${base}/sse`,
    message: `${base}/message`,
    websocket: `${base.replace('http', 'ws')}/ws`,
  })
})

describe.each([
  ['sse', overSse],
  ['websocket', overWebSocket],
])('over %s', (transport, open) => {
  test('it is initialized once, survives its connections, and ends when it is closed', async () => {
    const made = await make()
    const first = await open(made)
    expect((await first.shakeHands()).result).toBeDefined()
    await first.say(toolCall(1))
    await first.answer(1)
    expect((await rig.records('&method=tools/call'))[0]).toMatchObject({ sessionId: made.id, transport })
    first.cut()
    await until(() => first.closed(), 'the end of the connection')
    const second = await open(made)
    await second.say(initialize())
    expect((await second.answer('init')).error.code).toBe(-32600)
    await second.say(toolCall(2))
    expect((await second.answer(2)).result).toBeDefined()
    await until(
      () => rig.recorder.push({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' }) > 0,
      'its stream',
    )
    await second.first(({ method }) => method === 'notifications/tools/list_changed')
    await rig.ann.ok('DELETE', made.path)
    await until(() => second.closed(), 'the end of the connection', 3000)
  })

  test('it is nobody else’s, and a session that has ended is nobody’s', async () => {
    const made = await make()
    await expect(open(made, rig.bob)).rejects.toThrow('404')
    await rig.ann.ok('DELETE', made.path)
    await expect(open(made)).rejects.toThrow('404')
  })
})

test('without a credential its endpoints are as silent as any', async () => {
  const { path } = await make()
  for (const leg of ['mcp', 'sse', 'message'])
    expect((await fetch(`${rig.gateway.url}${path}/${leg}`)).status).toBe(401)
  expect(await upgrade(rig.gateway.url, `${path}/ws`, {})).toMatch(/^HTTP\/1.1 401 /)
})

test('a gateway that stops says goodbye to every connection, and waits for none', async () => {
  const own = await startRig()
  const socket = await openWebSocket(own.gateway.url, '/mcp/recorder/ws', { headers: bearer(own.ann) })
  const stream = await openSse(own.gateway.url, '/mcp/everything/sse', bearer(own.ann))
  await socket.shakeHands()
  await stream.shakeHands()
  const began = performance.now()
  const { code } = await own.gateway.stop()
  expect([code, performance.now() - began < 5000]).toEqual([0, true])
  await until(() => socket.closed() && stream.closed(), 'the end of both')
  expect(socket.closing()).toEqual([1001, 'the gateway is shutting down'])
  await own.stop()
})
