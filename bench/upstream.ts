// The fixed MCP server that every way of the bench leads to: legacy era, static answers, ids echoed.
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseArgs } from 'node:util'

/** What an answer looks like; also the path under which the upstream serves it. */
export const modes = ['json-1k', 'sse-1k', 'json-32k', 'sse-32k'] as const
export type Mode = (typeof modes)[number]

interface Shape {
  readonly sse: boolean
  /** What follows the id. */
  readonly tail: string
}

function shapeOf(mode: Mode): Shape {
  const sse = mode.startsWith('sse')
  const size = mode.endsWith('32k') ? 32 * 1024 : 1024
  const tail = (text: string) =>
    `,"result":{"content":[{"type":"text","text":"${text}"}]}}${sse ? '\n\n' : ''}`
  const framing = sse ? 'event: message\ndata: ' : ''
  const rest = `${framing}{"jsonrpc":"2.0","id":1000${tail('')}`.length
  return { sse, tail: tail('x'.repeat(size - rest)) }
}

const shapes = new Map(modes.map((mode) => [`/${mode}`, shapeOf(mode)]))
let calls = 0

const json = { 'content-type': 'application/json' }

function answer(request: IncomingMessage, response: ServerResponse, body: Buffer): void {
  if (request.url === '/calls') return void response.writeHead(200, json).end(String(calls))
  const shape = shapes.get(request.url ?? '')
  if (!shape) return void response.writeHead(404).end()
  if (request.method === 'DELETE') return void response.writeHead(200).end()
  if (request.method !== 'POST') return void response.writeHead(405, { allow: 'POST, DELETE' }).end()
  const { id, method, params } = JSON.parse(body.toString()) as {
    id?: string | number
    method: string
    params?: { protocolVersion?: string }
  }
  if (id === undefined) return void response.writeHead(202).end()
  const head = `{"jsonrpc":"2.0","id":${typeof id === 'number' ? id : JSON.stringify(id)}`
  if (method === 'tools/call') {
    calls++
    if (shape.sse) {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
      response.end(`event: message\ndata: ${head}${shape.tail}`)
      return
    }
    const text = head + shape.tail
    response.writeHead(200, { ...json, 'content-length': text.length }).end(text)
    return
  }
  const results: Record<string, object> = {
    initialize: {
      protocolVersion: params?.protocolVersion ?? '2025-11-25',
      capabilities: { tools: {} },
      serverInfo: { name: 'bench-upstream', version: '1.0.0' },
    },
    'tools/list': { tools: [{ name: 'work', description: 'answers', inputSchema: { type: 'object' } }] },
    ping: {},
  }
  const result = results[method]
  const rest = result ? { result } : { error: { code: -32601, message: 'Method not found' } }
  const session = method === 'initialize' ? { 'mcp-session-id': `bench-${Date.now()}-${Math.random()}` } : {}
  response.writeHead(200, { ...json, ...session }).end(`${head},${JSON.stringify(rest).slice(1)}`)
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { port: { type: 'string' } } })
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => answer(request, response, Buffer.concat(chunks)))
  })
  server.listen(Number(values.port ?? 0), '127.0.0.1', () =>
    console.log(`ready http://127.0.0.1:${(server.address() as AddressInfo).port}`),
  )
}
