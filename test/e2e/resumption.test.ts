// Official clients of both SDK generations lose their connections to a gateway in front of a stdio server, and resume.
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import {
  Client as SecondClient,
  StreamableHTTPClientTransport as SecondTransport,
} from '@modelcontextprotocol/client'
import { Client as FirstClient } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as FirstTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { CallToolResultSchema } from '@modelcontextprotocol/sdk/types.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestGateway, type ApiCaller, type TestGateway } from '../harness/gateway.ts'

let gateway: TestGateway
let ann: ApiCaller
let proxy: CuttingProxy

beforeAll(async () => {
  gateway = await startTestGateway({
    env: { TOLLBRIDGE_STDIO_ALLOW: process.execPath, TOLLBRIDGE_RESUMPTION_RETRY_MS: '50' },
  })
  await gateway.admin.ok('POST', '/api/v1/servers', {
    name: 'counting',
    access: 'authenticated',
    transport: {
      type: 'stdio',
      command: process.execPath,
      args: [join(import.meta.dirname, '../faults/counting-child.ts')],
    },
  })
  await gateway.admin.ok('POST', '/api/v1/billing/rules', {
    name: 'tools',
    currency: 'USD',
    match: { tool: '*' },
    price: { perCall: '1' },
  })
  ann = await gateway.member('ann', { grant: '100' })
  proxy = await startProxy(Number(new URL(gateway.url).port))
})

afterAll(async () => {
  proxy.stop()
  await gateway.stop()
})

interface CuttingProxy {
  readonly port: number
  /** Breaks every connection. */
  cut(): void
  stop(): void
}

/** Passes bytes on, until it is told to break. */
async function startProxy(to: number): Promise<CuttingProxy> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((near) => {
    const far = connect(to, '127.0.0.1')
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket)
      socket.pipe(other)
      socket.on('error', () => other.destroy())
      socket.on('close', () => sockets.delete(socket))
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const cut = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    stop: () => {
      cut()
      server.close()
    },
  }
}

const about = { name: 'resumption-test', version: '1' }
const range = (to: number): number[] => Array.from({ length: to }, (_, index) => index + 1)
const params = (to: number) => ({ name: 'count', arguments: { to, everyMs: 5 } })
const endpoint = () => new URL(`http://127.0.0.1:${proxy.port}/mcp/counting`)
const options = () => ({
  requestInit: { headers: { authorization: `Bearer ${ann.credential}` } },
  reconnectionOptions: {
    initialReconnectionDelay: 20,
    maxReconnectionDelay: 100,
    reconnectionDelayGrowFactor: 1.5,
    maxRetries: 20,
  },
})

const spent = async (): Promise<number> => {
  const account = await gateway.admin.ok('GET', `/api/v1/billing/accounts/${ann.accountId}`)
  return 100 - Number(account.balance)
}

const generations = {
  'SDK 1.32': {
    connect: async (sessionId?: string) => {
      const client = new FirstClient(about)
      const transport = new FirstTransport(endpoint(), { ...options(), ...(sessionId && { sessionId }) })
      await client.connect(transport)
      return { client, transport }
    },
  },
  'SDK 2.4': {
    connect: async (sessionId?: string) => {
      const client = new SecondClient(about, { versionNegotiation: { mode: 'legacy' } })
      const transport = new SecondTransport(endpoint(), { ...options(), ...(sessionId && { sessionId }) })
      await client.connect(transport)
      return { client, transport }
    },
  },
} as const

const numberOf = (token: string): number => Number(/\d+$/.exec(token)?.[0])

interface Heard {
  readonly params?: { readonly progress?: number }
}

/** Everything that comes from now on, as the wire has it. */
function listenTo(transport: FirstTransport | SecondTransport): Heard[] {
  const messages: Heard[] = []
  const pass = transport.onmessage as ((message: unknown, ...more: unknown[]) => void) | undefined
  transport.onmessage = (message: unknown, ...more: unknown[]) => {
    messages.push(message as Heard)
    pass?.(message, ...more)
  }
  return messages
}

interface CallOptions {
  readonly onprogress?: (progress: { progress: number }) => void
  readonly resumptionToken?: string
  readonly onresumptiontoken?: (token: string) => void
}

/** The two generations say the same in slightly different types. */
function call(client: FirstClient | SecondClient, to: number, given: CallOptions): Promise<unknown> {
  const more = { ...given, timeout: 20_000 }
  return client instanceof FirstClient
    ? client.request({ method: 'tools/call', params: params(to) }, CallToolResultSchema, more)
    : client.request({ method: 'tools/call', params: params(to) }, more)
}

describe.each(Object.keys(generations) as (keyof typeof generations)[])('a client of %s', (name) => {
  const { connect: open } = generations[name]

  test('whose connections break again and again misses nothing, hears nothing twice, and pays once', async () => {
    const before = await spent()
    const { client } = await open()
    const heard: number[] = []
    const cutting = setInterval(() => proxy.cut(), 150)
    const result = await call(client, 200, { onprogress: ({ progress }) => heard.push(progress) }).finally(
      () => clearInterval(cutting),
    )
    expect(result).toMatchObject({ content: [{ text: 'counted to 200' }] })
    expect(heard).toEqual(range(200))
    expect((await spent()) - before).toBe(1)
    await client.close()
  })

  test('that is started again goes on with the token that it has kept', async () => {
    const before = await spent()
    const first = await open()
    const heard: number[] = []
    let token = ''
    const lost = call(first.client, 100, {
      onprogress: ({ progress }) => heard.push(progress),
      onresumptiontoken: (given) => (token = given),
    }).catch(() => 'lost')
    await expect.poll(() => heard.length).toBeGreaterThan(10)
    const sessionId = first.transport.sessionId
    await first.client.close()
    expect(await lost).toBe('lost')
    const known = heard.length

    const second = await open(sessionId)
    const messages = listenTo(second.transport)
    const result = await call(second.client, 100, { resumptionToken: token })
    expect(result).toMatchObject({ content: [{ text: 'counted to 100' }] })
    // Event n is the progress n: each has come to one of the two clients.
    expect(numberOf(token)).toBe(known)
    expect(messages.map((message) => message.params?.progress)).toEqual([
      ...range(100).slice(known),
      undefined,
    ])
    expect((await spent()) - before).toBe(1)
    await second.client.close()
  })
})
