// A gateway with one server and a browser before its console; each test gets a page of its own, watched for what none may do.
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, expect, vi } from 'vitest'
import { launchChromium } from '../harness/chromium.ts'
import { adminPassword, startTestGateway, type TestGateway } from '../harness/gateway.ts'
import { freePort } from '../harness/ports.ts'
import { McpClient, toolCall } from '../trust/bench.ts'
import { answer } from '../upstreams/replies.ts'
import { startRecorder, type Recorder } from '../upstreams/recorder.ts'

export const inputSchema = {
  type: 'object',
  properties: { text: { type: 'string' }, count: { type: 'integer', description: 'How often' } },
  required: ['text'],
}
/** What a hostile server says of its tools. */
export const evil = '<img src=x onerror="alert(1)"> <script>alert(2)</script> javascript:alert(3)'

export const passwordOf = (name: string): string =>
  name === 'admin' ? adminPassword : `Member-passw0rd-${name}`

/** A browser, a gateway and other tests share two cores: what is slow there is not wrong. */
const patienceMs = 120_000

interface StageOptions {
  /** Whether the server is registered already, as `stub`, for everybody. */
  readonly isRegistered?: boolean
  /** Further arguments of the gateway. */
  readonly args?: readonly string[]
  /** Further variables of its environment. */
  readonly env?: Readonly<Record<string, string>>
}

/** One for all tests of a file: starts before them and stops after them. There is a member `anna` without credit. */
export class Stage {
  declare browser: Browser
  declare upstream: Recorder
  declare gateway: TestGateway
  declare origin: string
  declare context: BrowserContext
  declare page: Page
  #odd: string[] = []

  async start({ isRegistered = false, args = [], env = {} }: StageOptions): Promise<void> {
    ;[this.browser, this.upstream] = await Promise.all([
      launchChromium(),
      startRecorder({ tools: ['work', 'ok'] }),
    ])
    const tools = ['work', 'ok'].map((name) => ({ name, description: evil, inputSchema }))
    this.upstream.on('tools/list', answer({ tools, ttlMs: 0, cacheScope: 'private' }))
    const port = await freePort()
    this.origin = `http://localhost:${port}`
    this.gateway = await startTestGateway({
      args: ['--port', String(port), '--public-url', this.origin, ...args],
      env,
    })
    await this.gateway.admin.ok('POST', '/api/v1/billing/rules', {
      name: 'calls',
      match: { method: 'tools/call' },
      currency: 'USD',
      price: { perCall: '0.25' },
    })
    await this.gateway.member('anna')
    if (!isRegistered) return
    await this.gateway.admin.ok('POST', '/api/v1/servers', {
      name: 'stub',
      access: 'authenticated',
      transport: { type: 'streamable-http', url: this.upstream.url },
    })
  }

  async stop(): Promise<void> {
    await this.browser.close()
    await this.gateway.stop('SIGKILL')
    await this.upstream.stop()
  }

  async newPage(): Promise<void> {
    this.#odd = []
    this.context = await this.browser.newContext()
    this.page = await this.context.newPage()
    this.page.setDefaultTimeout(patienceMs / 2)
    this.page.on('pageerror', (error) => this.#odd.push(`error: ${error.message}`))
    this.page.on('dialog', (dialog) => {
      this.#odd.push(`dialog: ${dialog.message()}`)
      void dialog.dismiss()
    })
    this.page.on('request', (request) => {
      if (!request.url().startsWith(this.origin)) this.#odd.push(`asked ${request.url()}`)
    })
    // The first question is whether anybody is logged in, and the answer may be no; some inputs are wrong on purpose.
    this.page.on('console', (said) => {
      if (said.type() === 'error' && !/status of 4(00|01|09|22) /.test(said.text()))
        this.#odd.push(`said ${said.text()}`)
    })
  }

  async closePage(): Promise<void> {
    await this.context.close()
    expect(this.#odd).toEqual([])
  }

  /** Logs in at `path`. */
  async open(path: string, name = 'admin'): Promise<void> {
    await this.page.goto(`${this.origin}${path}`)
    await this.page.getByLabel('User name').fill(name)
    await this.page.getByLabel('Password').fill(passwordOf(name))
    await this.page.getByRole('button', { name: 'Log in', exact: true }).click()
    await this.page.getByRole('navigation', { name: 'Main' }).waitFor()
  }

  /** Where one is logged in already. */
  async goto(path: string): Promise<void> {
    await this.page.goto(`${this.origin}${path}`)
  }

  heading(name: string | RegExp) {
    return this.page.getByRole('heading', { level: 1, name })
  }

  /** Calls a tool of `stub` as a client in the modern era. */
  async callAs(credential: string | undefined, tool = 'work') {
    const caller = new McpClient({ url: this.gateway.url, credential: credential ?? '' }, '/mcp/stub')
    return caller.ask('modern', toolCall(tool))
  }
}

export function useStage(options: StageOptions = {}): Stage {
  vi.setConfig({ testTimeout: patienceMs, hookTimeout: patienceMs })
  const stage = new Stage()
  beforeAll(() => stage.start(options))
  afterAll(() => stage.stop())
  beforeEach(() => stage.newPage())
  afterEach(() => stage.closePage())
  return stage
}
