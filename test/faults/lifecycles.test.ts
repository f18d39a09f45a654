// F40 in small: session after session, over every transport and through both bridges, leaves memory and handles where they were.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { TestGateway } from '../harness/gateway.ts'
import { cleanUp as stopStubs } from '../upstreams/http-stub.ts'
import { webSocketStub } from '../upstreams/web-socket-stub.ts'
import type { StubMessage } from '../upstreams/recorder.ts'
import { openWebSocket } from '../transports/rig.ts'
import { isAnswered, McpClient } from './callers.ts'
import { startEventServer } from './event-server.ts'
import { call, open, type ClientTransport } from './openings.ts'
import {
  cleanUp,
  countFrom,
  expectClean,
  furnish,
  furnishChild,
  metric,
  startGateway,
  startUpstream,
  turn,
} from './rig.ts'
import { until } from '../harness/until.ts'

afterEach(cleanUp)
afterEach(stopStubs)

const count = countFrom('TOLLBRIDGE_TEST_LIFECYCLES', 1500)
const atOnce = 10
const mebibyte = 1024 * 1024

/** Live bytes of the heap after garbage collection; the launcher collects on SIGUSR2. */
async function settledHeapBytes(gateway: TestGateway): Promise<number> {
  let least = Infinity
  for (let n = 0; n < 8; n++) {
    gateway.process.kill('SIGUSR2')
    await new Promise((resolve) => setTimeout(resolve, 150))
    least = Math.min(least, await metric(gateway, 'tollbridge_heap_used_bytes'))
  }
  return least
}

const descriptors = (gateway: TestGateway): number => readdirSync(`/proc/${gateway.process.pid}/fd`).length

function replyTo({ id, method, params }: StubMessage): object | undefined {
  if (id === undefined) return undefined
  const protocolVersion = params?.['protocolVersion']
  const greeting = {
    protocolVersion,
    capabilities: { tools: {} },
    serverInfo: { name: 'stub', version: '1' },
  }
  const work = { content: [{ type: 'text', text: 'done' }] }
  return { jsonrpc: '2.0', id, result: method === 'initialize' ? greeting : work }
}

async function setStage() {
  const gateway = await startGateway({
    program: [join(import.meta.dirname, 'launcher.ts')],
    env: { TOLLBRIDGE_STDIO_ALLOW: process.execPath, TOLLBRIDGE_SESSIONS_IDLE_MS: '2000' },
  })
  const both = await startUpstream({ tools: ['work'] })
  const [modern, legacy] = [await startUpstream({ era: 'modern' }), await startUpstream({ era: 'legacy' })]
  const say = (message: StubMessage, tell: (reply: object) => void): void => {
    const reply = replyTo(message)
    if (reply) tell(reply)
  }
  const events = await startEventServer(replyTo)
  const sockets = await webSocketStub({ message: say })
  const { key } = await furnish(gateway, both.url)
  const register = (name: string, transport: object) =>
    gateway.admin.ok('POST', '/api/v1/servers', { name, transport, access: 'authenticated' })
  await register('modern', { type: 'streamable-http', url: modern.url })
  await register('legacy', { type: 'streamable-http', url: legacy.url })
  await register('events', { type: 'sse', url: events.url })
  await register('sockets', { type: 'websocket', url: `ws://127.0.0.1:${sockets.port}/ws` })
  await furnishChild(gateway, 'child')
  return { gateway, key }
}

type Life = (stage: { gateway: TestGateway; key: string }, n: number) => Promise<void>

/** A legacy client's session: handshake, call, end; every second one ends without a word. */
const legacyLife =
  (transport: ClientTransport, name: string): Life =>
  async ({ gateway, key }, n) => {
    const opened = await open(transport, { url: gateway.url, key, name })
    expect((await call(opened, n)).result, `${transport} at ${name}`).toBeDefined()
    if (n % 2 === 0) opened.vanish()
    else await opened.leave()
  }

const modernLife =
  (name: string): Life =>
  async ({ gateway, key }) => {
    const answer = await new McpClient(`${gateway.url}/mcp/${name}`, key, 'modern').call()
    expect(isAnswered(answer), answer.text).toBe(true)
  }

/** A WebSocket of its own for one call of the modern era. */
const modernSocketLife =
  (name: string): Life =>
  async ({ gateway, key }, n) => {
    const headers = { authorization: `Bearer ${key}` }
    const raw = await openWebSocket(gateway.url, `/mcp/${name}/ws`, { headers })
    const _meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {},
    }
    const params = { name: 'work', arguments: {}, _meta }
    await raw.say({ jsonrpc: '2.0', id: n, method: 'tools/call', params })
    expect((await raw.answer(n)).result, name).toBeDefined()
    raw.cut()
  }

const clients = ['streamable-http', 'sse', 'websocket'] as const
const cheap = ['stub', 'modern', 'legacy', 'events', 'sockets']
const lives: readonly Life[] = [
  ...cheap.flatMap((name) => clients.map((client) => legacyLife(client, name))),
  ...cheap.map(modernLife),
  ...cheap.map(modernSocketLife),
]
/** What starts processes is a few in a hundred: it would be all that the time goes into. */
const dear: readonly Life[] = [
  ...clients.map((client) => legacyLife(client, 'child')),
  modernLife('child'),
  legacyLife('stdio', 'stub'),
  legacyLife('stdio', 'modern'),
]

test(`${count} lives of sessions, over all transports and eras: memory and handles are flat`, async () => {
  const stage = await setStage()
  const { gateway } = stage
  let next = 0
  const live = async (lifetimes: number): Promise<void> => {
    const end = next + lifetimes
    const work = async (): Promise<void> => {
      while (next < end) {
        const n = next++
        await (n % 50 === 49 ? turn(dear, (n - 49) / 50) : turn(lives, n))(stage, n)
      }
    }
    await Promise.all(Array.from({ length: atOnce }, work))
    await until(
      async () => (await metric(gateway, 'tollbridge_sessions')) === 0,
      'no session is left',
      30_000,
    )
  }
  const look = async () => ({
    heapBytes: await settledHeapBytes(gateway),
    rssBytes: await metric(gateway, 'process_resident_memory_bytes'),
    descriptors: descriptors(gateway),
  })
  await live(Math.max(300, Math.floor(count / 5)))
  const looks = [await look()]
  const rounds = 3
  for (let round = 0; round < rounds; round++) {
    await live(Math.floor(count / rounds))
    looks.push(await look())
  }
  const [first, last] = [looks[0], looks.at(-1)]
  if (!first || !last) throw new Error('nothing was measured')
  console.log(
    looks
      .map(
        (one) =>
          `heap ${(one.heapBytes / mebibyte).toFixed(1)} MiB, RSS ${(one.rssBytes / mebibyte).toFixed(1)} MiB, descriptors ${one.descriptors}`,
      )
      .join('\n'),
  )
  // Code and caches warm up by a few megabytes; beyond that a life leaves less than the smallest part of a session.
  const grownBytes = last.heapBytes - first.heapBytes
  expect(grownBytes, 'live heap').toBeLessThan(3 * mebibyte + count * 100)
  expect(last.rssBytes - first.rssBytes, 'resident memory').toBeLessThan(64 * mebibyte)
  await until(() => descriptors(gateway) <= first.descriptors + 4, 'descriptors are back')
  await expectClean(gateway)
}, 1_800_000)
