// The fixed MCP server of the transport and stream benches: every transport, both eras, and one push to all its streams.
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { WebSocketServer } from 'ws'
import { modernVersion } from './messages.ts'

interface Asked {
  readonly id?: string | number
  readonly method?: string
  readonly params?: { readonly protocolVersion?: string }
}

type Era = 'legacy' | 'modern'

const json = { 'content-type': 'application/json' }
const eventStream = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' }
const content = `"content":[{"type":"text","text":"${'x'.repeat(940)}"}]`
const tools = [{ name: 'work', description: 'answers', inputSchema: { type: 'object' } }]
const capabilities = { tools: { listChanged: true } }
const serverInfo = { name: 'bench-upstream', version: '1.0.0' }

let calls = 0
/** The standing streams of Streamable HTTP. */
const standing = new Set<ServerResponse>()
/** The streams of HTTP+SSE by the token in their message URL. */
const sseStreams = new Map<string, ServerResponse>()
let lastToken = 0

function resultOf({ method = '', params }: Asked, era: Era): object | undefined {
  const whole = era === 'modern' ? { resultType: 'complete' } : {}
  const cacheable = era === 'modern' ? { ...whole, ttlMs: 60_000, cacheScope: 'public' } : {}
  if (method === 'tools/list') return { ...cacheable, tools }
  if (era === 'modern')
    return method === 'server/discover'
      ? { ...cacheable, supportedVersions: [modernVersion], capabilities, serverInfo }
      : undefined
  if (method === 'ping') return {}
  if (method !== 'initialize') return undefined
  return { protocolVersion: params?.protocolVersion ?? '2025-11-25', capabilities, serverInfo }
}

/** The answer to a message; undefined for a notification. */
function answerTo(asked: Asked, era: Era): string | undefined {
  const { id, method } = asked
  if (id === undefined) return undefined
  const head = `{"jsonrpc":"2.0","id":${typeof id === 'number' ? id : JSON.stringify(id)}`
  if (method === 'tools/call') {
    calls++
    return `${head},"result":{${era === 'modern' ? '"resultType":"complete",' : ''}${content}}}`
  }
  const result = resultOf(asked, era)
  const rest = result ? { result } : { error: { code: -32601, message: 'Method not found' } }
  return `${head},${JSON.stringify(rest).slice(1)}`
}

/** One notification to every standing stream; it carries the time of the first write, of the machine's own clock. */
function push(): void {
  const _meta = { pushedNs: String(process.hrtime.bigint()) }
  const message = { jsonrpc: '2.0', method: 'notifications/tools/list_changed', params: { _meta } }
  const event = `event: message\ndata: ${JSON.stringify(message)}\n\n`
  for (const stream of standing) stream.write(event)
}

function postHttp(response: ServerResponse, asked: Asked, era: Era): void {
  const answer = answerTo(asked, era)
  if (answer === undefined) return void response.writeHead(202).end()
  const session = asked.method === 'initialize' && { 'mcp-session-id': `bench-${++lastToken}` }
  response.writeHead(200, { ...json, ...session, 'content-length': Buffer.byteLength(answer) }).end(answer)
}

function openStanding(response: ServerResponse): void {
  response.writeHead(200, eventStream).flushHeaders()
  standing.add(response)
  response.once('close', () => standing.delete(response))
}

function openSse(response: ServerResponse): void {
  const token = String(++lastToken)
  sseStreams.set(token, response)
  response.once('close', () => sseStreams.delete(token))
  response.writeHead(200, eventStream).write(`event: endpoint\ndata: /message?sessionId=${token}\n\n`)
}

function postSse(response: ServerResponse, token: string | null, asked: Asked): void {
  const stream = sseStreams.get(token ?? '')
  if (!stream) return void response.writeHead(404).end()
  response.writeHead(202, { 'content-length': 8 }).end('Accepted')
  const answer = answerTo(asked, 'legacy')
  if (answer !== undefined) stream.write(`event: message\ndata: ${answer}\n\n`)
}

function handle(request: IncomingMessage, response: ServerResponse, body: string): void {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost')
  const where = `${request.method} ${pathname}`
  const asked = () => JSON.parse(body) as Asked
  if (where === 'GET /counts')
    response.writeHead(200, json).end(JSON.stringify({ calls, streams: standing.size }))
  else if (where === 'POST /push') {
    push()
    response.writeHead(204).end()
  } else if (where === 'POST /legacy') postHttp(response, asked(), 'legacy')
  else if (where === 'POST /modern') postHttp(response, asked(), 'modern')
  else if (where === 'GET /legacy') openStanding(response)
  else if (where === 'DELETE /legacy') response.writeHead(200).end()
  else if (where === 'GET /sse') openSse(response)
  else if (where === 'POST /message') postSse(response, searchParams.get('sessionId'), asked())
  else response.writeHead(where.endsWith('/modern') ? 405 : 404).end()
}

function serveNetwork(): void {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => handle(request, response, Buffer.concat(chunks).toString()))
  })
  const sockets = new WebSocketServer({ server, path: '/ws', perMessageDeflate: false })
  sockets.on('connection', (socket) =>
    socket.on('message', (data: Buffer) => {
      const answer = answerTo(JSON.parse(data.toString()) as Asked, 'legacy')
      if (answer !== undefined) socket.send(answer)
    }),
  )
  // Thousands of connections come at once.
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
    console.log(`ready http://127.0.0.1:${(server.address() as AddressInfo).port}`),
  )
}

function serveStdio(): void {
  createInterface({ input: process.stdin }).on('line', (line) => {
    const answer = answerTo(JSON.parse(line) as Asked, 'legacy')
    if (answer !== undefined) process.stdout.write(`${answer}\n`)
  })
}

if (process.argv[2] === '--stdio') serveStdio()
else serveNetwork()
