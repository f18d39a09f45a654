// The published servers of the matrix: how each is started or registered, what is asked of it, and its cells' names.
import { spawn, type ChildProcess } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { Checks } from './behaviours.ts'
import { clients } from './cells.ts'
import type { ClientKind } from './conversation.ts'
import { everythingChecks, filesystemChecks, memoryChecks } from './public-checks.ts'
import { eraOf, type TransportName } from './revisions.ts'
import { until } from '../harness/until.ts'

export interface PublicServer {
  /** As it is registered: `everything-sse`. */
  readonly name: string
  readonly transport: TransportName
  readonly checks: Checks
  /** How it is registered; starts what must run for that. */
  readonly start: () => Promise<{ readonly registration: object; readonly process?: ChildProcess }>
}

const pathOf = (name: string): string =>
  createRequire(import.meta.url).resolve(`@modelcontextprotocol/server-${name}/dist/index.js`)

const onStdio = (
  name: string,
  { args = [], env = {} }: { args?: string[]; env?: Record<string, string> } = {},
) => ({
  registration: { type: 'stdio', command: process.execPath, args: [pathOf(name), ...args], env },
})

/** server-everything takes its port from the environment and does not tell which it got. */
async function startEverything(
  mode: 'sse' | 'streamableHttp',
): Promise<{ port: number; process: ChildProcess }> {
  for (let attempt = 1; ; attempt++) {
    // Below the range from which the system hands out ports by itself.
    const port = randomInt(15_000, 32_000)
    const child = spawn(process.execPath, [pathOf('everything'), mode], {
      env: { ...process.env, PORT: String(port) },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-5000)))
    try {
      await until(
        () => {
          if (child.exitCode !== null) throw new Error(said)
          return said.includes(`port ${port}`)
        },
        'server-everything',
        20_000,
      )
      return { port, process: child }
    } catch (error) {
      child.kill('SIGKILL')
      if (attempt === 3) throw error
    }
  }
}

/** `folder` is where those that keep files keep them. */
export const publicServers = (folder: string): readonly PublicServer[] => [
  {
    name: 'everything-stdio',
    transport: 'stdio',
    checks: everythingChecks,
    start: () => Promise.resolve(onStdio('everything', { args: ['stdio'] })),
  },
  {
    name: 'everything-sse',
    transport: 'sse',
    checks: everythingChecks,
    start: async () => {
      const { port, process } = await startEverything('sse')
      return { registration: { type: 'sse', url: `http://127.0.0.1:${port}/sse` }, process }
    },
  },
  {
    name: 'everything-http',
    transport: 'streamable-http',
    checks: everythingChecks,
    start: async () => {
      const { port, process } = await startEverything('streamableHttp')
      return { registration: { type: 'streamable-http', url: `http://127.0.0.1:${port}/mcp` }, process }
    },
  },
  {
    name: 'filesystem',
    transport: 'stdio',
    checks: filesystemChecks(join(folder, 'files')),
    start: () => {
      const files = join(folder, 'files')
      mkdirSync(files)
      writeFileSync(join(files, 'hello.txt'), 'hello from a file')
      writeFileSync(join(files, 'large.txt'), 'x'.repeat(300_000))
      return Promise.resolve(onStdio('filesystem', { args: [files] }))
    },
  },
  {
    name: 'memory',
    transport: 'stdio',
    checks: memoryChecks,
    start: () =>
      Promise.resolve(onStdio('memory', { env: { MEMORY_FILE_PATH: join(folder, 'memory.jsonl') } })),
  },
]

export interface PublicPair {
  readonly client: ClientKind
  readonly server: PublicServer
}

/** One server after the other: server-memory's children share a file that only one of them may write at a time. */
export const publicPairs = (servers: readonly PublicServer[]): readonly PublicPair[] =>
  servers.flatMap((server) => clients.map((client) => ({ client, server })))

/** `websocket × everything-sse, 2024-11-05: call` */
export const publicCell = ({ client, server }: PublicPair, behaviour: string): string => {
  const second = client.sdk === '2.4' && eraOf(client.revision) === 'legacy' ? ' (SDK 2)' : ''
  return `${client.transport}${second} × ${server.name}, ${client.revision}: ${behaviour}`
}

export const publicCells = (): string[] =>
  publicPairs(publicServers('')).flatMap((pair) =>
    [...Object.keys(pair.server.checks), 'bill'].map((behaviour) => publicCell(pair, behaviour)),
  )
