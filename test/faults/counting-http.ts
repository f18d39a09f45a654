// The counting server over Streamable HTTP, with an event store of its own or without.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { count, initialized, type CountRequest } from './counting.ts'

export interface CountingHttp {
  readonly url: string
  /** Calls that have begun, and initialize requests. */
  readonly seen: { calls: number; sessions: number; deletes: number }
  stop(): Promise<void>
}

interface Stream {
  readonly events: string[]
  reader: ServerResponse | undefined
  ended: boolean
}

/** `ids`: events have ids, and whoever asks with Last-Event-ID gets what follows. */
export async function startCountingHttp({ ids }: { ids: boolean }): Promise<CountingHttp> {
  const streams: Stream[] = []
  const seen = { calls: 0, sessions: 0, deletes: 0 }

  function answer(request: CountRequest, response: ServerResponse): void {
    if (request.method === 'initialize') {
      seen.sessions++
      const headers = { 'content-type': 'application/json', 'mcp-session-id': `up-${seen.sessions}` }
      const body = { jsonrpc: '2.0', id: request.id, result: initialized(request) }
      response.writeHead(200, headers).end(JSON.stringify(body))
    } else if (request.method !== 'tools/call') response.writeHead(202).end()
    else {
      seen.calls++
      const stream: Stream = { events: [], reader: response, ended: false }
      const number = streams.push(stream) - 1
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      void count(request, (message) => {
        const id = ids ? `id: s${number}-${stream.events.length}\n` : ''
        const event = `${id}data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`
        stream.events.push(event)
        stream.reader?.write(event)
      }).then(() => {
        stream.ended = true
        stream.reader?.end()
      })
    }
  }

  function resume(lastEventId: string, response: ServerResponse): void {
    const [, number, at] = /^s(\d+)-(\d+)$/.exec(lastEventId) ?? []
    const stream = streams[Number(number)]
    if (!stream) return void response.writeHead(400).end()
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    stream.reader?.end()
    stream.reader = response
    for (const event of stream.events.slice(Number(at) + 1)) response.write(event)
    if (stream.ended) response.end()
  }

  const http = createServer((request, response) => {
    if (request.method === 'DELETE') {
      seen.deletes++
      return void response.writeHead(200).end()
    }
    const lastEventId = request.headers['last-event-id']
    if (request.method === 'GET' && typeof lastEventId === 'string') return resume(lastEventId, response)
    if (request.method !== 'POST') return void response.writeHead(405).end()
    return void read(request).then((body) => answer(JSON.parse(body) as CountRequest, response))
  })
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`,
    seen,
    stop: async () => {
      http.closeAllConnections()
      await new Promise((resolve) => http.close(resolve))
    },
  }
}

async function read(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request) text += String(chunk)
  return text
}
