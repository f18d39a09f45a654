// Child processes that play MCP servers, and a recorder of exchanges, for the tests of stdio upstreams.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { StdioUpstream, type StdioOptions, type StdioServer } from '../../src/upstreams/stdio.ts'
import type {
  Upstream,
  UpstreamExchange,
  UpstreamFailure,
  UpstreamHead,
  UpstreamMessage,
  UpstreamSink,
} from '../../src/upstreams/upstream.ts'
import type { JsonRpcMessage } from '../../src/wire/json-rpc.ts'

const folders: string[] = []
const open: StdioUpstream[] = []

/** Kills the children and removes the scripts; for `afterEach`. */
export async function cleanUp(): Promise<void> {
  for (const upstream of open.splice(0)) {
    upstream.killNow()
    await upstream.close()
  }
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
}

/** A temporary folder that `cleanUp` removes. */
export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'stdio-'))
  folders.push(folder)
  return folder
}

/**
 * A server script; `on(message)` sees each message, `say(object)` answers. `told()` writes to stderr once the gateway has
 * read what was said: more empty lines than the pipe holds come between.
 */
const prelude = `
const say = (message) => process.stdout.write(JSON.stringify(message) + '\\n')
const told = () => process.stdout.write('\\n'.repeat(1_000_000), () => console.error('told'))
const answer = (id, result = {}) => say({ jsonrpc: '2.0', id, result })
const listen = (on) => require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => on(JSON.parse(line), line))
`

export function serverOf(
  command: string,
  args: string[],
  more: Partial<StdioServer['transport']> = {},
): StdioServer {
  return {
    id: 'srv_1',
    name: 'child',
    ownerId: 'usr_1',
    transport: { type: 'stdio', command, args, env: {}, ...more },
    auth: { type: 'none' },
    access: 'private',
    sharing: 'session',
    timeouts: { connectMs: 1000, callMs: 1000, idleMs: 1000 },
    limits: { maxResponseBytes: 1 << 20, maxConnections: 1, maxSessions: 8 },
    reportCost: false,
    status: 'active',
    createdAtMs: 0,
    updatedAtMs: 0,
    revision: 1,
  }
}

export function start(server: StdioServer, more: Partial<StdioOptions> = {}): StdioUpstream {
  const upstream = new StdioUpstream(server, {
    environment: process.env,
    killGraceMs: 200,
    maxQueuedBytes: 1 << 20,
    maxQueuedMessages: 3,
    ...more,
  })
  open.push(upstream)
  return upstream
}

/** A Node program that is an MCP server. */
export function script(
  code: string,
  args: string[] = [],
  more: Partial<StdioServer['transport']> = {},
): StdioServer {
  const file = join(newFolder(), 'server.cjs')
  writeFileSync(file, prelude + code)
  return serverOf(process.execPath, [file, ...args], more)
}

export interface Heard {
  head: UpstreamHead | undefined
  messages: UpstreamMessage[]
  ended: boolean
  failure: UpstreamFailure | undefined
  exchange: UpstreamExchange
  done: Promise<void>
}

export function hear(begin: (sink: UpstreamSink) => UpstreamExchange): Heard {
  const { promise: done, resolve } = Promise.withResolvers<void>()
  const heard = { head: undefined, messages: [], ended: false, failure: undefined, done } as unknown as Heard
  heard.exchange = begin({
    head: (head) => {
      expect(heard.head).toBeUndefined()
      heard.head = head
    },
    message: (message) => heard.messages.push(message),
    end: () => {
      heard.ended = true
      resolve()
    },
    fail: (failure) => {
      heard.failure = failure
      resolve()
    },
  })
  return heard
}

export const send = (upstream: Upstream, message: object, body = JSON.stringify(message)): Heard =>
  hear((sink) =>
    upstream.send({ body: Buffer.from(body), message: message as JsonRpcMessage, headers: {} }, sink),
  )

export const request = (id: string | number, params: object = {}): object => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params,
})
