// Serving until a signal: what is printed at the start, one stop for one Ctrl-C, and why a gateway does not start.
import { EventEmitter } from 'node:events'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { recordingIo } from '../../test/harness/cli.ts'
import { SecretFile, secretPath } from '../base/secret-file.ts'
import { loadConfig, type Config } from '../config/config.ts'
import { CliError } from './io.ts'
import { runCli } from './program.ts'
import { runGateway, type StartGateway } from './serve.ts'

describe('serve', () => {
  const config = loadConfig({}, {}) as Config
  const runnable = { ...config, masterSecrets: { secrets: [new Uint8Array(32)] } }

  test('says the first password, ends its words with the ready line, and stops on a signal', async () => {
    const { io, out } = recordingIo({})
    const signals = new EventEmitter()
    let stopped = 0
    const start: StartGateway = () =>
      Promise.resolve({
        url: 'http://127.0.0.1:8123',
        firstPassword: 'once',
        stop: () => Promise.resolve(void stopped++),
      })
    const running = runGateway(io, runnable, { start, signals })
    await expect.poll(() => out.at(-1)).toBe('ready http://127.0.0.1:8123')
    expect(out.join('\n')).toContain('password once')
    expect(out).toContain('Console        http://127.0.0.1:8123/')
    expect(stopped).toBe(0)
    signals.emit('SIGTERM')
    await running
    expect([stopped, signals.listenerCount('SIGTERM')]).toEqual([1, 0])
  })

  test('takes one Ctrl-C that comes twice for one, and a later second signal for the end', async () => {
    const { io, out } = recordingIo({})
    const signals = new EventEmitter()
    const start: StartGateway = () => Promise.resolve({ url: 'http://x', stop: () => new Promise(() => {}) })
    const running = runGateway(io, runnable, { start, signals }).catch((error: unknown) => error)
    await expect.poll(() => out.at(-1)).toMatch(/^ready/)
    signals.emit('SIGINT')
    signals.emit('SIGINT')
    let ended = false
    void running.then(() => (ended = true))
    await new Promise((resolve) => setTimeout(resolve, 600))
    expect(ended).toBe(false)
    signals.emit('SIGTERM')
    expect(await running).toMatchObject({ exitCode: 1 })
  })

  test('says what to do where the port is taken', async () => {
    const start: StartGateway = () => Promise.reject(Object.assign(new Error('x'), { code: 'EADDRINUSE' }))
    const running = runGateway(recordingIo({}).io, runnable, { start, signals: new EventEmitter() })
    await expect(running).rejects.toThrow(CliError)
    await expect(running).rejects.toThrow(/127\.0\.0\.1:8080 is in use.*--port/)
  })

  test('names the listener of administration, and its settings where it cannot be had', async () => {
    const { io, out } = recordingIo({})
    const signals = new EventEmitter()
    const urls = { url: 'http://127.0.0.1:8123', adminUrl: 'http://127.0.0.1:8124' }
    const start: StartGateway = () => Promise.resolve({ ...urls, stop: () => Promise.resolve() })
    const running = runGateway(io, runnable, { start, signals })
    await expect.poll(() => out.at(-1)).toBe(`ready ${urls.url}`)
    expect(out).toContain(`API reference  ${urls.adminUrl}/docs`)
    expect(out.join('\n')).toContain(`npx tollbridge login --url ${urls.adminUrl},`)
    signals.emit('SIGTERM')
    await running
    const taken = createServer()
    await new Promise<void>((listening) => taken.listen(0, '127.0.0.1', listening))
    const home = mkdtempSync(join(tmpdir(), 'tollbridge-home-'))
    try {
      const { port } = taken.address() as AddressInfo
      const env = { TOLLBRIDGE_ADMIN_PORT: String(port), TOLLBRIDGE_LOG_LEVEL: 'silent' }
      const failing = recordingIo(env)
      expect(await runCli(['serve', '--data', home, '--port', '0'], failing.io)).not.toBe(0)
      expect(failing.talk.join()).toContain(
        `127.0.0.1:${port} is in use; stop what listens there, or set admin.port`,
      )
    } finally {
      taken.close()
      rmSync(home, { recursive: true, force: true })
    }
  })

  test('exits 78 where the secret file can be read by others', async () => {
    const home = mkdtempSync(join(tmpdir(), 'tollbridge-home-'))
    try {
      SecretFile.open(home)
      chmodSync(secretPath(home), 0o644)
      const { io, talk } = recordingIo({})
      expect(await runCli(['serve', '--data', home, '--port', '0'], io)).toBe(78)
      expect(talk.join()).toContain('chmod 600')
    } finally {
      rmSync(home, { recursive: true, force: true })
    }
  })
})
