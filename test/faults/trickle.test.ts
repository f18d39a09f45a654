// F7: a server that says a little for ever is cut at the total time of a call, whatever carries it.
import { afterEach, expect, test } from 'vitest'
import { cleanUp as stopStubs } from '../upstreams/http-stub.ts'
import type { StubMessage } from '../upstreams/recorder.ts'
import { webSocketStub } from '../upstreams/web-socket-stub.ts'
import { isAnswered, refusalCode } from './callers.ts'
import { startEventServer } from './event-server.ts'
import {
  cleanUp,
  client,
  expectClean,
  furnish,
  onEnd,
  startGateway,
  startUpstream,
  toolCalls,
} from './rig.ts'

afterEach(cleanUp)
afterEach(stopStubs)

const callMs = 1500
const everyMs = 50
const notice = JSON.stringify({
  jsonrpc: '2.0',
  method: 'notifications/message',
  params: { level: 'info', data: 'still at it' },
})
const isTrickle = ({ params }: StubMessage): boolean => params?.['name'] === 'trickle'

function replyTo({ id, method, params }: StubMessage): object | undefined {
  if (id === undefined) return undefined
  const protocolVersion = params?.['protocolVersion']
  const greeting = {
    protocolVersion,
    capabilities: { tools: {} },
    serverInfo: { name: 'slow', version: '1' },
  }
  return { jsonrpc: '2.0', id, result: method === 'initialize' ? greeting : { content: [] } }
}

function forever(act: () => void): void {
  const timer = setInterval(act, everyMs)
  onEnd(() => clearInterval(timer))
}

const child = `
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const message = JSON.parse(line)
  const { id, params, method } = message
  if (params?.name === 'trickle') return setInterval(() => process.stdout.write(${JSON.stringify(`${notice}\n`)}), ${everyMs})
  if (id === undefined) return
  const greeting = { protocolVersion: params?.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'slow', version: '1' } }
  process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result: method === 'initialize' ? greeting : { content: [] } }) + '\\n')
})`

test.each(['stub', 'events', 'sockets', 'child'])(
  'a call to %s is answered at its total time, though the server never falls silent',
  async (name) => {
    const upstream = await startUpstream({
      reply: ({ message, response }) => {
        if (!isTrickle(message)) {
          response.writeHead(200, { 'content-type': 'application/json' })
          response.end(JSON.stringify(replyTo(message)))
          return
        }
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        forever(() => response.write(`event: message\ndata: ${notice}\n\n`))
      },
    })
    const events = await startEventServer((message, stream) => {
      if (!isTrickle(message)) return replyTo(message)
      forever(() => stream.write(`event: message\ndata: ${notice}\n\n`))
      return undefined
    })
    const sockets = await webSocketStub({
      message: (message, say, socket) => {
        const reply = replyTo(message)
        if (isTrickle(message)) forever(() => socket.send(notice))
        else if (reply) say(reply)
      },
    })
    const gateway = await startGateway({ env: { TOLLBRIDGE_STDIO_ALLOW: process.execPath } })
    const timeouts = { callMs }
    const { key } = await furnish(gateway, upstream.url, { more: { timeouts } })
    const register = (other: string, transport: object) =>
      gateway.admin.ok('POST', '/api/v1/servers', {
        name: other,
        transport,
        access: 'authenticated',
        timeouts,
      })
    await register('events', { type: 'sse', url: events.url })
    await register('sockets', { type: 'websocket', url: `ws://127.0.0.1:${sockets.port}/ws` })
    await register('child', { type: 'stdio', command: process.execPath, args: ['-e', child] })
    for (const era of name === 'stub' ? (['legacy', 'modern'] as const) : (['legacy'] as const)) {
      const caller = await client(gateway, key, era, name).open()
      expect(isAnswered(await caller.call())).toBe(true)
      const startMs = performance.now()
      const cut = await caller.call({ id: 'slow', tool: 'trickle' })
      const tookMs = performance.now() - startMs
      expect([cut.message.id, refusalCode(cut)]).toEqual(['slow', 'upstream_timeout'])
      expect(tookMs).toBeGreaterThan(callMs * 0.95)
      expect(tookMs).toBeLessThan(callMs * 1.5)
      const [record] = await toolCalls(gateway)
      expect(record).toMatchObject({ tool: 'trickle', outcome: 'timeout', cost: '0' })
    }
    await expectClean(gateway)
  },
  30_000,
)
