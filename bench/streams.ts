// `npm run bench:streams`: the memory of thousands of idle client streams, and how fast one push reaches all of them.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startMeteredGateway } from './gateway.ts'
import type { MeteredGateway } from './gateway.ts'
import { canPin, otherCore, rssBytes, startScript } from './processes.ts'
import type { Running } from './processes.ts'
import type { ChannelKind } from './raw-channel.ts'
import { machineLine, table, writeDated } from './report.ts'
import type { OpenSpec, PushResult } from './stream-clients.ts'

const help = `Usage: npm run bench:streams -- [options]

  --clients N     idle clients of each kind (default 5000)
  --kinds LIST    of sse, websocket (default: both)
  --sharing LIST  of session (each client's stream has one of its own at the server) and server (all share one);
                  default: both
  --pushes N      notifications to all, one after the other (default 3)
  --no-write      leaves bench/results alone
`

type Sharing = 'session' | 'server'

interface Cell {
  readonly kind: ChannelKind
  readonly sharing: Sharing
}

/** Bytes of the gateway; `live` is the JavaScript heap after a collection. */
interface Memory {
  readonly rss: number
  readonly live: number
}

interface Measured extends Cell {
  readonly openMs: number
  readonly perStream: Memory
  /** Of the second half of the streams alone: free of what the opening of any costs once. */
  readonly perLaterStream: Memory
  readonly pushes: readonly PushResult[]
}

/** Streams of which the gateway is warm, and which are closed again before it is measured. */
const warmUp = 200
const settleMs = 2000
/** One session with a server is shared by 1,000 at most, so that more clients take more servers. */
const perServer: Record<Sharing, number> = { session: Number.POSITIVE_INFINITY, server: 1000 }
const serversFor = (sharing: Sharing, count: number) => Math.ceil(Math.max(1, count / perServer[sharing]))
const serverName = (index: number) => `bench-streams-${index + 1}`
/** Descriptors of a process besides its streams. */
const spareDescriptors = 500

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '5000' },
    kinds: { type: 'string', default: 'sse,websocket' },
    sharing: { type: 'string', default: 'session,server' },
    pushes: { type: 'string', default: '3' },
    'no-write': { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
const clients = Number(values.clients)

/** Node raises its own soft limit to the hard one, so that the hard one counts. */
function checkDescriptors(): void {
  const limit = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
  const wanted = 2 * clients + spareDescriptors
  if (limit === undefined || limit === 'unlimited' || Number(limit) >= wanted) return
  throw new Error(
    `the gateway needs ${wanted} descriptors, ulimit -Hn is ${limit}: raise it or take --clients ${Math.floor((Number(limit) - spareDescriptors) / 2)}`,
  )
}

async function ask<T>(clientsUrl: string, path: string, body: unknown = ''): Promise<T> {
  const response = await fetch(clientsUrl + path, { method: 'POST', body: JSON.stringify(body) })
  if (!response.ok) throw new Error(`${path}: ${await response.text()}`)
  return (await response.json()) as T
}

async function metric({ url }: MeteredGateway, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
}

async function memoryOf(gateway: MeteredGateway): Promise<Memory> {
  await sleep(settleMs)
  const rss = rssBytes(gateway.pid)
  process.kill(gateway.pid, 'SIGUSR2')
  await sleep(settleMs)
  return { rss, live: await metric(gateway, 'tollbridge_heap_used_bytes') }
}

const growth = (from: Memory, to: Memory, streams: number): Memory => ({
  rss: (to.rss - from.rss) / streams,
  live: (to.live - from.live) / streams,
})

async function until(holds: () => Promise<boolean>, what: string): Promise<void> {
  for (const endMs = performance.now() + 60_000; performance.now() < endMs; await sleep(50))
    if (await holds()) return
  throw new Error(`in a minute this did not come: ${what}`)
}

/** Standing streams at the upstream. */
async function streamsAt({ url }: Running): Promise<number> {
  const counts = (await (await fetch(`${url}/counts`)).json()) as { streams: number }
  return counts.streams
}

/** What runs for one cell. */
interface Rig {
  readonly gateway: MeteredGateway
  readonly upstream: Running
  readonly helper: Running
}

/**
 * Opens clients `from` up to but not including `to`, server by server. Resolves with the milliseconds until all have
 * their streams.
 */
async function open(
  { kind, sharing }: Cell,
  { gateway, upstream, helper }: Rig,
  [from, to]: [number, number],
) {
  const { hostname: host, port } = new URL(gateway.url)
  const startedMs = performance.now()
  for (let at = from; at < to;) {
    const server = Math.floor(at / perServer[sharing])
    const count = Math.min(to, (server + 1) * perServer[sharing]) - at
    const target = { host, port: Number(port), path: `/mcp/${serverName(server)}`, token: gateway.key }
    await ask(helper.url, '/open', { ...target, kind, clients: count } satisfies OpenSpec)
    at += count
  }
  const streams = sharing === 'server' ? serversFor(sharing, to) : to
  await until(async () => (await streamsAt(upstream)) === streams, `${streams} streams at the server`)
  return performance.now() - startedMs
}

async function measureWith(cell: Cell, rig: Rig): Promise<Measured> {
  const { gateway, upstream, helper } = rig
  await open(cell, rig, [0, warmUp])
  await ask(helper.url, '/close')
  await until(async () => (await metric(gateway, 'tollbridge_sessions')) === 0, 'the end of all sessions')
  await until(async () => (await streamsAt(upstream)) <= (cell.sharing === 'server' ? 1 : 0), 'no streams')
  const half = clients >> 1
  const before = await memoryOf(gateway)
  const firstMs = await open(cell, rig, [0, half])
  const between = await memoryOf(gateway)
  const openMs = firstMs + (await open(cell, rig, [half, clients]))
  const after = await memoryOf(gateway)
  const perStream = growth(before, after, clients)
  const perLaterStream = growth(between, after, clients - half)
  const pushes: PushResult[] = []
  for (let turn = 0; turn < Number(values.pushes); turn++)
    pushes.push(await ask<PushResult>(helper.url, '/push', `${upstream.url}/push`))
  const { broken } = await ask<{ broken: number }>(helper.url, '/state')
  const wrong = pushes.reduce((sum, { missing, repeated }) => sum + missing + repeated, broken)
  if (wrong > 0) process.exitCode = 1
  if (broken > 0) process.stderr.write(`${cell.kind}, ${cell.sharing}: ${broken} clients were cut off\n`)
  return { ...cell, openMs, perStream, perLaterStream, pushes }
}

/** One cell with processes of its own, so that none has another's memory. */
async function measure(cell: Cell): Promise<Measured> {
  const upstream = await startScript(otherCore, join(import.meta.dirname, 'any-upstream.ts'), [])
  const helper = await startScript(otherCore, join(import.meta.dirname, 'stream-clients.ts'), [])
  const room = String(Math.min(100_000, 2 * clients + warmUp))
  const env = {
    NODE_OPTIONS: `--expose-gc --import ${join(import.meta.dirname, 'collect-on-signal.ts')}`,
    TOLLBRIDGE_SESSIONS_MAX_PER_PRINCIPAL: room,
    TOLLBRIDGE_SESSIONS_MAX_TOTAL: room,
    TOLLBRIDGE_HTTP_MAX_CONNECTIONS: room,
  }
  const servers = Array.from({ length: serversFor(cell.sharing, clients) }, (_unused, index) => ({
    name: serverName(index),
    sharing: cell.sharing,
    transport: { type: 'streamable-http', url: `${upstream.url}/legacy` },
    limits: { maxSessions: Number(room) },
  }))
  try {
    const gateway = await startMeteredGateway(env, servers)
    try {
      return await measureWith(cell, { gateway, upstream, helper })
    } finally {
      await helper.stop()
      await gateway.stop()
    }
  } finally {
    await helper.stop()
    await upstream.stop()
  }
}

const kilobytes = (bytes: number): string => (bytes / 1000).toFixed(1)

function rowOf({ kind, sharing, openMs, perStream, perLaterStream, pushes }: Measured): (string | number)[] {
  const all = pushes.flatMap(({ latenciesMs }) => latenciesMs).toSorted((left, right) => left - right)
  const at = (share: number) => (all[Math.ceil(all.length * share) - 1] ?? Number.NaN).toFixed(0)
  const sum = (pick: (push: PushResult) => number) => pushes.reduce((total, one) => total + pick(one), 0)
  return [
    kind,
    sharing,
    (openMs / 1000).toFixed(1),
    kilobytes(perStream.rss),
    kilobytes(perLaterStream.rss),
    kilobytes(perStream.live),
    at(0.5),
    at(0.99),
    at(1),
    sum(({ missing }) => missing),
    sum(({ repeated }) => repeated),
  ]
}

const head = [
  'clients',
  'stream at the server',
  's to open all',
  'RSS kB',
  'RSS kB, 2nd half',
  'live heap kB',
]
const pushHead = ['push p50 ms', 'p99 ms', 'max ms', 'missing', 'repeated']

const report = (measured: readonly Measured[]): string => `# Idle streams of ${new Date().toISOString()}

${machineLine()}
${clients} idle clients of each kind, each an initialised legacy session with its standing stream, at a gateway of their own${canPin ? '\nthat is pinned to core 0; clients and server share core 1' : '; nothing is pinned'}. Kilobytes (1,000 bytes) of the gateway for each stream: resident
memory (of all streams, and of their second half alone, which is free of what is paid once), and the JavaScript heap that
lives after a collection. Stream at the server: with \`session\` each client's has a connection of its own, which counts in;
with \`server\` up to 1,000 clients share one. Push: one notification to all, ${values.pushes} times, from the server's first write until
a client has it.

${table([...head, ...pushHead], measured.map(rowOf))}`

if (values.help) console.log(help)
else {
  checkDescriptors()
  const measured: Measured[] = []
  for (const kind of values.kinds.split(',') as ChannelKind[])
    for (const sharing of values.sharing.split(',') as Sharing[]) {
      measured.push(await measure({ kind, sharing }))
      process.stderr.write(`${kind}, ${sharing}: done\n`)
    }
  console.log(report(measured))
  if (!values['no-write']) console.log(`\nwritten to ${writeDated('streams', report(measured))}`)
}
