// Opens MCP sessions at a target and drives calls through them, with wrk where it is installed or our own generator.
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { LoadResult, LoadSpec } from './load.ts'
import { onCore, otherCore } from './processes.ts'

const run = promisify(execFile)

/** Where calls go. */
export interface Endpoint {
  readonly url: string
  readonly token?: string
}

export type Generator = 'wrk' | 'own'

const protocolVersion = '2025-11-25'

function headersOf(endpoint: Endpoint, session?: string): Record<string, string> {
  return {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    ...(endpoint.token === undefined ? {} : { authorization: `Bearer ${endpoint.token}` }),
    ...(session === undefined ? {} : { 'mcp-session-id': session, 'mcp-protocol-version': protocolVersion }),
  }
}

async function post(endpoint: Endpoint, message: object, session?: string): Promise<Response> {
  const response = await fetch(endpoint.url, {
    method: 'POST',
    headers: headersOf(endpoint, session),
    body: JSON.stringify({ jsonrpc: '2.0', ...message }),
    signal: AbortSignal.timeout(10_000),
  })
  if (!response.ok) throw new Error(`${endpoint.url} answered ${response.status}: ${await response.text()}`)
  return response
}

async function openSession(endpoint: Endpoint): Promise<string> {
  const params = { protocolVersion, capabilities: {}, clientInfo: { name: 'bench', version: '1.0.0' } }
  const response = await post(endpoint, { id: 0, method: 'initialize', params })
  await response.text()
  const session = response.headers.get('mcp-session-id')
  if (session === null) throw new Error(`${endpoint.url} gave no session id`)
  await (await post(endpoint, { method: 'notifications/initialized' }, session)).text()
  return session
}

const callOf = (id: number) => ({
  id,
  method: 'tools/call',
  params: { name: 'work', arguments: { customer: 'c-1204', text: 'y'.repeat(100), limit: 25, exact: true } },
})

/**
 * Opens `sessions` sessions, proves with one call each that the answer is right, and makes whole HTTP requests that
 * take turns over them. There are more requests than connections, so no two calls in flight share an id.
 */
export async function prepareRequests(endpoint: Endpoint, sessions: number): Promise<string[]> {
  const opened = await Promise.all(Array.from({ length: sessions }, () => openSession(endpoint)))
  for (const session of opened) {
    const text = await (await post(endpoint, callOf(1), session)).text()
    if (!text.includes('"result"') || text.includes('"isError":true'))
      throw new Error(`${endpoint.url} answered a call with ${text.slice(0, 300)}`)
  }
  const { host, pathname } = new URL(endpoint.url)
  return Array.from({ length: 1024 }, (_unused, index) => {
    const body = JSON.stringify({ jsonrpc: '2.0', ...callOf(1000 + index) })
    const headers = {
      host,
      ...headersOf(endpoint, opened[index % opened.length]),
      'content-length': body.length,
    }
    const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
    return `POST ${pathname} HTTP/1.1\r\n${head.join('')}\r\n${body}`
  })
}

/** The requests as a script for wrk, and its summary as a line of JSON. */
function luaOf(requests: readonly string[]): string {
  return `local requests = {
${requests.map((request) => JSON.stringify(request)).join(',\n')}
}
local turn = 0
request = function()
  turn = turn % #requests + 1
  return requests[turn]
end
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('\\nresult {"answered":%d,"durationMs":%f,"p50Ms":%f,"p99Ms":%f,"errors":%d}\\n',
    summary.requests - e.status, summary.duration / 1000, latency:percentile(50) / 1000,
    latency:percentile(99) / 1000, e.connect + e.read + e.write + e.status + e.timeout))
end
`
}

export interface Drive {
  readonly connections: number
  readonly seconds: number
  readonly generator: Generator
}

/** Drives `requests` at `url` for a while. wrk takes whole seconds and checks statuses only; ours checks bodies too. */
export async function drive(url: string, requests: readonly string[], options: Drive): Promise<LoadResult> {
  const { connections, seconds, generator } = options
  const folder = mkdtempSync(join(tmpdir(), 'bench-'))
  const file = join(folder, 'requests')
  const { hostname: host, port } = new URL(url)
  try {
    if (generator === 'wrk') {
      writeFileSync(file, luaOf(requests))
      const wrk = [
        'wrk',
        '-t1',
        `-c${connections}`,
        `-d${Math.max(1, Math.round(seconds))}s`,
        '-s',
        file,
        url,
      ]
      const [command = '', ...args] = onCore(otherCore, wrk)
      const { stdout } = await run(command, args)
      return JSON.parse(/^result (.*)$/m.exec(stdout)?.[1] ?? 'null') as LoadResult
    }
    const spec: LoadSpec = { host, port: Number(port), connections, durationMs: seconds * 1000, requests }
    writeFileSync(file, JSON.stringify(spec))
    const script = join(import.meta.dirname, 'load.ts')
    const [command = '', ...args] = onCore(otherCore, [process.execPath, script, file])
    return JSON.parse((await run(command, args)).stdout) as LoadResult
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
