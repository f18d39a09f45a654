// `npm run bench:transports`: calls through every client transport, every upstream transport and both era bridges.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import type { ChannelLoadSpec } from './channel-load.ts'
import { drive, prepareRequests } from './drive.ts'
import { startMeteredGateway } from './gateway.ts'
import type { BenchServer, MeteredGateway } from './gateway.ts'
import type { LoadResult } from './load.ts'
import type { Era } from './messages.ts'
import { canPin, onCore, otherCore, ownThreadsNs, startScript } from './processes.ts'
import type { Running } from './processes.ts'
import type { ChannelKind } from './raw-channel.ts'
import { machineLine, median, table, writeDated } from './report.ts'

const help = `Usage: npm run bench:transports -- [options]

  --rounds N           rounds of which the median counts (default 5)
  --seconds S          length of one measurement (default 1)
  --connections LIST   default 1,16,64
  --quick              1 round of half a second
  --no-write           leaves bench/results alone
`

/** One way from a client to the fixed server. */
interface Way {
  readonly client: 'streamable-http' | ChannelKind
  readonly era: Era
  /** The server's transport; Streamable HTTP speaks one era on each of its URLs. */
  readonly server: 'http-legacy' | 'http-modern' | 'sse' | 'websocket' | 'stdio'
}

const ways: readonly Way[] = [
  { client: 'streamable-http', era: 'legacy', server: 'http-legacy' },
  { client: 'streamable-http', era: 'modern', server: 'http-modern' },
  { client: 'sse', era: 'legacy', server: 'http-legacy' },
  { client: 'websocket', era: 'legacy', server: 'http-legacy' },
  { client: 'websocket', era: 'modern', server: 'http-modern' },
  { client: 'streamable-http', era: 'legacy', server: 'sse' },
  { client: 'streamable-http', era: 'legacy', server: 'websocket' },
  { client: 'streamable-http', era: 'legacy', server: 'stdio' },
  { client: 'streamable-http', era: 'legacy', server: 'http-modern' },
  { client: 'streamable-http', era: 'modern', server: 'http-legacy' },
]

interface Figures {
  readonly callsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Of the gateway's own process, without the stdio servers that it starts. */
  readonly cpuUsPerCall: number
  readonly errors: number
}

/** Measures a way once at so many connections. */
type Measure = (connections: number) => Promise<Figures>

const bench = (name: string) => join(import.meta.dirname, name)
/** Sessions that the connections of Streamable HTTP share. */
const maxSessions = 16
const channelWarmUpMs = 300

const { values } = parseArgs({
  options: {
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    connections: { type: 'string', default: '1,16,64' },
    quick: { type: 'boolean', default: false },
    'no-write': { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
const rounds = Number(values.rounds ?? (values.quick ? 1 : 5))
const seconds = Number(values.seconds ?? (values.quick ? 0.5 : 1))
const connectionCounts = values.connections.split(',').map(Number)

/** The servers; stdio ones run where the other servers run. */
function serversAt(url: string): BenchServer[] {
  const [command = '', ...args] = onCore(otherCore, [process.execPath, bench('any-upstream.ts'), '--stdio'])
  const transports: Record<Way['server'], object> = {
    'http-legacy': { type: 'streamable-http', url: `${url}/legacy` },
    'http-modern': { type: 'streamable-http', url: `${url}/modern` },
    sse: { type: 'sse', url: `${url}/sse` },
    websocket: { type: 'websocket', url: `${url.replace(/^http/, 'ws')}/ws` },
    stdio: { type: 'stdio', command, args },
  }
  return Object.entries(transports).map(([name, transport]) => ({ name: `bench-${name}`, transport }))
}

const figuresOf = (load: LoadResult, cpuNs: number): Figures => ({
  callsPerSecond: (load.answered / load.durationMs) * 1000,
  p50Ms: load.p50Ms,
  p99Ms: load.p99Ms,
  cpuUsPerCall: cpuNs / 1000 / Math.max(1, load.answered),
  errors: load.errors + (load.answered === 0 ? 1 : 0),
})

/** How many calls the servers on the network have answered. */
async function callsAt({ url }: Running): Promise<number> {
  const counts = (await (await fetch(`${url}/counts`)).json()) as { calls: number }
  return counts.calls
}

/** Opens the sessions, proves them, and warms the way up. */
async function overHttp(
  { era, server }: Way,
  { url, key, pid }: MeteredGateway,
  upstream: Running,
): Promise<Measure> {
  const endpoint = { url: `${url}/mcp/bench-${server}`, token: key }
  const requests = await prepareRequests(endpoint, Math.min(maxSessions, Math.max(...connectionCounts)), era)
  const how = { seconds, generator: 'own' } as const
  const warm = await drive(endpoint.url, requests, { ...how, connections: maxSessions })
  if (warm.errors > 0) throw new Error(`${era} over HTTP to ${server}: ${warm.errors} bad answers`)
  return async (connections) => {
    const before = { ns: ownThreadsNs(pid), calls: await callsAt(upstream) }
    const load = await drive(endpoint.url, requests, { ...how, connections })
    const cpuNs = ownThreadsNs(pid) - before.ns
    // An answer that never reached the server is none. Stdio servers count for themselves.
    const executed = server === 'stdio' ? load.answered : (await callsAt(upstream)) - before.calls
    return figuresOf({ ...load, errors: load.errors + Math.max(0, load.answered - executed) }, cpuNs)
  }
}

/** Each measurement opens connections of its own; what that costs is not measured. */
function overChannel(kind: ChannelKind, { era, server }: Way, { url, key, pid }: MeteredGateway): Measure {
  const { hostname: host, port } = new URL(url)
  const target = { host, port: Number(port), path: `/mcp/bench-${server}`, token: key }
  return async (connections) => {
    const times = { connections, warmUpMs: channelWarmUpMs, durationMs: seconds * 1000 }
    const spec: ChannelLoadSpec = { kind, target, era, ...times }
    const script = [process.execPath, bench('channel-load.ts'), JSON.stringify(spec)]
    const [command = '', ...args] = onCore(otherCore, script)
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    let fromNs = 0
    let toNs = 0
    for await (const line of createInterface({ input: child.stdout })) {
      if (line === 'go') fromNs = ownThreadsNs(pid)
      else if (line === 'over') toNs = ownThreadsNs(pid)
      else return figuresOf(JSON.parse(line.replace('result ', '')) as LoadResult, toNs - fromNs)
    }
    throw new Error(`${kind}, ${era}: the load ended before its result`)
  }
}

interface Sample extends Figures {
  readonly way: Way
  readonly connections: number
}

async function runAll(): Promise<Sample[]> {
  const upstream = await startScript(otherCore, bench('any-upstream.ts'), [])
  const allowed = canPin ? 'taskset' : process.execPath
  const samples: Sample[] = []
  try {
    const gateway = await startMeteredGateway({ TOLLBRIDGE_STDIO_ALLOW: allowed }, serversAt(upstream.url))
    try {
      const measures: [Way, Measure][] = []
      for (const way of ways) {
        const { client } = way
        measures.push([
          way,
          client === 'streamable-http'
            ? await overHttp(way, gateway, upstream)
            : overChannel(client, way, gateway),
        ])
      }
      for (const connections of connectionCounts) {
        for (let round = 0; round < rounds; round++)
          for (const [way, measure] of measures)
            samples.push({ way, connections, ...(await measure(connections)) })
        process.stderr.write(`${connections} connections: done\n`)
      }
    } finally {
      await gateway.stop()
    }
  } finally {
    await upstream.stop()
  }
  return samples
}

const head = ['client', 'era', 'server', 'conns', 'calls/s', 'p50 ms', 'p99 ms', 'CPU µs/call', 'errors']

/** The median of a cell's rounds, each figure by itself; errors are summed. */
function rowsOf(samples: readonly Sample[]): (string | number)[][] {
  const cells = ways.flatMap((way) =>
    connectionCounts.map((connections) =>
      samples.filter((sample) => sample.way === way && sample.connections === connections),
    ),
  )
  return cells.flatMap((cell) => {
    const [first] = cell
    if (!first) return []
    const of = (pick: (figures: Figures) => number) => median(cell.map(pick))
    return [
      [
        first.way.client,
        first.way.era,
        first.way.server,
        first.connections,
        of(({ callsPerSecond }) => callsPerSecond).toFixed(0),
        of(({ p50Ms }) => p50Ms).toFixed(3),
        of(({ p99Ms }) => p99Ms).toFixed(2),
        of(({ cpuUsPerCall }) => cpuUsPerCall).toFixed(1),
        cell.reduce((sum, { errors }) => sum + errors, 0),
      ],
    ]
  })
}

const report = (samples: readonly Sample[]): string => `# Transports of ${new Date().toISOString()}

${machineLine()}
1 KB JSON answers, one call in flight a connection, everything on and on disk. Medians of ${rounds} rounds of ${seconds} s, the
ways interleaved within each round${canPin ? '; the gateway is pinned to core 0, load and servers to core 1' : '; nothing is pinned'}. CPU: of the gateway's own process.
Connections of Streamable HTTP share up to ${maxSessions} sessions; those of HTTP+SSE and WebSocket are a session each. Errors:
broken connections, answers that are not right (over HTTP+SSE and WebSocket each is compared in full) and, over Streamable
HTTP, answers that never reached the server.

${table(head, rowsOf(samples))}`

if (values.help) console.log(help)
else {
  const samples = await runAll()
  console.log(report(samples))
  if (!values['no-write']) console.log(`\nwritten to ${writeDated('transports', report(samples))}`)
  if (samples.some(({ errors }) => errors > 0)) process.exitCode = 1
}
