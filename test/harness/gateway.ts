// The real gateway in a process of its own, as a user would start it, and a caller of its HTTP API.
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '../..')
export const adminPassword = 'Test-Admin-passw0rd'

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  // Tests read whatever shape they expect.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly json: any
}

/** A caller of the HTTP API with one credential (or none). */
export class ApiCaller {
  readonly url: string
  credential: string | undefined
  userId = ''
  accountId = ''

  constructor(url: string, credential?: string) {
    this.url = url
    this.credential = credential
  }

  async call(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const response = await fetch(this.url + path, {
      method,
      redirect: 'manual',
      headers: {
        ...(this.credential !== undefined && { authorization: `Bearer ${this.credential}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, text, json: parseOr(text) }
  }

  /** As `call`; throws where the status is not 2xx. */
  // oxlint-disable-next-line typescript/no-explicit-any
  async ok(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<any> {
    const answer = await this.call(method, path, body, headers)
    if (answer.status >= 300)
      throw new Error(`${method} ${path} → ${answer.status} ${answer.text.slice(0, 500)}`)
    return answer.json
  }

  async login(username: string, password: string): Promise<this> {
    const answer = await this.ok('POST', '/api/v1/auth/authenticate', { username, password })
    this.credential = answer.token
    this.userId = answer.userId
    this.accountId = (await this.ok('GET', '/api/v1/me')).accountId
    return this
  }

  /** Every item of a list, over all its pages. */
  // oxlint-disable-next-line typescript/no-explicit-any
  async all(path: string): Promise<any[]> {
    const items = []
    for (let cursor: string | null = ''; cursor !== null;) {
      const joint = path.includes('?') ? '&' : '?'
      const page = await this.ok(
        'GET',
        `${path}${joint}limit=100${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`,
      )
      items.push(...page.items)
      cursor = page.nextCursor
    }
    return items
  }
}

function parseOr(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export interface TestGateway {
  readonly url: string
  /** Where the API is: `url`, unless administration has a listener of its own. */
  readonly adminUrl: string
  readonly data: string
  readonly process: ChildProcess
  readonly admin: ApiCaller
  /** A new member, signed in; with `grant` the account is prepaid and funded. */
  member(name: string, options?: { grant?: string; roles?: string[] }): Promise<ApiCaller>
  /** Standard error so far. */
  log(): string
  /** Ends the process and resolves with how it ended. Removes the data folder unless it was given. */
  stop(signal?: NodeJS.Signals): Promise<{ code: number | null; signal: string | null }>
}

export interface GatewayOptions {
  /** Data folder to use again; a fresh one, removed at the end, where absent. */
  readonly data?: string
  readonly env?: Readonly<Record<string, string>>
  readonly args?: readonly string[]
  /** What to run instead of `src/cli.ts serve`; gets the same flags. */
  readonly program?: readonly string[]
  /** Put before the command line, for example strace. */
  readonly wrap?: readonly string[]
  /** Does not sign the admin in. */
  readonly anonymous?: boolean
}

/** Starts a gateway on any free port and waits for its ready line. */
export async function startTestGateway(options: GatewayOptions = {}): Promise<TestGateway> {
  const data = options.data ?? mkdtempSync(join(tmpdir(), 'tollbridge-test-'))
  const program = options.program ?? [join(root, 'src/cli.ts'), 'serve']
  const flags = ['--port', '0', '--data', data, ...(options.args ?? [])]
  const [command = '', ...args] = [...(options.wrap ?? []), process.execPath, ...program, ...flags]
  const child = spawn(command, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      TOLLBRIDGE_ADMIN_PASSWORD: adminPassword,
      TOLLBRIDGE_LOG_LEVEL: 'warn',
      ...options.env,
    },
  })
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log = (log + text).slice(-200_000)))
  const exited = new Promise<{ code: number | null; signal: string | null }>((done) =>
    child.once('exit', (code, signal) => done({ code, signal })),
  )
  const { url, adminUrl } = await readyUrls(child, exited, () => log)
  const admin = new ApiCaller(adminUrl)
  if (!options.anonymous) await admin.login('admin', adminPassword)
  return {
    url,
    adminUrl,
    data,
    process: child,
    admin,
    log: () => log,
    member: async (name, { grant, roles = ['member'] } = {}) => {
      const password = `Member-passw0rd-${name}`
      await admin.ok('POST', '/api/v1/users', { username: name, password, roles })
      const member = await new ApiCaller(adminUrl).login(name, password)
      if (grant === undefined) return member
      const account = `/api/v1/billing/accounts/${member.accountId}`
      await admin.ok('PATCH', account, { mode: 'prepaid' })
      await admin.ok('POST', `${account}/grants`, { amount: grant })
      return member
    },
    stop: async (signal = 'SIGTERM') => {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal)
      const killer = setTimeout(() => child.kill('SIGKILL'), 40_000)
      const end = await exited
      clearTimeout(killer)
      if (options.data === undefined) rmSync(data, { recursive: true, force: true })
      return end
    },
  }
}

function readyUrls(
  child: ChildProcess,
  exited: Promise<object>,
  log: () => string,
): Promise<{ url: string; adminUrl: string }> {
  return new Promise((done, fail) => {
    const timer = setTimeout(() => fail(new Error(`no ready line in 30 s: ${log().slice(-2000)}`)), 30_000)
    let out = ''
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      out += text
      const ready = /^ready .*?(https?:\/\/\S+)\s*$/m.exec(out)?.[1]
      if (ready === undefined || !out.includes('\n')) return
      clearTimeout(timer)
      const url = ready.replace(/\/$/, '')
      done({ url, adminUrl: /^Console +(\S+)\/$/m.exec(out)?.[1] ?? url })
    })
    void exited.then((end) => {
      clearTimeout(timer)
      fail(new Error(`the gateway exited ${JSON.stringify(end)}: ${log().slice(-2000)}`))
    })
  })
}

/** Registers a server by URL for every signed-in caller. */
export const addServer = (gateway: TestGateway, name: string, url: string, more: object = {}) =>
  gateway.admin.ok('POST', '/api/v1/servers', {
    name,
    transport: { type: 'streamable-http', url },
    access: 'authenticated',
    ...more,
  })
