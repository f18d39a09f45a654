// What `doctor` finds: each fault with what to do, and nothing changed.
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { SecretFile, secretPath } from '../base/secret-file.ts'
import { recordingIo } from '../../test/harness/cli.ts'
import { examine, examineNode } from './doctor.ts'
import { runCli } from './program.ts'

let home: string
/** Listens on a port, which is so taken. */
let holder: Server
let taken: string

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'tollbridge-home-'))
  holder = createServer((socket) => socket.destroy())
  await new Promise<void>((listening) => holder.listen(0, '127.0.0.1', listening))
  taken = String((holder.address() as AddressInfo).port)
})
afterEach(() => {
  holder.close()
  rmSync(home, { recursive: true, force: true })
})

describe('doctor', () => {
  const find = async (flags: Record<string, string>, env: Record<string, string> = {}) =>
    Object.fromEntries((await examine(flags, env)).map(({ name, ok, found }) => [name, { ok, found }]))

  test('finds nothing wrong with a fresh machine and changes nothing', async () => {
    const data = join(home, 'new', 'data')
    const findings = await find({ data, port: '0' })
    expect(Object.values(findings).map(({ ok }) => ok)).toEqual([true, true, true, true, true, true])
    expect(existsSync(data)).toBe(false)
  })

  test('names each fault with what to do', async () => {
    SecretFile.open(home)
    chmodSync(secretPath(home), 0o604)
    writeFileSync(join(home, 'tollbridge.db'), 'this is no database, whatever its name says. '.repeat(100))
    const findings = await find({ data: home, port: taken })
    expect(findings['secret']).toMatchObject({ ok: false, found: expect.stringContaining('chmod 600') })
    expect(findings['port']).toMatchObject({ ok: false, found: expect.stringContaining('in use') })
    expect(findings['store']).toMatchObject({ ok: false })
    expect(examineNode('20.1.0')).toMatchObject({ ok: false })
  })

  test('looks at the port of administration where that has one', async () => {
    const flags = { data: home, port: '0' }
    expect((await find(flags, { TOLLBRIDGE_ADMIN_PORT: '0' }))['adminPort']).toMatchObject({ ok: true })
    expect((await find(flags, { TOLLBRIDGE_ADMIN_PORT: taken }))['adminPort']).toMatchObject({
      ok: false,
      found: expect.stringContaining('admin.port'),
    })
  })

  test('exits 78 for a fault of the configuration, 1 for another', async () => {
    expect(await runCli(['doctor', '--port', 'x'], recordingIo({}).io)).toBe(78)
    expect(await runCli(['doctor', '--data', home, '--port', taken], recordingIo({}).io)).toBe(1)
  })
})
