// Commands on our own machine: who may register them, what reaches the child, and that nothing of it stays behind.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestGateway, type ApiCaller, type TestGateway } from '../harness/gateway.ts'
import { McpClient, sentinel, toolCall } from './bench.ts'
import { until } from '../harness/until.ts'

const folder = mkdtempSync(join(tmpdir(), 'tollbridge-stdio-'))
const node = process.execPath
const script = join(folder, 'server.cjs')
const pids = join(folder, 'pids')
const gatewayEnv = {
  TOLLBRIDGE_STDIO_ALLOW: `${node},true`,
  TOLLBRIDGE_SECRET_KEY: 'c2VudGluZWwtb2YtdGhlLW1hc3Rlci1zZWNyZXQtMTIzNDU2Nzg5',
  MY_CLOUD_TOKEN: sentinel,
}

/** Tells its arguments and variables, floods, or starts processes of its own that ignore a polite end. */
writeFileSync(
  script,
  `
const { spawn } = require('node:child_process')
const { appendFileSync } = require('node:fs')
const say = (message) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\\n')
const pids = ${JSON.stringify(pids)}
const tools = {
  tell: () => ({ argv: process.argv.slice(2), env: process.env, cwd: process.cwd() }),
  fork: () => {
    const stubborn = spawn(process.execPath, ['-e', 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000)'])
    const plain = spawn('/bin/sh', ['-c', 'trap "" TERM HUP; sleep 300 & wait'])
    appendFileSync(pids, [process.pid, stubborn.pid, plain.pid].join('\\n') + '\\n')
    return {}
  },
  flood: () => {
    const chunk = Buffer.alloc(1 << 20, 'x')
    let left = 200
    const more = () => { while (left-- > 0) if (!process.stdout.write(chunk)) return process.stdout.once('drain', more) }
    more()
  },
}
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line)
  if (method === 'initialize')
    return say({ id, result: { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'child', version: '1' } } })
  if (method !== 'tools/call') return id === undefined ? undefined : say({ id, result: {} })
  const told = tools[params.name]()
  if (told) say({ id, result: { content: [{ type: 'text', text: JSON.stringify(told) }] } })
})
`,
)

let gateway: TestGateway
let off: TestGateway
let member: ApiCaller
let operator: ApiCaller
beforeAll(async () => {
  ;[gateway, off] = await Promise.all([startTestGateway({ env: gatewayEnv }), startTestGateway()])
  member = await gateway.member('mia')
  operator = await gateway.member('oskar', { roles: ['operator'] })
})
afterAll(async () => {
  await Promise.all([gateway.stop(), off.stop()])
  rmSync(folder, { recursive: true, force: true })
})

let made = 0
const freshName = (): string => `child-${++made}`
const register = (transport: object, caller: ApiCaller = gateway.admin, name = freshName()) =>
  caller.call('POST', '/api/v1/servers', {
    name,
    access: 'authenticated',
    transport: { type: 'stdio', ...transport },
  })

/** Registers the script with these arguments and variables, and a client of it. */
async function child(more: object = {}, server: object = {}, target = gateway): Promise<McpClient> {
  const name = freshName()
  await target.admin.ok('POST', '/api/v1/servers', {
    name,
    access: 'authenticated',
    transport: { type: 'stdio', command: node, args: [script], ...more },
    ...server,
  })
  return new McpClient(target.admin, `/mcp/${name}`)
}

interface Told {
  readonly argv: string[]
  readonly env: Record<string, string>
  readonly cwd: string
}
async function tell(client: McpClient): Promise<Told> {
  const { json } = await client.ask('legacy', toolCall('tell'))
  return JSON.parse(json.result.content[0].text) as Told
}

const childrenOf = (pid: number | undefined): number[] =>
  readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return []
    try {
      const [, state, parent] = /\) (\S) (\d+)/.exec(readFileSync(`/proc/${entry}/stat`, 'utf8')) ?? []
      return Number(parent) === pid && state !== undefined ? [Number(entry)] : []
    } catch {
      return []
    }
  })
const isAlive = (pid: number): boolean => {
  try {
    // A zombie answers to signals, so its state is asked.
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}
const status = (name: string): number =>
  Number(
    new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(
      readFileSync(`/proc/${gateway.process.pid}/status`, 'utf8'),
    )?.[1],
  ) * 1024

describe('registering a command', () => {
  test('is refused for members and operators, and for everybody where nothing is allowed', async () => {
    const before = childrenOf(gateway.process.pid)
    const transport = { command: node, args: [script] }
    for (const caller of [member, operator]) expect((await register(transport, caller)).status).toBe(403)
    const url = { type: 'streamable-http', url: 'http://127.0.0.1:9/mcp' }
    await operator.ok('POST', '/api/v1/servers', { name: 'was-http', transport: url })
    const turned = await operator.call('PATCH', '/api/v1/servers/was-http', {
      transport: { type: 'stdio', ...transport },
    })
    expect(turned.status).toBe(403)
    const denied = await register(transport, off.admin)
    expect([denied.status, denied.json.code]).toEqual([422, 'command_denied'])
    expect(childrenOf(gateway.process.pid)).toEqual(before)
  })

  test.each([
    'bash',
    'sh',
    '/bin/bash',
    'node',
    './node',
    '../node',
    `${node} --eval 1`,
    `${node}\n`,
    ` ${node}`,
    node.toUpperCase(),
    `${node}/../node`,
    `/usr/bin/env`,
    '/true',
    './true',
    'true;id',
    'true --help',
    '$(true)',
    '`true`',
    'TRUE',
  ])('that is not on the list, such as %j, is refused', async (command) => {
    const answer = await register({ command })
    expect([answer.status, answer.json.code]).toEqual([422, 'command_denied'])
    const { id } = (await register({ command: node, args: ['-v'] })).json
    const patched = await gateway.admin.call('PATCH', `/api/v1/servers/${id}`, { transport: { command } })
    expect([patched.status, patched.json.code]).toEqual([422, 'command_denied'])
  })

  test.each([
    'NODE_OPTIONS',
    'node_options',
    'LD_PRELOAD',
    'LD_LIBRARY_PATH',
    'DYLD_INSERT_LIBRARIES',
    'PATH',
    'PYTHONSTARTUP',
    'PYTHONPATH',
    'BASH_ENV',
    'ENV',
    'PERL5OPT',
    'RUBYOPT',
    'JAVA_TOOL_OPTIONS',
    'GIT_SSH_COMMAND',
    'NPM_CONFIG_PREFIX',
    'TOLLBRIDGE_SECRET_KEY',
    'A=B',
    'A\0B',
    '',
  ])('with the variable %j is refused', async (variable) => {
    const answer = await register({ command: node, args: [script], env: { [variable]: 'x' } })
    expect(answer.status).toBe(422)
    expect(answer.json.errors[0].field).toContain('/transport/env')
  })

  test.each([
    '${secret:**}',
    '${secret:other-tenant}',
    '${env:TOLLBRIDGE_SECRET_KEY}',
    '${file:/etc/passwd}',
    '${ env:HOME }',
    'x${vault:a/b}y',
  ])('or a credential with the reference %s is refused', async (reference) => {
    const url = 'https://mcp.example.com/mcp'
    const http = { type: 'streamable-http', url }
    const stdio = { type: 'stdio', command: node }
    for (const more of [
      { transport: { ...stdio, args: [reference] } },
      { transport: { ...stdio, env: { TOKEN: reference } } },
      { transport: { ...stdio, cwd: `/${reference}` } },
      { transport: { ...http, headers: { 'X-Token': reference } } },
      { transport: { ...http, url: `${url}/${reference}` } },
      { transport: http, auth: { type: 'bearer', token: reference } },
      { transport: http, auth: { type: 'basic', username: 'u', password: reference } },
      { transport: http, auth: { type: 'api-key', in: 'query', name: 'k', value: reference } },
    ]) {
      const answer = await gateway.admin.call('POST', '/api/v1/servers', { name: freshName(), ...more })
      expect([JSON.stringify(more), answer.status]).toEqual([JSON.stringify(more), 422])
    }
  })
})

describe('a child', () => {
  test('gets its arguments literally: no shell reads them', async () => {
    const trap = join(folder, 'trap')
    const args = [
      `; touch ${trap}`,
      `$(touch ${trap})`,
      `\`touch ${trap}\``,
      `| touch ${trap}`,
      `&& touch ${trap}`,
      `\ntouch ${trap}`,
      '*',
      '~',
      '$HOME',
      '"',
      "'",
      '',
      '\\',
      '--',
      '%PATH%',
    ]
    expect((await tell(await child({ args: [script, ...args] }))).argv).toEqual(args)
    expect(existsSync(trap)).toBe(false)
  })

  test("sees no variable of the gateway's but where programs, home and temporary files are", async () => {
    const { env, cwd } = await tell(await child({ env: { TOKEN: '$HOME `id`' }, cwd: folder }))
    const { TOKEN, ...rest } = env
    expect(TOKEN).toBe('$HOME `id`')
    expect(['PATH', 'HOME', 'LANG', 'TMPDIR']).toEqual(expect.arrayContaining(Object.keys(rest)))
    expect(JSON.stringify(env)).not.toContain(sentinel)
    expect(JSON.stringify(env)).not.toContain(gatewayEnv.TOLLBRIDGE_SECRET_KEY)
    expect(cwd).toBe(folder)
  })

  test('that writes 200 MB without a line end is killed at its cap; the call is answered, and memory stays flat', async () => {
    const client = await child({}, { limits: { maxResponseBytes: 1 << 20 } })
    await tell(client)
    writeFileSync(`/proc/${gateway.process.pid}/clear_refs`, '5')
    const before = status('VmRSS')
    const others = childrenOf(gateway.process.pid)
    const { json } = await client.ask('legacy', { id: 'flood', ...toolCall('flood') })
    expect([json.id, json.result.isError, json.result.structuredContent.code]).toEqual([
      'flood',
      true,
      'upstream_unavailable',
    ])
    expect(status('VmHWM') - before).toBeLessThan(64 * 1024 * 1024)
    await until(() => childrenOf(gateway.process.pid).length < others.length, 'the child is gone')
  })

  /** Starts a child with processes of its own; their ids. */
  async function family(target = gateway): Promise<{ client: McpClient; members: number[] }> {
    rmSync(pids, { force: true })
    const client = await child({}, {}, target)
    await client.ask('legacy', toolCall('fork'))
    const members = readFileSync(pids, 'utf8').trim().split('\n').map(Number)
    expect(members.map(isAlive)).toEqual([true, true, true])
    return { client, members }
  }

  test('takes what it started with it, at the end of its session, when it floods, and when it is killed', async () => {
    const ends = {
      session: ({ client }: { client: McpClient }) =>
        fetch(client.url + client.path, {
          method: 'DELETE',
          headers: { ...client.own(), 'mcp-session-id': client.session ?? '' },
        }),
      flood: ({ client }: { client: McpClient }) => client.ask('legacy', toolCall('flood')),
      kill: async ({ members }: { members: number[] }) => void process.kill(members[0] ?? 0, 'SIGKILL'),
      removal: ({ client }: { client: McpClient }) =>
        gateway.admin.ok('DELETE', `/api/v1/servers/${client.path.slice('/mcp/'.length)}`),
    }
    for (const [how, end] of Object.entries(ends)) {
      const started = await family()
      await end(started)
      await until(() => !started.members.some(isAlive), `the family is gone after ${how}`, 10_000)
    }
  })

  test.each(['SIGTERM', 'SIGINT'] as const)(
    'and what it started end with the gateway on %s',
    async (signal) => {
      const own = await startTestGateway({ env: gatewayEnv })
      const { members } = await family(own)
      expect((await own.stop(signal)).code).toBe(0)
      await until(() => !members.some(isAlive), 'the family is gone')
    },
  )

  test('leaves no zombie, no process and no open file after a thousand starts', async () => {
    const { name } = (await register({ command: 'true' })).json
    const files = (): number => readdirSync(`/proc/${gateway.process.pid}/fd`).length
    const start = async (): Promise<void> => {
      const opened = await new McpClient(gateway.admin, `/mcp/${name}`).open()
      expect(opened.status).toBe(502)
    }
    await start()
    const [before, open] = [childrenOf(gateway.process.pid), files()]
    let left = 1000
    const work = async (): Promise<void> => {
      while (left-- > 0) await start()
    }
    await Promise.all(Array.from({ length: 8 }, work))
    await until(
      () => childrenOf(gateway.process.pid).length <= before.length,
      'every child is gone and waited for',
    )
    // Connections of this test's own clients are open files too.
    await until(() => files() <= open + 16, 'the files are closed')
  }, 60_000)
})
