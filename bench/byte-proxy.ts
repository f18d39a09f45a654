// The leanest fair proxy: node:http in, undici's pool out, bytes through; what any gateway on this stack must be held to.
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseArgs } from 'node:util'
import { Pool } from 'undici'

/** Headers that belong to one connection (RFC 9110, section 7.6.1), and the length, which undici writes itself. */
const ownOfConnection = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'content-length',
])

function forwardable(rawHeaders: readonly string[]): string[] {
  const kept: string[] = []
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    if (!ownOfConnection.has(name.toLowerCase())) kept.push(name, rawHeaders[index + 1] ?? '')
  }
  return kept
}

function forward(pool: Pool, request: IncomingMessage, response: ServerResponse, body: Buffer): void {
  const method = request.method ?? 'GET'
  pool.dispatch(
    {
      method,
      path: request.url ?? '/',
      headers: forwardable(request.rawHeaders),
      body: body.length > 0 ? body : null,
    },
    {
      onRequestStart(controller) {
        response.once('close', () => {
          if (!response.writableFinished) controller.abort(new Error('the client left'))
        })
        response.on('drain', () => controller.resume())
      },
      onResponseStart(_controller, status, headers) {
        for (const name of ownOfConnection) if (name !== 'content-length') delete headers[name]
        response.writeHead(status, headers)
        if (headers['content-length'] === undefined) response.flushHeaders()
      },
      onResponseData(controller, chunk) {
        // A client that left while its request was queued takes nothing and drains never.
        if (!response.destroyed && !response.write(chunk)) controller.pause()
      },
      onResponseEnd() {
        response.end()
      },
      onResponseError() {
        if (response.headersSent) response.destroy()
        else response.writeHead(502).end()
      },
    },
  )
}

/** Proxies every path to the origin of `target`; keeps Host and everything else as it came. */
export async function startByteProxy(
  target: string,
  port = 0,
): Promise<{ url: string; stop(): Promise<void> }> {
  const pool = new Pool(new URL(target).origin, { connections: 64, bodyTimeout: 0, headersTimeout: 0 })
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () =>
      forward(pool, request, response, chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)),
    )
  })
  await new Promise<void>((resolve) => void server.listen(port, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      server.closeAllConnections()
      await Promise.all([new Promise((resolve) => server.close(resolve)), pool.destroy()])
    },
  }
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { target: { type: 'string' }, port: { type: 'string' } } })
  const proxy = await startByteProxy(values.target ?? '', Number(values.port ?? 0))
  console.log(`ready ${proxy.url}`)
}
