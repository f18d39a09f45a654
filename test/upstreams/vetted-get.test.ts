// Fetching a document that others named: over TLS that is checked, from vetted addresses, bounded, without redirects.
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createSecure } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Egress } from '../../src/upstreams/egress.ts'
import { getVettedJson } from '../../src/upstreams/vetted-get.ts'
import { newAuthority } from './certificates.ts'

const authority = newAuthority()
const folder = mkdtempSync(join(tmpdir(), 'tollbridge-vetted-'))
const seen: string[] = []
let plain: Server
let secure: Server

const json = { 'content-type': 'application/json' }
const answers: Record<string, RequestListener> = {
  '/good': (_request, response) =>
    response.writeHead(200, { ...json, 'cache-control': 'public, max-age=600' }).end('{"a":1}'),
  '/typed': (_request, response) =>
    response.writeHead(200, { 'content-type': 'application/cimd+json; charset=utf-8' }).end('{"a":1}'),
  '/uncached': (_request, response) =>
    response.writeHead(200, { ...json, 'cache-control': 'no-store' }).end('{"a":1}'),
  '/moved': (_request, response) => response.writeHead(302, { location: '/good' }).end(),
  '/html': (_request, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('{"a":1}'),
  '/broken': (_request, response) => response.writeHead(200, json).end('{"a":'),
  '/large': (_request, response) => response.writeHead(200, json).end(`"${'x'.repeat(2000)}"`),
  '/gzip': (_request, response) => response.writeHead(200, { ...json, 'content-encoding': 'gzip' }).end('x'),
  '/slow': (_request, response) => response.writeHead(200, json).write('{'),
  '/gone': (_request, response) => response.writeHead(404, json).end('{}'),
}
const listener: RequestListener = (request, response) => {
  seen.push(request.url ?? '')
  answers[request.url ?? '']?.(request, response)
}
const listen = (server: Server): Promise<Server> =>
  new Promise((done) => server.listen(0, '127.0.0.1', () => done(server)))

beforeAll(async () => {
  plain = await listen(createServer(listener))
  secure = await listen(createSecure(authority.issue(['localhost']), listener))
  writeFileSync(join(folder, 'ca.pem'), authority.ca)
})
afterAll(() => {
  for (const server of [plain, secure]) {
    if ('closeAllConnections' in server) (server.closeAllConnections as () => void)()
    server.close()
  }
  rmSync(folder, { recursive: true, force: true })
})

const at = (path: string, host = '127.0.0.1') =>
  `http://${host}:${(plain.address() as AddressInfo).port}${path}`
const limits = { timeoutMs: 500, maxBytes: 1000 }
const local = new Egress(['loopback'])

test('brings JSON, and for how long it may be kept', async () => {
  expect(await getVettedJson(at('/good'), { egress: local, ...limits })).toEqual({
    value: { a: 1 },
    maxAgeS: 600,
  })
  expect(await getVettedJson(at('/typed'), { egress: local, ...limits })).toEqual({ value: { a: 1 } })
  expect(await getVettedJson(at('/uncached'), { egress: local, ...limits })).toMatchObject({ maxAgeS: 0 })
})

test.each(['/moved', '/html', '/broken', '/large', '/gzip', '/slow', '/gone'])('refuses %s', async (path) => {
  const before = seen.length
  await expect(getVettedJson(at(path), { egress: local, ...limits })).rejects.toThrow()
  expect(seen.slice(before)).toEqual([path])
})

test('asks no address that is not allowed, by number or by name', async () => {
  const before = seen.length
  const strict = new Egress([])
  for (const host of ['127.0.0.1', 'localhost', '127.1'])
    await expect(getVettedJson(at('/good', host), { egress: strict, ...limits })).rejects.toMatchObject({
      code: 'egress_denied',
    })
  const moving = new Egress([], {
    resolve: (_name, done) => done(null, [{ address: '127.0.0.1', family: 4 }]),
  })
  await expect(
    getVettedJson(at('/good', 'app.example'), { egress: moving, ...limits }),
  ).rejects.toMatchObject({ code: 'egress_denied' })
  expect(seen.length).toBe(before)
})

test('checks certificates', async () => {
  const url = `https://localhost:${(secure.address() as AddressInfo).port}/good`
  await expect(getVettedJson(url, { egress: local, ...limits })).rejects.toThrow(/certificate/)
  // Node reads further authorities once, at its start.
  const script = `
    import { Egress } from '${resolve(import.meta.dirname, '../../src/upstreams/egress.ts')}'
    import { getVettedJson } from '${resolve(import.meta.dirname, '../../src/upstreams/vetted-get.ts')}'
    const options = { egress: new Egress(['loopback']), timeoutMs: 5000, maxBytes: 1000 }
    console.log(JSON.stringify(await getVettedJson('${url}', options)))`
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem') }
  const run = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { env })
  expect(JSON.parse(run.stdout)).toEqual({ value: { a: 1 }, maxAgeS: 600 })
})
