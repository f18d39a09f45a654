// Guarantees of the open upstreams: one pool a revision, bounded children, pauses after crashes, nothing left behind.
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { ManualClock } from '../../src/base/clock.ts'
import { GatewayError } from '../../src/base/errors.ts'
import { Egress } from '../../src/upstreams/egress.ts'
import { Upstreams } from '../../src/upstreams/pool.ts'
import { answerJson, cleanUp, cleanups, run, serverAt, stub } from './http-stub.ts'
import { cleanUp as cleanUpFolders, newFolder, request, script, send, serverOf } from './stdio-stub.ts'

afterEach(async () => {
  await cleanUp()
  await cleanUpFolders()
})

function make() {
  const clock = new ManualClock()
  const upstreams = new Upstreams({
    egress: new Egress(['loopback']),
    clock,
    environment: process.env,
    killGraceMs: 100,
  })
  cleanups.push(() => upstreams.closeAll())
  return { upstreams, clock }
}

const codeOf = (act: () => unknown): string | undefined => {
  try {
    act()
    return undefined
  } catch (error) {
    return error instanceof GatewayError ? error.code : String(error)
  }
}

describe('an HTTP server', () => {
  test('has one pool for all, until its registration changes', async () => {
    const { upstreams } = make()
    const target = await stub(answerJson)
    const server = serverAt(target.port)
    const first = upstreams.for(server)
    expect(upstreams.open(server)).toBe(first)
    upstreams.onServerChange({ kind: 'changed', server: { ...server, status: 'error' } })
    expect(upstreams.for(server)).toBe(first)
    const next = { ...server, revision: 2 }
    upstreams.onServerChange({ kind: 'changed', server: next })
    expect(upstreams.for(next)).not.toBe(first)
    expect(upstreams.for(server)).toBe(upstreams.for(next))
    expect((await run(first)).failure).toMatchObject({ sent: false })
    expect((await run(upstreams.for(next))).ended).toBe(true)
    expect(upstreams.counts()).toMatchObject({ pools: 1, calls: 0 })
    upstreams.onServerChange({ kind: 'removed', id: server.id })
    expect(upstreams.counts()).toMatchObject({ pools: 0 })
  })

  test('whose address is no longer allowed gets no pool', () => {
    const { upstreams } = make()
    const transport = { type: 'streamable-http', url: 'http://10.0.0.1/' } as const
    expect(codeOf(() => upstreams.for({ ...serverAt(1), transport }))).toBe('egress_denied')
  })

  test('with calls in flight at the end has them fail, not hang', async () => {
    const { upstreams } = make()
    const target = await stub(() => {})
    const running = run(upstreams.for(serverAt(target.port)))
    await expect.poll(() => target.requests.length).toBe(1)
    await upstreams.closeAll()
    expect((await running).failure).toMatchObject({ sent: true })
    expect(codeOf(() => upstreams.for(serverAt(target.port, { id: 'srv_2' })))).toBe('shutting_down')
  })
})

describe('a stdio server', () => {
  test('has a child for each session, up to its limit', async () => {
    const { upstreams } = make()
    const base = script('listen(({ id }) => answer(id))')
    const server = { ...base, limits: { ...base.limits, maxSessions: 2 } }
    const [first] = [upstreams.open(server), upstreams.open(server)]
    expect(upstreams.counts().children).toBe(2)
    expect(codeOf(() => upstreams.open(server))).toBe('too_many_sessions')
    await first?.close()
    expect(codeOf(() => upstreams.open(server))).toBeUndefined()
    upstreams.onServerChange({ kind: 'removed', id: server.id })
    await expect.poll(() => upstreams.counts().children).toBe(0)
  })

  test('that dies at once is started again only after growing pauses', async () => {
    const { upstreams, clock } = make()
    const server = serverOf('false', [])
    for (const pauseMs of [250, 500, 1000, 2000]) {
      upstreams.open(server)
      await expect.poll(() => upstreams.counts().children).toBe(0)
      upstreams.onServerChange({ kind: 'changed', server: { ...server, status: 'error' } })
      expect(codeOf(() => upstreams.open(server))).toBe('upstream_unavailable')
      clock.advance(pauseMs - 1)
      expect(codeOf(() => upstreams.open(server))).toBe('upstream_unavailable')
      clock.advance(1)
    }
    upstreams.open(server)
    await expect.poll(() => upstreams.counts().children).toBe(0)
    upstreams.onServerChange({ kind: 'changed', server: { ...server, revision: 2 } })
    expect(codeOf(() => upstreams.open({ ...server, revision: 2 }))).toBeUndefined()
  })

  test('that is closed by us, or that worked, is not held to have crashed', async () => {
    const { upstreams } = make()
    const quiet = script('listen(() => {})')
    await upstreams.open(quiet).close()
    expect(codeOf(() => upstreams.open(quiet))).toBeUndefined()
    const brief = { ...script('listen(({ id }) => { answer(id); process.exit(1) })'), id: 'srv_brief' }
    await send(upstreams.open(brief), request(1)).done
    await expect.poll(() => upstreams.counts().children).toBe(1)
    expect(codeOf(() => upstreams.open(brief))).toBeUndefined()
  })

  test('leaves no process behind when the gateway exits at once', async () => {
    const folder = newFolder()
    const file = join(folder, 'gateway.ts')
    const source = join(import.meta.dirname, '../../src')
    writeFileSync(
      file,
      `import { Upstreams } from '${source}/upstreams/pool.ts'
      import { Egress } from '${source}/upstreams/egress.ts'
      import { systemClock } from '${source}/base/clock.ts'
      const upstreams = new Upstreams({ egress: new Egress([]), clock: systemClock, environment: process.env })
      process.on('exit', () => upstreams.killAllNow())
      const limits = { maxResponseBytes: 1000, maxConnections: 1, maxSessions: 9 }
      const transport = { type: 'stdio', command: 'sh', args: ['-c', 'trap "" TERM; sleep 300 & sleep 300'], env: {} }
      const child = upstreams.open({ id: 'a', transport, auth: { type: 'none' }, limits, timeouts: { connectMs: 1000 } })
      setTimeout(() => { console.log(child.pid); process.exit(3) }, 200)`,
    )
    let out = ''
    try {
      execFileSync(process.execPath, [file], { encoding: 'utf8' })
    } catch (error) {
      out = (error as { stdout: string }).stdout
    }
    const group = Number(out)
    expect(group).toBeGreaterThan(1)
    const left = (): string[] =>
      execFileSync('ps', ['-eo', 'pgid=,stat='], { encoding: 'utf8' })
        .split('\n')
        .filter((line) => Number(line.trim().split(/\s+/)[0]) === group && !/\sZ/.test(line))
    // What has been killed takes a moment to be gone.
    await expect.poll(left).toEqual([])
  })
})
