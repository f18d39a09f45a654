// The official conformance suite for authorization servers, against our own: its metadata, and a whole code grant.
import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { consent } from '../harness/browser.ts'
import { startTestGateway, type TestGateway } from '../harness/gateway.ts'
import { register } from '../harness/oauth.ts'

const suite = join(
  createRequire(import.meta.url).resolve('@modelcontextprotocol/conformance/package.json'),
  '../dist/index.js',
)
const admin = { username: 'admin', password: 'Test-Admin-passw0rd' }

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startTestGateway()
})
afterAll(() => gateway.stop())

/** A port that nobody listens on just now; the suite wants to be told one. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  await new Promise((done) => server.close(done))
  return port
}

/** Runs the suite; plays the user as soon as it says where to log in and waits to be called back. */
async function run(args: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [suite, 'authorization', '--url', gateway.url, ...args])
  let output = ''
  let visit: Promise<unknown> | undefined
  const hear = (chunk: Buffer): void => {
    output += chunk.toString()
    const address = /https?:\/\/\S+\/oauth\/authorize\?\S+/.exec(output)?.[0]
    if (address !== undefined && output.includes('Callback server started'))
      visit ??= consent(address, admin).then((back) => fetch(back))
  }
  child.stdout.on('data', hear)
  child.stderr.on('data', hear)
  const timer = setTimeout(() => child.kill('SIGKILL'), 30_000)
  const code = await new Promise<number | null>((done) => child.once('exit', done))
  clearTimeout(timer)
  await visit
  return { code, output }
}

test.each(['2025-11-25', '2026-07-28'])(
  'every check of the authorization server passes, %s',
  async (version) => {
    const port = await freePort()
    const { id } = await register(gateway.url, { redirect_uris: [`http://127.0.0.1:${port}/callback`] })
    const client = ['--client-id', id, '--resource', `${gateway.url}/mcp`, '--port', String(port)]
    const { code, output } = await run([...client, '--spec-version', version])
    expect([output, code]).toEqual([expect.stringContaining('Total: 3 passed, 0 failed'), 0])
  },
)
