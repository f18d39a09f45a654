// F13 and A42: sessions that are abandoned, over every client transport, leave no process, no session and no descriptor.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { TestGateway } from '../harness/gateway.ts'
import { webSocketStub } from '../upstreams/web-socket-stub.ts'
import { cleanUp as stopStubs } from '../upstreams/http-stub.ts'
import { startEventServer } from './event-server.ts'
import { call, clientTransports, open, type ClientTransport, type Opened } from './openings.ts'
import {
  cleanUp,
  countFrom,
  expectClean,
  furnish,
  isRunning,
  metric,
  newFolder,
  startGateway,
  startUpstream,
  turn,
} from './rig.ts'
import { until } from '../harness/until.ts'

afterEach(cleanUp)
afterEach(stopStubs)

const count = countFrom('TOLLBRIDGE_TEST_SESSIONS', 150)
const idleMs = 2000
const atOnce = 8
/** What the metrics, the store or a timer happen to have open. */
const spareDescriptors = 4

async function setStage() {
  const upstream = await startUpstream()
  const gateway = await startGateway({
    env: {
      TOLLBRIDGE_STDIO_ALLOW: '/bin/sh',
      TOLLBRIDGE_SESSIONS_IDLE_MS: String(idleMs),
      TOLLBRIDGE_SESSIONS_KEEP_ALIVE_MS: '500',
      TOLLBRIDGE_SESSIONS_PING_MS: '1000',
    },
  })
  const { key } = await furnish(gateway, upstream.url)
  const file = join(newFolder(), 'pids')
  writeFileSync(file, '')
  const args = [join(import.meta.dirname, 'shell-server.sh'), file]
  // A legacy call whose client has gone runs on, and its session with it, until this time is up.
  const timeouts = { callMs: 3000 }
  const register = (name: string, transport: object) =>
    gateway.admin.ok('POST', '/api/v1/servers', { name, transport, access: 'authenticated', timeouts })
  await register('shell', { type: 'stdio', command: '/bin/sh', args })
  const pids = (): number[] => readFileSync(file, 'utf8').split('\n').filter(Boolean).map(Number)
  const openAt = (transport: ClientTransport, name: string) =>
    open(transport, { url: gateway.url, key, name, stream: true })
  return { gateway, upstream, pids, register, openAt }
}

const openSessions = (gateway: TestGateway): Promise<number> => metric(gateway, 'tollbridge_sessions')
const descriptors = (gateway: TestGateway): number => readdirSync(`/proc/${gateway.process.pid}/fd`).length
/** Children that run or were not waited for. */
const children = (gateway: TestGateway): string =>
  readFileSync(`/proc/${gateway.process.pid}/task/${gateway.process.pid}/children`, 'utf8').trim()

test(`${count} stdio sessions opened over every client transport and abandoned leave no process and no descriptor`, async () => {
  const { gateway, pids, openAt } = await setStage()
  // One of each first, so that what stays for good is there.
  for (const transport of clientTransports) (await openAt(transport, 'shell')).vanish()
  await until(() => children(gateway) === '', 'the first are gone', 20_000)
  const before = descriptors(gateway)
  let next = 0
  const answered = new Set<string>()
  const work = async (): Promise<void> => {
    for (let n = next++; n < count; n = next++) {
      const transport = turn(clientTransports, n)
      const opened = await openAt(transport, 'shell')
      answered.add((await call(opened, n)).result.content[0].text)
      // Half of them are in the middle of a call that never ends.
      if (n % 8 >= 4) opened.say({ ...hanging, id: `${n}-hang` })
      opened.vanish()
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  expect(answered.size, 'each session had a child of its own').toBe(count)
  // Each process writes its id down itself.
  await until(() => pids().length === 3 * (count + clientTransports.length), 'all have begun')
  await until(async () => (await openSessions(gateway)) === 0, 'no session is left', 30_000)
  await until(() => children(gateway) === '', 'no child is left or unwaited for', 20_000)
  await until(() => !pids().some(isRunning), 'no grandchild is left', 10_000)
  await until(() => descriptors(gateway) <= before + spareDescriptors, 'descriptors are back')
  // Asking takes a connection, counting takes a folder, and the connection of the last time may still be closing.
  expect(await metric(gateway, 'process_open_fds')).toBeLessThanOrEqual(before + spareDescriptors + 3)
  await expectClean(gateway)
}, 600_000)

const hanging = {
  jsonrpc: '2.0',
  id: 'hang',
  method: 'tools/call',
  params: { name: 'hang', arguments: {} },
}

test.each(clientTransports)(
  'a %s client that vanishes frees its sessions, children and connections at every server',
  async (transport) => {
    const { gateway, upstream, pids, register, openAt } = await setStage()
    const handshake = (message: { id?: unknown; method?: string; params?: object }): object | undefined =>
      message.id === undefined
        ? undefined
        : { jsonrpc: '2.0', id: message.id, result: message.method === 'initialize' ? greeting : work }
    const events = await startEventServer(handshake)
    const sockets = await webSocketStub({ message: (message, say) => tell(say, handshake(message)) })
    await register('events', { type: 'sse', url: events.url })
    await register('sockets', { type: 'websocket', url: `ws://127.0.0.1:${sockets.port}/ws` })
    const before = descriptors(gateway)
    const opened: Opened[] = []
    for (const name of ['stub', 'shell', 'events', 'sockets']) {
      const client = await openAt(transport, name)
      opened.push(client)
      expect((await call(client, 1)).result, name).toBeDefined()
    }
    expect(await openSessions(gateway)).toBe(4)
    await until(() => events.streams.size === 1 && sockets.clients.size === 1, 'the connections are there')
    expect([pids().filter(isRunning).length, upstream.sessions.size]).toEqual([3, 1])
    for (const client of opened) client.vanish()
    await until(async () => (await openSessions(gateway)) === 0, 'no session is left')
    await until(() => children(gateway) === '' && !pids().some(isRunning), 'no child is left')
    await until(() => events.streams.size === 0 && sockets.clients.size === 0, 'the servers are left')
    await until(() => upstream.sessions.size === 0, 'the server was told')
    await until(() => descriptors(gateway) <= before + spareDescriptors + 2, 'descriptors are back')
    await expectClean(gateway)
  },
  60_000,
)

const greeting = {
  protocolVersion: '2025-11-25',
  capabilities: { tools: {} },
  serverInfo: { name: 'stub', version: '1' },
}
const work = { content: [{ type: 'text', text: 'done' }] }
const tell = (say: (message: object) => void, message: object | undefined): void => {
  if (message) say(message)
}
