// Where the CPU of a call goes: threads from the kernel's accounting, parts of the main thread from a CPU profile.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { drive, prepareRequests } from './drive.ts'
import { hasWrk } from './processes.ts'
import { startTarget, startUpstream } from './targets.ts'

interface ProfileNode {
  readonly id: number
  readonly callFrame: { readonly functionName: string; readonly url: string }
  readonly children?: readonly number[]
}

interface CpuProfile {
  readonly nodes: readonly ProfileNode[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

const seconds = 6
const startup = new Set(['runMain', 'executeUserEntryPoint', 'importModuleDynamicallyCallback'])

/** The part of the program that a frame belongs to. */
function partOf({ functionName, url }: ProfileNode['callFrame']): string {
  const own = /\/src\/([a-z]+)\//.exec(url)?.[1]
  if (own !== undefined && !url.includes('node_modules')) return `src/${own}`
  if (url.includes('node_modules')) return 'other packages'
  if (/^node:.*http/.test(url)) return 'node:http (towards the client)'
  if (/^node:.*(stream|net)/.test(url)) return 'node: sockets and streams'
  if (url.startsWith('node:')) return 'node: the rest'
  if (functionName === 'postMessage') return 'waking the store thread (and, on one core, its work)'
  if (functionName === 'writev' || functionName === 'writeBuffer') return 'system calls that write to sockets'
  if (functionName === '(garbage collector)') return 'garbage collection'
  return 'V8 and native code'
}

/** Microseconds of the main thread by part; the start of the program and idle time are left out. */
function partsOf(profile: CpuProfile): Map<string, number> {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]))
  const parents = new Map(
    profile.nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node.id])),
  )
  const isStartup = (id: number): boolean => {
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at))
      if (startup.has(nodes.get(at)?.callFrame.functionName ?? '')) return true
    return false
  }
  const parts = new Map<string, number>()
  const skipped = new Map<number, boolean>()
  for (const [index, id] of profile.samples.entries()) {
    const frame = nodes.get(id)?.callFrame
    if (!frame || frame.functionName === '(idle)') continue
    if (!skipped.has(id)) skipped.set(id, isStartup(id))
    if (skipped.get(id)) continue
    const part = partOf(frame)
    parts.set(part, (parts.get(part) ?? 0) + (profile.timeDeltas[index] ?? 0))
  }
  return parts
}

/** CPU microseconds of each thread of a process so far, by name; V8's helpers together. */
function threadUs(pid: number): Map<string, number> {
  const threads = new Map<string, number>()
  for (const id of readdirSync(`/proc/${pid}/task`)) {
    const name = readFileSync(`/proc/${pid}/task/${id}/comm`, 'utf8').trim()
    const us = Number(readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'utf8').split(' ')[0]) / 1000
    threads.set(name, (threads.get(name) ?? 0) + us)
  }
  return threads
}

async function measure(connections: number, folder: string): Promise<string[]> {
  const upstream = await startUpstream()
  const before = process.env['NODE_OPTIONS']
  process.env['NODE_OPTIONS'] = `--cpu-prof --cpu-prof-dir=${folder}`
  const target = await startTarget('tollbridge', upstream)
  if (before === undefined) delete process.env['NODE_OPTIONS']
  else process.env['NODE_OPTIONS'] = before
  const endpoint = target.endpoint('json-1k')
  const requests = await prepareRequests(endpoint, 16)
  const generator = hasWrk ? 'wrk' : 'own'
  await drive(endpoint.url, requests, { connections, seconds: 2, generator })
  const start = threadUs(target.pid)
  const { answered } = await drive(endpoint.url, requests, { connections, seconds, generator })
  const end = threadUs(target.pid)
  await target.stop()
  await upstream.stop()
  const perCall = [...end]
    .map(([name, us]) => [name, (us - (start.get(name) ?? 0)) / answered] as const)
    .filter(([, us]) => us >= 0.5)
  const file = readdirSync(folder).find((name) => name.endsWith('.cpuprofile')) ?? ''
  const parts = partsOf(JSON.parse(readFileSync(join(folder, file), 'utf8')) as CpuProfile)
  const total = [...parts.values()].reduce((sum, us) => sum + us, 0)
  return [
    `\n## ${connections} connections, 1 KB JSON, ${Math.round(answered / seconds)} calls/s with the profiler on\n`,
    ...table(
      'thread',
      'µs of CPU a call',
      perCall.map(([name, us]) => [name, us.toFixed(1)]),
    ),
    '',
    ...table(
      'part of the main thread',
      'share',
      [...parts]
        .toSorted((a, b) => b[1] - a[1])
        .map(([part, us]) => [part, `${((100 * us) / total).toFixed(1)} %`]),
    ),
  ]
}

function table(left: string, right: string, rows: readonly (readonly [string, string])[]): string[] {
  return [`| ${left} | ${right} |`, '| --- | --- |', ...rows.map(([name, value]) => `| ${name} | ${value} |`)]
}

const lines = [
  `# Stages of ${new Date().toISOString()}`,
  '',
  'Where the CPU of a metered call goes, everything on and on disk, pinned to one core.',
]
for (const connections of [16, 64]) {
  const folder = mkdtempSync(join(tmpdir(), 'tollbridge-stages-'))
  try {
    lines.push(...(await measure(connections, folder)))
  } finally {
    rmSync(folder, { recursive: true })
  }
}
const results = join(import.meta.dirname, 'results')
mkdirSync(results, { recursive: true })
const file = join(results, `stages-${new Date().toISOString().slice(0, 10)}.md`)
writeFileSync(file, `${lines.join('\n')}\n`)
console.log(lines.join('\n'))
