// Guarantees of shared sessions against real servers: server-everything as a child and over HTTP, and a child that dies.
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { createServer, type AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { SharedSession } from '../../src/bridges/shared/session.ts'
import type { Server } from '../../src/registry/server.ts'
import { Egress } from '../../src/upstreams/egress.ts'
import { Upstreams } from '../../src/upstreams/pool.ts'
import type { Upstream } from '../../src/upstreams/upstream.ts'
import { cleanUp, cleanups, serverAt } from '../upstreams/http-stub.ts'
import { cleanUp as cleanScripts, script, serverOf } from '../upstreams/stdio-stub.ts'
import { listen, nothingHeld, notice, request, send, sharedOptions, type Heard } from './shared-server.ts'

afterEach(async () => {
  await cleanUp()
  await cleanScripts()
})

const everything = createRequire(import.meta.url).resolve(
  '@modelcontextprotocol/server-everything/dist/index.js',
)
const patient = { connectMs: 5000, callMs: 20_000, idleMs: 1000 }

function share(server: Server): { session: SharedSession; all: Upstreams; opened: () => number } {
  const all = new Upstreams({
    egress: new Egress(['loopback']),
    clock: systemClock,
    environment: process.env,
    killGraceMs: 200,
  })
  let count = 0
  const open = (): Upstream => {
    count++
    return all.open(server)
  }
  const multiplexed = server.transport.type === 'stdio'
  const session = new SharedSession(sharedOptions({ open, multiplexed }, { openTimeoutMs: 20_000 }))
  cleanups.push(async () => {
    await session.close()
    await all.closeAll()
  })
  return { session, all, opened: () => count }
}

async function overHttp(): Promise<Server> {
  const free = createServer().listen(0)
  const { port } = free.address() as AddressInfo
  await new Promise((closed) => free.close(closed))
  const child = spawn(process.execPath, [everything, 'streamableHttp'], {
    env: { ...process.env, PORT: String(port) },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  cleanups.push(() => child.kill('SIGKILL'))
  await new Promise<void>((ready) =>
    child.stderr.on('data', (text: Buffer) => text.includes('listening') && ready()),
  )
  const transport = { type: 'streamable-http', url: `http://127.0.0.1:${port}/mcp` } as const
  return { ...serverAt(0, { timeouts: patient }), transport }
}

const servers = {
  stdio: () => Promise.resolve({ ...serverOf(process.execPath, [everything]), timeouts: patient } as Server),
  'streamable-http': overHttp,
}

const call = (way: Upstream, id: string | number, name: string, more: object = {}): Heard =>
  send(way, request(id, 'tools/call', { name, ...more }))

const textOf = ({ messages }: Heard): unknown => {
  const content = messages.at(-1)?.result?.content as { text?: string }[] | undefined
  return content?.[0]?.text
}

describe.each(['stdio', 'streamable-http'] as const)(
  'five clients of server-everything over %s',
  (transport) => {
    test('use one session at once with the same ids and tokens, and each hears its own alone', async () => {
      const { session, all, opened } = share(await servers[transport]())
      const ways = Array.from({ length: 5 }, (_, index) => session.join({ id: `${index}` }))
      const hellos = ways.map((way) =>
        send(
          way,
          request(1, 'initialize', { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: {} }),
        ),
      )
      await Promise.all(hellos.map(({ done }) => done))
      for (const { messages } of hellos)
        expect(messages[0]).toMatchObject({
          id: 1,
          result: { protocolVersion: '2025-06-18', capabilities: {} },
        })
      ways.forEach((way) => send(way, notice('notifications/initialized')))
      const streams = ways.map((way) => listen(way))
      expect(opened()).toBe(1)

      for (let round = 0; round < 20; round++) {
        const echoes = ways.map((way, index) =>
          call(way, 1, 'echo', { arguments: { message: `client ${index} round ${round}` } }),
        )
        await Promise.all(echoes.map(({ done }) => done))
        expect(echoes.map(textOf)).toEqual(ways.map((_, index) => `Echo: client ${index} round ${round}`))
        expect(echoes.map(({ messages }) => messages[0]?.id)).toEqual([1, 1, 1, 1, 1])
      }

      const long = ways.map((way, index) =>
        call(way, 'x', 'trigger-long-running-operation', {
          arguments: { duration: 0.4, steps: index + 1 },
          _meta: { progressToken: 'x' },
        }),
      )
      await Promise.all(long.map(({ done }) => done))
      long.forEach(({ messages }, index) => {
        const progress = messages.slice(0, -1).map(({ params }) => params)
        expect(progress.map((params) => params?.progressToken)).toEqual(Array(progress.length).fill('x'))
        expect(progress.every((params) => params?.total === index + 1)).toBe(true)
        expect(messages.at(-1)).toMatchObject({ id: 'x', result: { content: [{ type: 'text' }] } })
      })
      expect(long[4]?.messages.length).toBeGreaterThan(1)
      expect(
        streams.flatMap(({ messages }) =>
          messages.filter(({ method }) => method === 'notifications/progress'),
        ),
      ).toEqual([])

      const kept = call(ways[0] as Upstream, 7, 'trigger-long-running-operation', {
        arguments: { duration: 0.3, steps: 1 },
      })
      const ended = call(ways[1] as Upstream, 7, 'trigger-long-running-operation', {
        arguments: { duration: 0.3, steps: 1 },
      })
      await send(ways[2] as Upstream, notice('notifications/cancelled', { requestId: 7 })).done
      await send(ways[1] as Upstream, notice('notifications/cancelled', { requestId: 7 })).done
      ended.exchange.abort()
      await kept.done
      expect(textOf(kept)).toContain('completed')
      expect(ended.messages).toEqual([])

      for (const way of ways) await way.close()
      expect(session.counts()).toEqual(nothingHeld)
      await session.close()
      expect(all.counts()).toMatchObject({ children: 0, calls: 0, streams: 0 })
    })

    test('hear of the resources that they subscribed to, and of no others', async () => {
      const { session } = share(await servers[transport]())
      const ways = Array.from({ length: 3 }, (_, index) => session.join({ id: `${index}` }))
      const streams = ways.map((way) => listen(way))
      await Promise.all(ways.map((way) => send(way, request(0, 'initialize', {})).done))
      const uris = [1, 2].map((number) => `demo://resource/dynamic/text/${number}`)
      const subscribed = await Promise.all(
        [uris, [uris[0]], []].flatMap((own, index) =>
          own.map(async (uri, id) => {
            const heard = send(ways[index] as Upstream, request(id, 'resources/subscribe', { uri }))
            await heard.done
            return heard.messages[0]
          }),
        ),
      )
      expect(subscribed.map((answer) => answer?.error)).toEqual([undefined, undefined, undefined])
      await call(ways[2] as Upstream, 1, 'toggle-subscriber-updates').done
      const heardOf = (index: number): Set<unknown> =>
        new Set(
          streams[index]?.messages.flatMap(({ method, params }) =>
            method === 'notifications/resources/updated' ? [params?.uri] : [],
          ),
        )
      await expect.poll(() => heardOf(0), { timeout: 15_000 }).toEqual(new Set(uris))
      expect(heardOf(1)).toEqual(new Set([uris[0]]))
      expect(heardOf(2)).toEqual(new Set())
    })
  },
)

test('a child that dies fails the calls of all its tenants, and the next call starts it once more', async () => {
  const { session, all, opened } = share(
    script(`
      listen(({ id, method, params }) => {
        if (method === 'initialize') answer(id, { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: {} })
        else if (params?.name === 'die') process.exit(1)
        else if (params?.name === 'pid') answer(id, { pid: process.pid })
      })`),
  )
  const ways = Array.from({ length: 5 }, (_, index) => session.join({ id: `${index}` }))
  await Promise.all(ways.map((way) => send(way, request(0, 'initialize', {})).done))
  const streams = ways.map((way) => listen(way))
  const waiting = ways.map((way) => call(way, 1, 'wait'))
  const killer = call(ways[0] as Upstream, 2, 'die')
  await Promise.all([...waiting, killer].map(({ done }) => done))
  for (const { failure } of [...waiting, killer]) {
    expect(failure).toMatchObject({ stage: 'process', sent: true })
    expect(failure).not.toHaveProperty('gone')
  }
  const after = ways.map((way) => call(way, 1, 'pid'))
  await Promise.all(after.map(({ done }) => done))
  expect(new Set(after.map(({ messages }) => messages[0]?.result?.pid)).size).toBe(1)
  expect(opened()).toBe(2)
  for (const { ended, failure } of streams)
    expect({ ended, failure }).toEqual({ ended: false, failure: undefined })
  expect(all.counts().children).toBe(1)
  for (const way of ways) await way.close()
  expect(session.counts()).toEqual(nothingHeld)
  await session.close()
  expect(all.counts().children).toBe(0)
})
