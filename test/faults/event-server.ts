// A server of HTTP+SSE that takes any number of streams at once, each with an endpoint of its own.
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { StubMessage } from '../upstreams/recorder.ts'
import { onEnd } from './rig.ts'

interface EventServer {
  readonly url: string
  readonly streams: ReadonlyMap<string, ServerResponse>
}

/** `answer` gives what is said on the stream, if anything. */
export async function startEventServer(
  answer: (message: StubMessage, stream: ServerResponse) => object | undefined,
): Promise<EventServer> {
  const streams = new Map<string, ServerResponse>()
  let last = 0
  const server = createServer((request, response) => {
    const id = new URL(request.url ?? '', 'http://localhost').searchParams.get('id')
    if (request.method === 'GET') {
      const own = String(++last)
      streams.set(own, response)
      response.once('close', () => streams.delete(own))
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(`event: endpoint\ndata: /message?id=${own}\n\n`)
      return
    }
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const stream = streams.get(id ?? '')
      response.writeHead(stream ? 202 : 404).end()
      const said = stream && answer(JSON.parse(Buffer.concat(chunks).toString()) as StubMessage, stream)
      if (said) stream.write(`event: message\ndata: ${JSON.stringify(said)}\n\n`)
    })
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  onEnd(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/sse`, streams }
}
