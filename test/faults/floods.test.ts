// A42, A60 and F18: servers that flood and clients that read nothing are held within bounds of memory, and harm nobody else.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import type { TestGateway } from '../harness/gateway.ts'
import { cleanUp as stopStubs } from '../upstreams/http-stub.ts'
import type { StubMessage } from '../upstreams/recorder.ts'
import { webSocketStub } from '../upstreams/web-socket-stub.ts'
import { startEventServer } from './event-server.ts'
import { call, clientTransports, open, type ClientTransport, type Opened } from './openings.ts'
import { cleanUp, expectClean, furnish, metric, onEnd, startGateway, startUpstream } from './rig.ts'
import { until } from '../harness/until.ts'

afterEach(cleanUp)
afterEach(stopStubs)

const mebibyte = 1024 * 1024
/** What a flood may add to the gateway, however much it is. */
const boundBytes = 128 * mebibyte
const floodBytes = 600 * mebibyte
const line = 'x'.repeat(256 * 1024)

const result = (message: StubMessage): object | undefined => {
  const { id, method, params } = message
  if (id === undefined) return undefined
  const protocolVersion = params?.['protocolVersion']
  const greeting = {
    protocolVersion,
    capabilities: { tools: {} },
    serverInfo: { name: 'flood', version: '1' },
  }
  const work = { content: [{ type: 'text', text: 'done' }] }
  return { jsonrpc: '2.0', id, result: method === 'initialize' ? greeting : work }
}
const notice = JSON.stringify({
  jsonrpc: '2.0',
  method: 'notifications/message',
  params: { level: 'info', data: line },
})
const isFlood = (message: StubMessage): boolean => message.params?.['name'] === 'flood'

/** Writes notices as fast as they are taken, until there were enough or the other side has gone. */
async function pour(write: (done: (error?: Error | null) => void) => void, sent: { bytes: number }) {
  while (sent.bytes < floodBytes) {
    const error = await new Promise<Error | null | undefined>((done) => write(done))
    if (error) return
    sent.bytes += notice.length
  }
}

const child = `
const params = { level: 'info', data: 'x'.repeat(${line.length}) }
const notice = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params }) + '\\n'
let left = 0
const more = () => { while (left > 0) { left -= notice.length; if (!process.stdout.write(notice)) return process.stdout.once('drain', more) } }
require('node:readline').createInterface({ input: process.stdin }).on('line', (text) => {
  const { id, method, params } = JSON.parse(text)
  if (params?.name === 'flood') { left = ${floodBytes}; more() }
  if (id === undefined) return
  const greeting = { protocolVersion: params?.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'child', version: '1' } }
  const result = method === 'initialize' ? greeting : { content: [{ type: 'text', text: 'done' }] }
  if (params?.name !== 'flood') process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result }) + '\\n')
})`

async function setStage() {
  const upstream = await startUpstream()
  const gateway = await startGateway({ env: { TOLLBRIDGE_STDIO_ALLOW: process.execPath } })
  const { key } = await furnish(gateway, upstream.url)
  const sent = { bytes: 0 }
  const events = await startEventServer((message, stream) => {
    if (!isFlood(message)) return result(message)
    const event = `event: message\ndata: ${notice}\n\n`
    void pour((done) => (stream.destroyed ? done(new Error('gone')) : stream.write(event, done)), sent)
    return undefined
  })
  const sockets = await webSocketStub({
    message: (message, say, socket) => {
      const answer = result(message)
      if (isFlood(message)) void pour((done) => socket.send(notice, done), sent)
      else if (answer) say(answer)
    },
  })
  const register = (name: string, transport: object) =>
    gateway.admin.ok('POST', '/api/v1/servers', { name, transport, access: 'authenticated' })
  await register('events', { type: 'sse', url: events.url })
  await register('sockets', { type: 'websocket', url: `ws://127.0.0.1:${sockets.port}/ws` })
  await register('child', { type: 'stdio', command: process.execPath, args: ['-e', child] })
  const enter = async (transport: ClientTransport, name: string): Promise<Opened> => {
    const opened = await open(transport, { url: gateway.url, key, name })
    onEnd(() => opened.vanish())
    return opened
  }
  return { gateway, key, sent, enter }
}

/** The most that is resident from now on; `stop` tells by how much it is over the start. */
async function watchMemory(gateway: TestGateway) {
  const read = () => metric(gateway, 'process_resident_memory_bytes')
  const start = await read()
  let most = start
  const timer = setInterval(
    () =>
      void read().then(
        (now) => (most = Math.max(most, now)),
        () => {},
      ),
    50,
  )
  onEnd(() => clearInterval(timer))
  return {
    grownBytes: async () => {
      most = Math.max(most, await read())
      return most - start
    },
  }
}

let stage: Awaited<ReturnType<typeof setStage>>
beforeEach(async () => {
  stage = await setStage()
})

const flood = (opened: Opened): void =>
  opened.say({ jsonrpc: '2.0', id: 'flood', method: 'tools/call', params: { name: 'flood', arguments: {} } })

/** Someone else's calls, which go on being answered. */
async function expectOthersServed(other: Opened, n: number): Promise<void> {
  const startMs = performance.now()
  expect((await call(other, `other-${n}`)).result).toBeDefined()
  expect(performance.now() - startMs, 'the time of another caller').toBeLessThan(3000)
}

describe.each(['events', 'sockets', 'child'])('a flood of notices from the server %s', (name) => {
  test.each(clientTransports)('is bounded in memory where its %s client reads nothing', async (transport) => {
    const { gateway, sent, enter } = stage
    const other = await enter('streamable-http', 'stub')
    await expectOthersServed(other, 0)
    const slow = await enter(transport, name)
    expect((await call(slow, 1)).result).toBeDefined()
    const memory = await watchMemory(gateway)
    flood(slow)
    // Over HTTP the answer's socket is taken by the call just made.
    await new Promise((resolve) => setTimeout(resolve, 20))
    slow.stopReading()
    for (let n = 1; n <= 8; n++) {
      await expectOthersServed(other, n)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    expect(await memory.grownBytes()).toBeLessThan(boundBytes)
    // What the child has written only its pipe knows.
    if (name !== 'child') {
      expect(sent.bytes, 'the flood began').toBeGreaterThan(mebibyte)
      expect(sent.bytes, 'and was held back').toBeLessThan(floodBytes / 4)
    }
    slow.vanish()
    expect(gateway.process.exitCode).toBe(null)
  })
})

describe.each(['events', 'sockets', 'child'])('a flood of the server %s that nobody listens to', (name) => {
  test('keeps no more than the newest few of its notices', async () => {
    const { gateway, enter } = stage
    const other = await enter('streamable-http', 'stub')
    const client = await enter('streamable-http', name)
    const memory = await watchMemory(gateway)
    // Cancelled at once: what comes then belongs to no call, and there is no stream for it.
    flood(client)
    client.say({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'flood' } })
    for (let n = 1; n <= 20; n++) {
      await expectOthersServed(other, n)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    // What is kept is 16 MiB, twice: as bytes and as a message. The rest is garbage that is not collected yet.
    expect(await memory.grownBytes()).toBeLessThan(floodBytes / 1.5)
    await client.leave()
    await until(async () => (await metric(gateway, 'tollbridge_sessions')) === 1, 'the session is closed')
    await expectClean(gateway)
  })
})

test('a WebSocket client that offers compression is not given it', async () => {
  const { gateway, key } = stage
  const url = `${gateway.url.replace('http', 'ws')}/mcp/stub/ws`
  const headers = { authorization: `Bearer ${key}` }
  const socket = new WebSocket(url, 'mcp', { perMessageDeflate: true, headers })
  onEnd(() => socket.terminate())
  await new Promise((resolve, reject) => {
    socket.once('open', resolve)
    socket.once('error', reject)
  })
  expect([socket.protocol, socket.extensions]).toEqual(['mcp', ''])
})
