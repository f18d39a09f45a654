// A front that adds a credential to every request, for tools that cannot: bytes and the Host header go through.
import { createServer, request as open, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface SignedFront {
  readonly url: string
  stop(): Promise<void>
}

/** Passes everything on to `target` (`http://127.0.0.1:PORT`) as whoever `credential` belongs to. */
export async function startSignedFront(target: string, credential: string): Promise<SignedFront> {
  const { hostname, port } = new URL(target)
  const forward = (request: IncomingMessage, response: ServerResponse): void => {
    const headers = { ...request.headers, authorization: `Bearer ${credential}` }
    const { method = 'GET', url = '/' } = request
    const onward = open({ hostname, port, method, path: url, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      response.flushHeaders()
      answer.pipe(response)
    })
    onward.once('error', () => response.destroy())
    response.once('close', () => onward.destroy())
    request.pipe(onward)
  }
  const server = createServer(forward)
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: async () => {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}
