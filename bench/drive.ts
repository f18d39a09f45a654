// Opens MCP sessions at a target and drives calls through them, with wrk where it is installed or our own generator.
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { LoadResult, LoadSpec } from './load.ts'
import { callHeaders, callOf, initialize, initialized, isRight } from './messages.ts'
import type { Era } from './messages.ts'
import { onCore, otherCore } from './processes.ts'

const run = promisify(execFile)

/** Where calls go. */
export interface Endpoint {
  readonly url: string
  readonly token?: string
}

export type Generator = 'wrk' | 'own'

const authorization = ({ token }: Endpoint) =>
  token === undefined ? {} : { authorization: `Bearer ${token}` }

async function post(
  endpoint: Endpoint,
  message: object,
  headers: Readonly<Record<string, string>>,
): Promise<Response> {
  const response = await fetch(endpoint.url, {
    method: 'POST',
    headers: { ...headers, ...authorization(endpoint) },
    body: JSON.stringify(message),
    signal: AbortSignal.timeout(10_000),
  })
  if (!response.ok) throw new Error(`${endpoint.url} answered ${response.status}: ${await response.text()}`)
  return response
}

async function openSession(endpoint: Endpoint): Promise<string> {
  const response = await post(endpoint, initialize, callHeaders('legacy'))
  await response.text()
  const session = response.headers.get('mcp-session-id')
  if (session === null) throw new Error(`${endpoint.url} gave no session id`)
  await (await post(endpoint, initialized, callHeaders('legacy', session))).text()
  return session
}

/** The message of an answer, be it JSON or a stream of one event. */
const messageIn = (text: string): string =>
  (text.startsWith('{') ? text : /^data: ?(\{.*)$/m.exec(text)?.[1]) ?? ''

/**
 * Opens `sessions` sessions (none in the modern era), proves with one call each that the answer is right, and makes whole
 * HTTP requests that take turns over them. There are more requests than connections, so no two in flight share an id.
 */
export async function prepareRequests(
  endpoint: Endpoint,
  sessions: number,
  era: Era = 'legacy',
): Promise<string[]> {
  const opened: (string | undefined)[] =
    era === 'modern'
      ? [undefined]
      : await Promise.all(Array.from({ length: sessions }, () => openSession(endpoint)))
  for (const session of opened) {
    const text = await (await post(endpoint, callOf(1, era), callHeaders(era, session))).text()
    const message = messageIn(text)
    if (message === '' || !isRight(message, 1))
      throw new Error(`${endpoint.url} answered a call with ${text.slice(0, 300)}`)
  }
  const { host, pathname } = new URL(endpoint.url)
  return Array.from({ length: 1024 }, (_unused, index) => {
    const body = JSON.stringify(callOf(1000 + index, era))
    const headers = {
      host,
      ...callHeaders(era, opened[index % opened.length]),
      ...authorization(endpoint),
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
