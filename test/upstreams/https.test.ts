// Guarantees of HTTPS towards servers: the name is verified, nothing but HTTP/1.1 is spoken, and bytes pass unchanged.
import { createServer as createHttpsServer } from 'node:https'
import { createServer, type AddressInfo } from 'node:net'
import { getCACertificates, setDefaultCACertificates, type TLSSocket } from 'node:tls'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { Egress } from '../../src/upstreams/egress.ts'
import { HttpUpstream } from '../../src/upstreams/streamable-http.ts'
import { newAuthority } from './certificates.ts'
import { answerJson, call, cleanUp, cleanups, run, serverAt } from './http-stub.ts'

const trusted = newAuthority()
const usual = getCACertificates('default')
beforeAll(() => setDefaultCACertificates([trusted.ca]))
afterAll(() => setDefaultCACertificates(usual))
afterEach(cleanUp)

async function secureStub(hosts: readonly string[], { authority = trusted, handler = answerJson } = {}) {
  const seen: { servername: unknown; alpn: unknown; resumed: boolean; body: string }[] = []
  const server = createHttpsServer(authority.issue(hosts), (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const socket = request.socket as TLSSocket & { servername?: unknown }
      const body = Buffer.concat(chunks).toString()
      seen.push({
        servername: socket.servername,
        alpn: socket.alpnProtocol,
        resumed: socket.isSessionReused(),
        body,
      })
      handler(request, response, body)
    })
  })
  await new Promise<void>((listening) => void server.listen(0, '127.0.0.1', listening))
  cleanups.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, seen, server }
}

function upstreamAt(url: string, connectMs = 2000): HttpUpstream {
  const egress = new Egress(['loopback'], {
    resolve: (_, done) => done(null, [{ address: '127.0.0.1', family: 4 }]),
  })
  const base = serverAt(1, { timeouts: { connectMs, callMs: 1000, idleMs: 1000 } })
  const upstream = new HttpUpstream(
    { ...base, transport: { type: 'streamable-http', url } },
    { egress, maxQueued: 10 },
  )
  cleanups.push(() => upstream.destroy())
  return upstream
}

test('a server is named, verified, and spoken to in HTTP/1.1', async () => {
  const target = await secureStub(['mcp.example'])
  const upstream = upstreamAt(`https://mcp.example:${target.port}/`)
  for (let i = 0; i < 3; i++) expect((await run(upstream)).ended).toBe(true)
  expect(target.seen[0]).toMatchObject({ servername: 'mcp.example', alpn: 'http/1.1' })
})

test('an address is verified too, and is no server name', async () => {
  const target = await secureStub(['127.0.0.1'])
  expect((await run(upstreamAt(`https://127.0.0.1:${target.port}/`))).ended).toBe(true)
  expect(target.seen[0]?.servername).toBe(false)
})

test('the session of a verified connection is taken up again', async () => {
  const target = await secureStub(['mcp.example'], {
    handler: (request, response, body) => {
      response.setHeader('connection', 'close')
      answerJson(request, response, body)
    },
  })
  const upstream = upstreamAt(`https://mcp.example:${target.port}/`)
  for (let i = 0; i < 3; i++) expect((await run(upstream)).ended).toBe(true)
  expect(target.seen.map(({ resumed }) => resumed)).toEqual([false, true, true])
})

test.each([
  ['another name', 'other.example', trusted],
  ['another authority', 'mcp.example', newAuthority('Stranger')],
])('a certificate of %s gets no byte of a request', async (_, host, authority) => {
  const target = await secureStub([host], { authority })
  const upstream = upstreamAt(`https://mcp.example:${target.port}/`)
  for (let i = 0; i < 3; i++)
    expect((await run(upstream)).failure).toMatchObject({ stage: 'connect', sent: false })
  expect(target.seen).toEqual([])
})

test('a handshake that does not end is given up in time', async () => {
  const target = createServer((socket) => socket.on('error', () => {}))
  await new Promise<void>((listening) => void target.listen(0, '127.0.0.1', listening))
  cleanups.push(() => target.close())
  const upstream = upstreamAt(`https://127.0.0.1:${(target.address() as AddressInfo).port}/`, 100)
  expect((await run(upstream)).failure).toMatchObject({
    sent: false,
    message: expect.stringContaining('timed out'),
  })
})

test('large bodies pass both ways, paused and not', async () => {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', x: 'é'.repeat(400_000) })
  const target = await secureStub(['mcp.example'], {
    handler: (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      for (let i = 0; i < 200; i++) response.write(`data: ${String(i).repeat(5000)}\n\n`)
      response.end()
    },
  })
  const upstream = upstreamAt(`https://mcp.example:${target.port}/`)
  for (let round = 0; round < 2; round++) {
    const heard = await run(upstream, call(body), ({ messages }, exchange) => {
      if (messages.length % 50 !== 0) return
      exchange.pause()
      setTimeout(() => exchange.resume(), 5)
    })
    expect(heard.messages.map(({ bytes }) => Buffer.from(bytes).toString())).toEqual(
      Array.from({ length: 200 }, (_, i) => String(i).repeat(5000)),
    )
    expect(heard.ended).toBe(true)
  }
  expect(target.seen.every((seen) => seen.body === body)).toBe(true)
})
