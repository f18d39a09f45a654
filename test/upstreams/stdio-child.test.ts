// Guarantees of child processes: they get nothing of ours, harm nothing of ours, and never outlive us.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { until } from '../harness/until.ts'
import { ChildWatch, type ChildLimits } from '../../src/upstreams/child-watch.ts'
import type { StdioUpstream } from '../../src/upstreams/stdio.ts'
import { cleanUp, hear, newFolder, request, script, send, serverOf, start, type Heard } from './stdio-stub.ts'

afterEach(cleanUp)

const isRunning = (pid: number): boolean => {
  try {
    // A zombie still answers to signal 0, so its state is read.
    return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

// Job control gives each of them a process group of its own.
const spawner = `
const { spawn } = require('node:child_process')
listen(({ id, params }) => {
  if (params.count === undefined) return
  const shell = spawn('bash', ['-c', 'set -m; for n in $(seq ' + params.count + '); do sleep 60 & echo $!; done; echo; wait'])
  let text = ''
  shell.stdout.on('data', (chunk) => {
    text += chunk
    if (text.endsWith('\\n\\n')) answer(id, { pids: text.trim().split('\\n').map(Number) })
  })
})`

const pidsOf = ({ messages }: Heard): number[] => {
  const { pids } = (messages[0]?.message?.result ?? {}) as { pids?: number[] }
  return pids ?? []
}

describe('a child that is held to limits', () => {
  const mib = 1024 * 1024
  const watch = (limits: Partial<ChildLimits>): ChildWatch =>
    new ChildWatch({ maxMemoryBytes: 0, maxProcesses: 0, ...limits })
  test('is killed where it takes more memory, and its caller is told; another of its kind is not', async () => {
    const own = watch({ maxMemoryBytes: 250 * mib })
    const hoarder = `
const kept = []
listen(({ id, params }) => {
  for (let n = 0; n < params.mib; n++) kept.push(Buffer.alloc(${mib}, 1))
  if (params.mib === 0) answer(id)
})`
    const [greedy, modest] = [start(script(hoarder), { watch: own }), start(script(hoarder), { watch: own })]
    const failed = send(greedy, request(1, { mib: 400 }))
    await failed.done
    expect(failed.failure?.message).toBe('The process used more memory than it may (stdio.maxMemoryMib).')
    const heard = send(modest, request(1, { mib: 0 }))
    await heard.done
    expect(heard.failure).toBeUndefined()
  })

  test('is killed with all that it started where that is more than it may start, also in groups of their own', async () => {
    const own = watch({ maxProcesses: 20 })
    const upstream = start(script(spawner), { watch: own })
    const few = send(upstream, request(1, { count: 5 }))
    await few.done
    const many = send(upstream, request(2, { count: 40 }))
    await many.done
    const pids = pidsOf(many)
    expect(pids.filter(isRunning)).toHaveLength(40)
    const waiting = send(upstream, request(3))
    await waiting.done
    expect(waiting.failure?.message).toBe(
      'The process started more processes than it may (stdio.maxProcesses).',
    )
    await until(() => !pids.some(isRunning), 'the end of what it started')
  })

  test('is left alone without a limit', async () => {
    const upstream = start(script(spawner), { watch: watch({}) })
    const many = send(upstream, request(1, { count: 40 }))
    await many.done
    await new Promise((done) => setTimeout(done, 1500))
    const next = send(upstream, request(2, { count: 1 }))
    await next.done
    expect(next.failure).toBeUndefined()
  })
})

describe('a child', () => {
  test('gets the minimal environment and its own variables, nothing of the gateway', async () => {
    const upstream = start(
      script('listen(({ id }) => answer(id, process.env))', [], { env: { OWN: 'yes' } }),
      {
        environment: {
          ...process.env,
          TOLLBRIDGE_SECRET_KEY: 'S',
          DATABASE_URL: 'S',
          NODE_OPTIONS: '',
          PATH: '/x',
        },
      },
    )
    const heard = send(upstream, request(1))
    await heard.done
    const env = heard.messages[0]?.message?.result ?? {}
    expect(env).toMatchObject({ OWN: 'yes', PATH: '/x' })
    for (const name of Object.keys(env)) expect(['OWN', 'PATH', 'HOME', 'LANG', 'TMPDIR']).toContain(name)
  })

  test('gets its arguments literally, whatever a shell would do with them', async () => {
    const target = join(newFolder(), 'touched')
    const args = [
      `; touch ${target}`,
      `$(touch ${target})`,
      `\`touch ${target}\``,
      '&& ls',
      '*',
      "'",
      '${HOME}',
    ]
    const upstream = start(script('listen(({ id }) => answer(id, { argv: process.argv.slice(2) }))', args))
    const heard = send(upstream, request(1))
    await heard.done
    expect(heard.messages[0]?.message?.result).toEqual({ argv: args })
    expect(existsSync(target)).toBe(false)
  })

  test('runs in the folder of its registration', async () => {
    const upstream = start(
      script('listen(({ id }) => answer(id, { cwd: require("node:fs").realpathSync(process.cwd()) }))', [], {
        cwd: '/',
      }),
    )
    const heard = send(upstream, request(1))
    await heard.done
    expect(heard.messages[0]?.message?.result).toEqual({ cwd: '/' })
  })

  test('that is killed fails every pending call, later ones fast, and is reported', async () => {
    let gone: unknown
    const upstream = start(script('listen(({ id }) => id === 0 && answer(0))'), {
      onGone: (end) => (gone = end),
    })
    await send(upstream, request(0)).done
    const calls = [1, '1', 2].map((id) => send(upstream, request(id)))
    const listener = hear((sink) => upstream.listen({}, sink))
    process.kill(upstream.pid ?? 0, 'SIGKILL')
    await Promise.all([...calls, listener].map(({ done }) => done))
    for (const call of calls) expect(call.failure).toMatchObject({ stage: 'process', sent: true })
    const late = send(upstream, request(3))
    await late.done
    expect(late.failure).toMatchObject({ stage: 'process', sent: false })
    expect(gone).toMatchObject({ failed: false })
  })

  test('that answers and ends at once still has its answer heard', async () => {
    const upstream = start(script('listen(({ id }) => { answer(id); process.exit(0) })'))
    const heard = send(upstream, request(1))
    await heard.done
    expect(heard).toMatchObject({ ended: true, failure: undefined })
  })

  test('that dies before its first answer tells its last words, with its secrets masked', async () => {
    const upstream = start(
      script(
        'console.error("first\\ncannot use key " + process.env.KEY + "\\u001b[31m"); process.exit(3)',
        [],
        {
          env: { KEY: 'very-secret' },
        },
      ),
    )
    const heard = send(upstream, request(1))
    await heard.done
    expect(heard.failure?.message).toBe(
      'The process ended (exit code 3). It wrote: cannot use key ***  [31m'.replace('  ', ' '),
    )
  })

  test.each([
    ['is not there', '/nowhere/at/all', {}],
    ['is no program', '/etc/hostname', {}],
    ['has a folder that is not there', process.execPath, { cwd: '/nowhere/at/all' }],
    ['cannot even be asked for', 'a\0b', {}],
  ])('whose command %s fails its calls', async (_, command, more) => {
    const upstream = start(serverOf(command, [], more))
    const heard = send(upstream, request(1))
    await heard.done
    expect(heard.failure).toMatchObject({ stage: 'process' })
    const late = send(upstream, request(2))
    await late.done
    expect(late.failure).toMatchObject({ stage: 'process', sent: false })
  })

  test('that writes 200 MB without a line end is killed at the cap', async () => {
    const upstream = start(
      script(`
        listen(() => {
          const chunk = Buffer.alloc(1 << 20, 0x61)
          let left = 200
          const pump = () => { while (left-- > 0) if (!process.stdout.write(chunk)) return process.stdout.once('drain', pump) }
          pump()
        })`),
    )
    const before = process.memoryUsage().rss
    const heard = send(upstream, request(1))
    await heard.done
    expect(heard.failure).toMatchObject({ tooLarge: true, stage: 'process', sent: true })
    expect(process.memoryUsage().rss - before).toBeLessThan(64 << 20)
    await expect.poll(() => isRunning(upstream.pid ?? 0)).toBe(false)
  })

  test('that floods its standard error is never blocked by it', async () => {
    const upstream = start(
      script(`
        listen(({ id }) => {
          for (let i = 0; i < 50; i++) require('node:fs').writeSync(2, 'x'.repeat(1 << 16))
          for (let i = 0; i < 100; i++) console.error('line ' + i)
          answer(id)
        })`),
    )
    const heard = send(upstream, request(1))
    await heard.done
    expect(heard.ended).toBe(true)
    await expect.poll(() => upstream.lastStderr.at(-1)).toBe('line 99')
    expect(upstream.lastStderr.length).toBe(20)
  })

  test('that does not read its input has calls refused, not queued without end', async () => {
    const upstream = start(serverOf('sleep', ['60']))
    const pad = 'x'.repeat(100_000)
    const calls = Array.from({ length: 40 }, (_, id) => send(upstream, request(id, { pad })))
    await calls.at(-1)?.done
    expect(calls.at(-1)?.failure).toMatchObject({ stage: 'process', sent: false })
    expect(calls[0]?.failure).toBeUndefined()
  })
})

describe('the process group', () => {
  test.each(['close', 'kill'])('takes along what made groups of its own, at a %s', async (end) => {
    const upstream = start(script(spawner))
    const heard = send(upstream, request(1, { count: 3 }))
    await heard.done
    const pids = pidsOf(heard)
    expect(pids.filter(isRunning)).toHaveLength(3)
    if (end === 'close') await upstream.close()
    else upstream.killNow()
    await until(() => !pids.some(isRunning), 'the end of what it started')
  })

  const withGrandchild = `
    const sleeper = require('node:child_process').spawn('sleep', ['600'], { stdio: 'inherit' })
    process.on('SIGTERM', () => {})
    listen(({ id }) => answer(id, { pid: sleeper.pid }))`

  async function grandchild(upstream: StdioUpstream): Promise<number> {
    const heard = send(upstream, request(1))
    await heard.done
    return Number(heard.messages[0]?.message?.result?.pid)
  }

  test('dies with a close, though the child ignores SIGTERM', async () => {
    const upstream = start(script(withGrandchild))
    const pid = await grandchild(upstream)
    expect(isRunning(pid)).toBe(true)
    const pending = send(upstream, request(2, {}))
    await pending.done
    await upstream.close()
    await expect.poll(() => isRunning(pid) || isRunning(upstream.pid ?? 0)).toBe(false)
  })

  test('dies with the child', async () => {
    const upstream = start(script(withGrandchild))
    const pid = await grandchild(upstream)
    process.kill(upstream.pid ?? 0, 'SIGKILL')
    await expect.poll(() => isRunning(pid)).toBe(false)
  })

  test('dies though the child is stopped', async () => {
    const upstream = start(script(withGrandchild))
    const pid = await grandchild(upstream)
    process.kill(upstream.pid ?? 0, 'SIGSTOP')
    await upstream.close()
    await expect.poll(() => isRunning(pid) || isRunning(upstream.pid ?? 0)).toBe(false)
  })

  test('a close is not held up by a process that left the group with our pipes', async () => {
    const upstream = start(
      script(`
        const away = require('node:child_process').spawn('sleep', ['5'], { stdio: 'inherit', detached: true })
        listen(({ id }) => answer(id, { pid: away.pid }))`),
    )
    const pid = await grandchild(upstream)
    const begin = performance.now()
    await upstream.close()
    expect(performance.now() - begin).toBeLessThan(3000)
    process.kill(pid, 'SIGKILL')
  })

  test('leaves no zombie after many starts', async () => {
    for (let round = 0; round < 10; round++) {
      const batch = Array.from({ length: 10 }, () => start(serverOf('true', [])))
      await Promise.all(batch.map((upstream) => upstream.close()))
    }
    const children = execFileSync('ps', ['-o', 'stat=', '--ppid', String(process.pid)], { encoding: 'utf8' })
    expect(children.split('\n').filter((state) => state.startsWith('Z'))).toEqual([])
  })
})
