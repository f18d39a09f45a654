// Answers that do not wait for their request: they always arrive, and nothing behind them is ever run.
import { clientAddresses } from './client-address.ts'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { until } from '../../test/harness/until.ts'
import { asGatewayError, GatewayError } from '../base/errors.ts'
import { sendError } from '../transports/http-reply.ts'
import { readBody } from '../transports/request-body.ts'
import { usualLinger, type LingerLimits } from './lingering-close.ts'
import type { McpEndpoints } from './mcp.ts'
import { HttpServer } from './server.ts'
import { memoryAudit } from '../../test/harness/audit.ts'

const maxBodyBytes = 64 * 1024
const body = Buffer.alloc(4 * 1024 * 1024, 0x20)
const chunked = Buffer.concat([
  Buffer.from(`${body.length.toString(16)}\r\n`),
  body,
  Buffer.from('\r\n0\r\n\r\n'),
])

const stops: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})

interface Served {
  readonly http: HttpServer
  readonly port: number
  /** Paths of the requests that were run. */
  readonly ran: readonly string[]
}

/** `/early` is refused by its head, `/later…` after a turn of the event loop, everything else by its body. */
async function serve(linger: LingerLimits = usualLinger): Promise<Served> {
  const ran: string[] = []
  const http = new HttpServer({
    clientAddress: clientAddresses([]),
    limits: {
      maxHeaderBytes: 8192,
      maxHeaders: 20,
      maxConnections: 100,
      headersTimeoutMs: 10_000,
      requestTimeoutMs: 10_000,
      keepAliveMs: 10_000,
    },
    originFault: () => undefined,
    mcp: {} as McpEndpoints,
    refusals: memoryAudit().refusals,
    api: (request, response) => {
      ran.push(request.url ?? '')
      const refuse = (error: GatewayError): void => sendError(response, error, null)
      if (request.url === '/early') refuse(new GatewayError('unauthorized'))
      else if (request.url === '/later') setImmediate(refuse, new GatewayError('not_found'))
      else if (request.url === '/later/small')
        setImmediate(() => readBody(request, 1, (error) => refuse(asGatewayError(error))))
      else readBody(request, maxBodyBytes, (error) => refuse(error ?? new GatewayError('invalid_request')))
    },
    linger,
  })
  const port = await http.listen('127.0.0.1', 0)
  stops.push(() => http.close(100))
  return { http, port, ran }
}

interface Client {
  readonly socket: Socket
  readonly received: () => string
  /** The server has closed its side. */
  readonly ended: () => boolean
  readonly closed: () => boolean
}

/** A connection that stays half-open when the server closes its side. */
async function dial(port: number): Promise<Client> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  let text = ''
  const seen = { end: false, close: false }
  socket.on('data', (chunk) => (text += chunk.toString('latin1')))
  socket.on('end', () => (seen.end = true))
  socket.on('close', () => (seen.close = true))
  socket.on('error', () => {})
  stops.unshift(async () => void socket.destroy())
  await once(socket, 'connect')
  return { socket, received: () => text, ended: () => seen.end, closed: () => seen.close }
}

const post = (path: string, ...headers: string[]): string =>
  [`POST ${path} HTTP/1.1`, 'host: localhost', ...headers, '', ''].join('\r\n')
const get = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`
const length = `content-length: ${body.length}`
const chunks = 'transfer-encoding: chunked'

const statuses = (text: string): string[] =>
  text.match(/HTTP\/1\.1 \d{3}/g)?.map((line) => line.slice(9)) ?? []

/** Whether an answer came to its last byte. */
function isWhole(text: string): boolean {
  const end = text.indexOf('\r\n\r\n') + 4
  return end > 4 && text.length - end === Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0)
}

describe('a client that sends all it has before it reads', () => {
  test.each<[string, string, string | Buffer, string]>([
    ['refused by its head', post('/early', length), body, '401'],
    ['refused by its head, in chunks', post('/early', chunks), chunked, '401'],
    ['refused a little later', post('/later', length), body, '404'],
    ['refused by its announced length', post('/', length), body, '413'],
    ['refused by its body', post('/', chunks), chunked, '413'],
    ['refused for two hosts', post('/', 'host: other', length), body, '400'],
    [
      'refused for a broken chunk',
      post('/', chunks),
      Buffer.concat([Buffer.from('no size\r\n'), body]),
      '400',
    ],
    ['refused for a head without end', 'POST / HTTP/1.1\r\nx: ', Buffer.alloc(body.length, 'x'), '431'],
    ['refused for what is no HTTP', 'nothing\r\n', body, '400'],
  ])('gets the whole answer, every time: %s', async (_, head, rest, status) => {
    const { port } = await serve()
    for (let round = 0; round < 50; round++) {
      const { socket, received, ended } = await dial(port)
      socket.pause()
      socket.write(head)
      const failed = await new Promise((resolve) => socket.write(rest, resolve))
      socket.resume()
      await until(() => ended() || socket.destroyed, 'the close')
      const text = received()
      expect([round, failed ?? undefined, statuses(text), isWhole(text)]).toEqual([
        round,
        undefined,
        [status],
        true,
      ])
      expect(text).toMatch(/^connection: close\r$/im)
      socket.destroy()
    }
  })
})

describe('a refusal that waits for its request', () => {
  test('keeps the connection', async () => {
    const { port, ran } = await serve()
    const { socket, received, ended } = await dial(port)
    const asks = [post('/a', 'content-length: 2') + '{}', get('/early'), post('/early', 'content-length: 0')]
    for (const [index, ask] of [...asks, ...asks].entries()) {
      socket.write(ask)
      await until(() => statuses(received()).length > index, 'an answer')
    }
    expect(statuses(received())).toEqual(['400', '401', '401', '400', '401', '401'])
    expect(received()).not.toMatch(/connection: close/i)
    expect([ended(), ran.length]).toEqual([false, 6])
  })

  test.each([
    ['/later', '404'],
    ['/later/small', '413'],
  ])('of a body that came while the caller was looked up keeps it too: %s', async (path, status) => {
    const { port } = await serve()
    const { socket, received } = await dial(port)
    const whole = Buffer.from(`1f40\r\n${'x'.repeat(8000)}\r\n0\r\n\r\n`)
    for (const count of [1, 2, 3]) {
      socket.write(Buffer.concat([Buffer.from(post(path, chunks)), whole]))
      await until(() => statuses(received()).length === count, 'an answer')
    }
    expect(statuses(received())).toEqual([status, status, status])
    expect(received()).not.toMatch(/connection: close/i)
  })
})

describe('what follows a refusal that did not wait', () => {
  const next = get('/next')
  test.each([
    ['behind a whole body', `${post('/early', 'content-length: 2')}{}${next}${next}`],
    ['behind whole chunks', `${post('/early', chunks)}0\r\n\r\n${next}`],
    ['in place of the body', `${post('/early', 'content-length: 1000')}${next}`],
    ['behind two hosts', `${get('/').replace('host', 'host: a\r\nhost')}${next}`],
    ['behind garbage', `nothing\r\n\r\n${next}`],
  ])('is never run: %s', async (_, bytes) => {
    const { port, ran } = await serve()
    const { socket, received, ended } = await dial(port)
    socket.write(bytes)
    await until(ended, 'the close of the other side')
    // Past any length that was announced.
    for (let i = 0; i < 100; i++) socket.write(next)
    socket.end(next)
    await once(socket, 'close')
    expect([statuses(received()).length, isWhole(received())]).toEqual([1, true])
    expect(ran.filter((path) => path === '/next')).toEqual([])
    const other = await dial(port)
    other.socket.write(get('/early'))
    await until(() => statuses(other.received()).length === 1, 'an answer to somebody else')
  })

  test('is never run, and answered once, where it is garbage and an answer is still to come', async () => {
    const { port } = await serve()
    const { socket, received, ended } = await dial(port)
    socket.write(`${get('/later')}nothing\r\n\r\n${next}`)
    await until(ended, 'the close of the other side')
    const gone = once(socket, 'close')
    socket.end()
    await gone
    expect(statuses(received())).toEqual(['400'])
  })

  test('does not keep an earlier request from its answer', async () => {
    const { port, ran } = await serve()
    const { socket, received, ended } = await dial(port)
    socket.write(get('/later') + post('/early', 'content-length: 9') + next)
    await until(ended, 'the close of the other side')
    expect(statuses(received())).toEqual(['404', '401'])
    expect(ran).toEqual(['/later', '/early'])
  })
})

describe('a client that will not go', () => {
  test('is cut off in time, and little of what it sends is read', async () => {
    const linger = { maxBytes: 1024 * 1024, maxMs: 300 }
    const { port } = await serve(linger)
    const { socket, received, closed } = await dial(port)
    const began = performance.now()
    socket.write(post('/early', chunks))
    const more = (): void => {
      while (!socket.destroyed && socket.write(chunked.subarray(0, 1 << 18)));
    }
    socket.on('drain', more)
    more()
    await until(closed, 'the end')
    expect(performance.now() - began).toBeGreaterThan(linger.maxMs - 50)
    expect(statuses(received())).toEqual(['401'])
    // The kernels on both sides hold some too.
    expect(socket.bytesWritten - socket.writableLength).toBeLessThan(24 * 1024 * 1024)
  })

  test('is cut off in time where it sends a byte now and then', async () => {
    const linger = { maxBytes: 1024 * 1024, maxMs: 300 }
    const { port } = await serve(linger)
    const { socket, ended, closed } = await dial(port)
    socket.write(post('/early', length))
    await until(ended, 'the close of the other side')
    const began = performance.now()
    const trickle = setInterval(() => socket.write(' '), 10)
    await until(closed, 'the end')
    clearInterval(trickle)
    expect(performance.now() - began).toBeGreaterThan(linger.maxMs - 50)
  })

  test('does not hold up the end of the server', async () => {
    const { http, port } = await serve({ maxBytes: 1024 * 1024, maxMs: 60_000 })
    const clients = [await dial(port), await dial(port)]
    for (const { socket } of clients) socket.write(post('/early', length))
    for (const { ended } of clients) await until(ended, 'the close of the other side')
    const began = performance.now()
    await http.close(30_000)
    expect(performance.now() - began).toBeLessThan(1000)
  })
})
