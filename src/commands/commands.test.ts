// The command line against a gateway of its own: exit codes, what goes where, and logins.
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { recordingIo } from '../../test/harness/cli.ts'
import { credentialsPath } from './credentials.ts'
import type { Io } from './io.ts'
import { runCli } from './program.ts'
import { formatTable } from './table.ts'

interface Heard {
  method: string
  path: string
  authorization: string | undefined
  body: unknown
}

let home: string
let server: Server
let url: string
let heard: Heard[]
let refreshes: number
/** What the stub answers: status and body, or undefined for 404. */
let answer: (heard: Heard) => { status: number; body?: unknown; headers?: Record<string, string> } | undefined

const tokens = (n: number) => ({
  token: `token-${n}`,
  refreshToken: `refresh-${n}`,
  expiresIn: 900,
  userId: 'usr_1',
  username: 'admin',
  roles: ['admin'],
})

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'tollbridge-home-'))
  heard = []
  refreshes = 0
  answer = () => undefined
  const handle = async (
    request: IncomingMessage,
  ): Promise<{ status: number; body?: unknown; headers?: object }> => {
    const body = await text(request)
    const { method = '', url: path = '', headers } = request
    const seen = {
      method,
      path,
      authorization: headers.authorization,
      body: body === '' ? undefined : JSON.parse(body),
    }
    heard.push(seen)
    if (path === '/api/v1/auth/authenticate') return { status: 200, body: tokens(0) }
    if (path === '/api/v1/auth/refresh') return { status: 200, body: tokens(++refreshes) }
    return (
      answer(seen) ?? {
        status: 404,
        body: { detail: 'There is nothing here.', code: 'not_found', requestId: 'req_1' },
      }
    )
  }
  server = createServer((request, response) => {
    void handle(request).then(({ status, body, headers }) => {
      response.writeHead(status, { ...headers }).end(body === undefined ? '' : JSON.stringify(body))
    })
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  rmSync(home, { recursive: true, force: true })
})

interface Outcome {
  code: number
  out: string
  talk: string
}

const makeIo = (given: Partial<Io> = {}) => recordingIo({ XDG_CONFIG_HOME: home, TOLLBRIDGE_URL: url }, given)

async function cli(line: string, given: Partial<Io> = {}): Promise<Outcome> {
  const { io, out, talk } = makeIo(given)
  const code = await runCli(line.split(' ').filter(Boolean), io)
  return { code, out: out.join('\n'), talk: talk.join('\n') }
}

describe('wrong use', () => {
  test.each([
    ['servr ls', /did you mean.*server/i],
    ['server ls --jsn', /did you mean --json/i],
    ['server add', /missing required argument/],
    ['account mode ann sometimes', /prepaid, postpaid/],
    ['server rm weather --key k', /--yes/],
    ['server add weather https://w.example/mcp extra --key k', /no further arguments/],
    ['usage ls --limit x --key k', /whole number/],
    ['bundle add travel weather --exclude maps=x --key k', /no server of the bundle/],
    ['bundle add travel weather --rename weather=x --key k', /SERVER=OLD:NEW/],
    ['login', /--password-stdin/],
    ['me --key k --url gate', /no http or https URL/],
  ])('"%s" exits 2 with a hint on standard error and nothing on standard output', async (line, hint) => {
    const { code, out, talk } = await cli(line)
    expect([code, out]).toEqual([2, ''])
    expect(talk).toMatch(hint)
    expect(heard).toEqual([])
  })

  test('of the configuration exits 78 with every fault', async () => {
    const { code, talk } = await cli('config check --port x --durability no')
    expect(code).toBe(78)
    expect(talk).toMatch(/--port: .*\n--durability: .*\n.*2 faults/)
  })
})

describe('help', () => {
  test('of every command has an example', async () => {
    const leaves =
      'serve,login,logout,me,doctor,migrate,verify,healthcheck,config print,server ls,server add,server test,server rm,server enable,bundle add,bundle ls,bundle show,bundle rm,key create,key ls,key rotate,key rm,usage ls,usage show,usage summary,rule ls,rule add,rule set,rule rm,rule explain,rule quote,account ls,account grant,account mode'
    for (const line of leaves.split(',')) {
      const { code, out } = await cli(`${line} --help`)
      expect(code, line).toBe(0)
      expect(out, line).toMatch(new RegExp(String.raw`Examples:\n {2}\$ tollbridge ${line}`))
    }
  })
})

describe('a client command', () => {
  test('prints a table for people and the data for --json, both on standard output', async () => {
    const items = [
      {
        id: 'srv_1',
        name: 'weather',
        status: 'active',
        access: 'private',
        transport: { type: 'stdio', command: 'npx', args: ['-y'] },
      },
    ]
    answer = () => ({ status: 200, body: { items, nextCursor: null } })
    const table = await cli('server ls --key k')
    expect(table).toMatchObject({ code: 0, talk: '' })
    expect(table.out).toBe(
      'NAME     STATUS  ACCESS   TRANSPORT  TARGET\nweather  active  private  stdio      npx -y',
    )
    expect(JSON.parse((await cli('server ls --key k --json')).out)).toEqual(items)
    expect(heard[0]).toMatchObject({ authorization: 'Bearer k', path: '/api/v1/servers?limit=100' })
  })

  test.each(['server', 'key', 'usage'])('takes list for ls (%s)', async (group) => {
    answer = () => ({ status: 200, body: { items: [] } })
    expect((await cli(`${group} list --key k`)).code).toBe(0)
  })

  test('shows the tools of a server with their prices', async () => {
    const price = { name: 'basic', currency: 'USD', price: { perCall: '0.01' }, billOn: ['success', 'error'] }
    const items = [
      { name: 'forecast', price, flags: [], held: null },
      { name: 'echo', price: null, flags: [], held: null },
    ]
    answer = () => ({ status: 200, body: { items, nextCursor: null } })
    expect((await cli('server tools weather --key k')).out.split('\n')).toEqual([
      'TOOL      PRICE             BILLED ON       RULE',
      'forecast  perCall=0.01 USD  success, error  basic',
      'echo      unpriced          -               -',
    ])
    expect(JSON.parse((await cli('server tools weather --key k --json')).out)).toEqual(items)
    expect(heard[0]?.path).toBe('/api/v1/servers/weather/tools?limit=100')
  })

  test('makes a bundle of servers with what each shows', async () => {
    answer = () => ({ status: 201, body: { name: 'travel' } })
    const line =
      'bundle add travel weather maps --access authenticated --exclude maps=admin_* --rename weather=get_a:a --key k'
    expect((await cli(line)).code).toBe(0)
    expect(heard[0]).toMatchObject({
      method: 'POST',
      path: '/api/v1/bundles',
      body: {
        name: 'travel',
        access: 'authenticated',
        members: [
          { server: 'weather', rename: { get_a: 'a' } },
          { server: 'maps', exclude: ['admin_*'] },
        ],
      },
    })
  })

  test('shows sums with every number to the right', async () => {
    const group = {
      server: 'w',
      calls: 12345,
      failedCalls: 1,
      unpricedCalls: 2,
      cost: '0.5',
      currency: 'USD',
    }
    answer = () => ({ status: 200, body: { totalCalls: 12345, groups: [group] } })
    expect((await cli('usage summary --group-by server --key k')).out.split('\n').slice(-2)).toEqual([
      'SERVER  CALLS  FAILED CALLS  UNPRICED CALLS  COST  CURRENCY',
      'w       12345             1               2   0.5  USD',
    ])
  })

  test('follows the cursor over all pages', async () => {
    answer = ({ path }) => ({
      status: 200,
      body: path.includes('cursor=c1')
        ? { items: [{ name: 'b' }], nextCursor: null }
        : { items: [{ name: 'a' }], nextCursor: 'c1' },
    })
    expect(JSON.parse((await cli('key ls --key k --json')).out)).toEqual([{ name: 'a' }, { name: 'b' }])
  })

  test('shows a refusal as one sentence with the request id, and exits 1', async () => {
    answer = () => ({
      status: 429,
      headers: { 'retry-after': '7' },
      body: { detail: 'Too many requests.', code: 'rate_limited', requestId: 'req_42' },
    })
    const { code, out, talk } = await cli('me --key k')
    expect([code, out]).toEqual([1, ''])
    expect(talk).toBe('tollbridge: Too many requests. (rate_limited, request req_42, retry after 7 s)')
  })

  test('without a gateway says how to start one', async () => {
    const { code, talk } = await cli('me --key k --url http://127.0.0.1:1')
    expect(code).toBe(1)
    expect(talk).toContain('npm start')
  })

  test('sends what the options say', async () => {
    answer = ({ path }) => ({
      status: 200,
      body: path === '/api/v1/billing/accounts/acc_1' ? { currency: 'EUR' } : { id: 'x', accountId: 'acc_1' },
    })
    await cli('server add weather https://w.example/mcp --header X-A:b --bearer - --access public --key k')
    await cli(
      'server add old https://o.example/sse --transport sse --session-id header:X-S --sharing user --key k',
    )
    await cli('server add live wss://l.example/ws --key k')
    await cli('server add files --env A=b --key k -- npx -y server --root /')
    await cli(
      'rule add basic --server w* --per-call 0.01 --bill-on success,error --priority 3 --no-active --key k',
    )
    await cli('rule add yen --per-call 1 --currency JPY --key k')
    await cli('rule quote --per-kb 0.002 --kb 12.5 --key k')
    expect(heard.map(({ body }) => body).filter((body) => body !== undefined)).toEqual([
      {
        name: 'weather',
        access: 'public',
        transport: { type: 'streamable-http', url: 'https://w.example/mcp', headers: { 'X-A': 'b' } },
        auth: { type: 'bearer', token: 'secret-password' },
      },
      {
        name: 'old',
        sharing: 'user',
        transport: {
          type: 'sse',
          url: 'https://o.example/sse',
          sessionId: { in: 'header', name: 'X-S' },
        },
      },
      { name: 'live', transport: { type: 'websocket', url: 'wss://l.example/ws' } },
      {
        name: 'files',
        transport: { type: 'stdio', command: 'npx', args: ['-y', 'server', '--root', '/'], env: { A: 'b' } },
      },
      {
        name: 'basic',
        priority: 3,
        active: false,
        match: { server: 'w*' },
        price: { perCall: '0.01' },
        billOn: ['success', 'error'],
        currency: 'EUR',
      },
      { name: 'yen', price: { perCall: '1' }, currency: 'JPY' },
      { price: { perKb: '0.002' }, usage: { kb: '12.5' } },
    ])
  })

  test('finds things by their name, and refuses a name that two have', async () => {
    answer = ({ method }) =>
      method === 'DELETE'
        ? { status: 204 }
        : {
            status: 200,
            body: {
              items: [
                { id: 'key_1', name: 'a' },
                { id: 'key_2', name: 'b' },
                { id: 'key_3', name: 'b' },
              ],
              nextCursor: null,
            },
          }
    expect((await cli('key rm a --yes --key k')).code).toBe(0)
    expect(heard.at(-1)).toMatchObject({ method: 'DELETE', path: '/api/v1/keys/key_1' })
    expect((await cli('key rm b --yes --key k')).talk).toContain('2 keys are called "b"')
  })

  test('destroys only what is typed by name', async () => {
    answer = () => ({ status: 204 })
    const ask = (reply: string) => ({ interactive: true, ask: () => Promise.resolve(reply) })
    expect((await cli('server rm weather --key k', ask('no'))).code).toBe(1)
    expect(heard).toEqual([])
    expect((await cli('server rm weather --key k', ask('weather'))).code).toBe(0)
  })

  test('shows no control character that another person put into a name', () => {
    const rows = [{ name: 'a\u001b[2Jb\nc' }]
    expect(formatTable(rows, [{ title: 'NAME', value: (row) => row.name }])).toBe('NAME\na?[2Jb?c')
  })
})

describe('a login', () => {
  test('is saved for its owner alone and used without a key', async () => {
    const { code, out } = await cli('login -u admin --password-stdin')
    expect([code, out]).toEqual([0, ''])
    expect(heard[0]?.body).toEqual({ username: 'admin', password: 'secret-password' })
    expect(statSync(credentialsPath(makeIo().io)).mode & 0o777).toBe(0o600)
    answer = () => ({ status: 200, body: { username: 'admin' } })
    await cli('me')
    expect(heard[1]?.authorization).toBe('Bearer token-0')
  })

  test('refreshes its token once, also where several commands find it refused at the same time', async () => {
    await cli('login -u admin --password-stdin')
    answer = ({ authorization }) =>
      authorization === 'Bearer token-0'
        ? { status: 401, body: { detail: 'No.' } }
        : { status: 200, body: { ok: true } }
    const outcomes = await Promise.all(Array.from({ length: 5 }, () => cli('me')))
    expect(outcomes.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0])
    expect(refreshes).toBe(1)
  })

  test('goes to its own gateway only', async () => {
    await cli('login -u admin --password-stdin')
    const { code, talk } = await cli('me --url http://127.0.0.1:1')
    expect(code).toBe(1)
    expect(talk).toContain('Not logged in to http://127.0.0.1:1')
  })

  test('is gone after logout', async () => {
    await cli('login -u admin --password-stdin')
    answer = () => ({ status: 204 })
    expect((await cli('logout')).code).toBe(0)
    expect((await cli('me')).talk).toContain('Not logged in')
  })
})

describe('healthcheck', () => {
  test('exits 0 where the gateway is ready and 1 where it is not or not there', async () => {
    answer = () => ({ status: 200, body: 'ready' })
    expect((await cli('healthcheck')).code).toBe(0)
    answer = () => ({ status: 503, body: 'not ready' })
    expect((await cli('healthcheck')).code).toBe(1)
    expect((await cli('healthcheck --url http://127.0.0.1:1')).code).toBe(1)
  })
})
