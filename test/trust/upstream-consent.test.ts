// Servers with a token of each user: asked for at a link that only that user can use, never crossed, renewed once, taken back.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { eras, McpClient, newKey, type Era } from '../faults/callers.ts'
import {
  cleanUp,
  expectClean,
  furnish,
  newFolder,
  onEnd,
  printedSeed,
  seeded,
  startGateway,
} from '../faults/rig.ts'
import type { ApiCaller, TestGateway } from '../harness/gateway.ts'
import { forged } from '../harness/tampering.ts'
import { startConsentServer, type ConsentServer } from '../upstreams/consent-server.ts'
import { startRecorder } from '../upstreams/recorder.ts'

afterEach(cleanUp)

const path = '/api/v1/servers/stub/authorization'
const passwordOf = (name: string): string => `Member-passw0rd-${name}`

interface Person {
  readonly name: string
  readonly caller: ApiCaller
  readonly key: string
}

async function stage(auth: object = {}, options: { data?: string; registers?: boolean } = {}) {
  const server = await startConsentServer({ registers: options.registers ?? true })
  onEnd(() => server.stop())
  const env = { TOLLBRIDGE_BREAKER_FAILURES: '1000000' }
  const gateway = await startGateway({ env, ...(options.data !== undefined && { data: options.data }) })
  const more = { auth: { type: 'oauth2', grant: 'authorization-code', ...auth } }
  await furnish(gateway, server.url, { more })
  const people: Person[] = []
  for (const name of ['ben', 'cat']) {
    const caller = await gateway.member(name, { grant: '100000' })
    people.push({ name, caller, key: await newKey(caller) })
  }
  const [ben, cat] = people as [Person, Person]
  return { server, gateway, ben, cat }
}

/** A browser that keeps the gateway's cookie. */
class Browser {
  #cookie = ''

  async get(url: string): Promise<Response> {
    return this.#keep(await fetch(url, { headers: { cookie: this.#cookie }, redirect: 'manual' }))
  }

  async post(url: string, form: Record<string, string>): Promise<Response> {
    const headers = { cookie: this.#cookie, 'content-type': 'application/x-www-form-urlencoded' }
    const body = new URLSearchParams(form).toString()
    return this.#keep(await fetch(url, { method: 'POST', headers, body, redirect: 'manual' }))
  }

  #keep(response: Response): Response {
    this.#cookie = response.headers.get('set-cookie')?.split(';')[0] ?? this.#cookie
    return response
  }
}

/** Logs in at the link; resolves with where the browser is sent next. */
async function logIn(url: string, name: string, browser = new Browser()): Promise<Response> {
  const page = await browser.get(url)
  expect(page.status).toBe(200)
  const link = /name="link" value="([^"]+)"/.exec(await page.text())?.[1] ?? ''
  const target = new URL(url)
  target.search = ''
  return browser.post(target.href, { link, username: name, password: passwordOf(name) })
}

const linkOf = async ({ caller }: Person): Promise<string> => (await caller.ok('POST', path)).url as string

/** All the way: a link, a login here, a yes there, and back. */
async function consent(server: ConsentServer, person: Person, subject = person.name): Promise<void> {
  const browser = new Browser()
  const sent = await logIn(await linkOf(person), person.name, browser)
  expect(sent.status).toBe(303)
  const back = await browser.get(server.agree(sent.headers.get('location') ?? '', subject))
  expect(back.status).toBe(200)
  expect(await back.text()).toContain('Connected')
}

const clientOf = (gateway: TestGateway, { key }: Person, era: Era, name = '/stub') =>
  new McpClient(`${gateway.url}/mcp${name}`, key, era)

describe.each(eras)('a %s client', (era) => {
  test('is told where its user says yes, and then calls as that user alone', async () => {
    const { server, gateway, ben, cat } = await stage()
    const first = clientOf(gateway, ben, era)
    const refused =
      era === 'modern'
        ? (await first.call()).message.result.structuredContent
        : await first.open().then(
            () => 'opened',
            (error: Error) => error.message,
          )
    expect(JSON.stringify(refused)).toContain('authorization_required')
    expect(JSON.stringify(refused)).toContain(`${gateway.url}/oauth/upstream/start?link=`)
    expect(server.behind.hits).toEqual([])
    await consent(server, ben)
    const caller = await clientOf(gateway, ben, era).open()
    const answer = await caller.call()
    expect(answer.message.result.isError).not.toBe(true)
    const [hit] = server.behind.calls('work')
    expect(server.subjectOf(String(hit?.headers.authorization).slice(7))).toBe('ben')
    expect(JSON.stringify(server.behind.hits)).not.toContain(ben.key)
    const other = era === 'modern' ? await clientOf(gateway, cat, era).call() : undefined
    expect(other?.message.result.structuredContent.code ?? 'authorization_required').toBe(
      'authorization_required',
    )
    expect(server.behind.calls('work')).toHaveLength(1)
    await expectClean(gateway)
  })

  test('that opens URLs is asked by URL elicitation, and goes on where it was', async () => {
    const { server, gateway, ben } = await stage()
    const meta = { 'io.modelcontextprotocol/clientCapabilities': { elicitation: { url: {} } } }
    if (era === 'modern') {
      const asking = clientOf(gateway, ben, era)
      const asked = (await asking.call({ meta, arguments: { n: 1 } })).message.result
      expect(asked).toMatchObject({
        resultType: 'input_required',
        inputRequests: { authorization: { method: 'elicitation/create', params: { mode: 'url' } } },
      })
      const { url } = asked.inputRequests.authorization.params
      const browser = new Browser()
      const sent = await logIn(url, 'ben', browser)
      await browser.get(server.agree(sent.headers.get('location') ?? '', 'ben'))
      expect((await asking.call({ meta, arguments: { n: 1 } })).message.result.isError).not.toBe(true)
      return
    }
    const response = await fetch(`${gateway.url}/mcp/stub`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${ben.key}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
      },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'initialize',
        params: {
          protocolVersion: '2025-11-25',
          capabilities: { elicitation: { url: {} } },
          clientInfo: { name: 'x', version: '1' },
        },
      }),
    })
    const { error } = (await response.json()) as {
      error: { code: number; data: { elicitations: { url: string }[] } }
    }
    expect([response.status, error.code]).toEqual([200, -32042])
    expect(error.data.elicitations[0]?.url).toContain('/oauth/upstream/start?link=')
  })
})

test('a thousand calls of two users at once never carry the other one’s token', async () => {
  const { server, gateway, ben, cat } = await stage()
  await consent(server, ben)
  await consent(server, cat)
  const random = seeded(printedSeed('upstream consent'))
  const clients = await Promise.all(
    [ben, cat].flatMap((person) =>
      eras.flatMap((era) =>
        ['/stub', ''].map(async (name) => ({
          name: person.name,
          tool: name === '' ? 'stub__work' : 'work',
          client: await clientOf(gateway, person, era, name).open(),
        })),
      ),
    ),
  )
  for (let round = 0; round < 10; round++)
    await Promise.all(
      Array.from({ length: 100 }, async () => {
        const { client, name, tool } = clients[random(0, clients.length - 1)] ?? clients[0]!
        const answer = await client.call({ tool, arguments: { of: name } })
        expect(answer.message.result.isError).not.toBe(true)
      }),
    )
  const calls = server.behind.calls('work')
  expect(calls).toHaveLength(1000)
  for (const { headers, message } of calls) {
    const subject = server.subjectOf(String(headers.authorization).slice(7))
    expect(subject).toBe((message?.params?.['arguments'] as { of: string } | undefined)?.of)
  }
  await expectClean(gateway)
})

test('a token that ended is renewed once for however many calls, and the renewal outlives a restart', async () => {
  const data = newFolder()
  const { server, gateway, ben } = await stage({}, { data })
  await consent(server, ben)
  const caller = await clientOf(gateway, ben, 'modern').open()
  await caller.call()
  server.expireAll()
  const before = server.asked.length
  const answers = await Promise.all(Array.from({ length: 50 }, () => caller.call()))
  expect(answers.every(({ message }) => message.result.isError !== true)).toBe(true)
  expect(server.asked.slice(before).map(({ grant_type: type }) => type)).toEqual(['refresh_token'])
  server.expireAll()
  expect((await gateway.stop('SIGTERM')).code).toBe(0)
  const again = await startGateway({ data })
  const after = await new McpClient(`${again.url}/mcp/stub`, ben.key, 'modern').call()
  expect(after.message.result.isError).not.toBe(true)
  expect(server.asked.at(-1)?.['grant_type']).toBe('refresh_token')
  for (const name of readdirSync(data)) {
    const bytes = readFileSync(join(data, name)).toString('latin1')
    for (const form of server.asked) expect(bytes).not.toContain(form['refresh_token'] ?? 'none given')
  }
})

test('where it cannot be renewed the user is asked again; what the user takes back is revoked and forgotten', async () => {
  const { server, gateway, ben } = await stage()
  await consent(server, ben)
  const caller = clientOf(gateway, ben, 'modern')
  await caller.call()
  expect(await ben.caller.ok('GET', path)).toMatchObject({ authorized: true, issuer: server.issuer })
  server.forgetAll()
  const refused = (await caller.call()).message.result.structuredContent
  expect(refused.code).toBe('authorization_required')
  expect((await caller.call()).message.result.structuredContent.authorizationUrl).toContain('link=')
  expect(await ben.caller.ok('GET', path)).toEqual({ authorized: false })
  await consent(server, ben)
  expect((await caller.call()).message.result.isError).not.toBe(true)
  await ben.caller.ok('DELETE', path)
  expect(server.revoked).toHaveLength(1)
  expect((await caller.call()).message.result.structuredContent.code).toBe('authorization_required')
  expect((await ben.caller.call('DELETE', path)).status).toBe(404)
  await expectClean(gateway)
})

describe('a link', () => {
  test('is of no use to anybody else, nor in another browser, nor twice', async () => {
    const { server, gateway, ben, cat } = await stage()
    const link = await linkOf(ben)
    const asCat = await logIn(link, 'cat')
    expect(asCat.status).toBe(400)
    expect(await asCat.text()).toContain('for another user')
    const browser = new Browser()
    const sent = await logIn(link, 'ben', browser)
    const back = server.agree(sent.headers.get('location') ?? '', 'mallory')
    const elsewhere = await new Browser().get(back)
    expect(elsewhere.status).toBe(400)
    expect(server.asked).toEqual([])
    expect((await browser.get(back)).status).toBe(200)
    expect((await browser.get(back)).status).toBe(400)
    expect(server.asked).toHaveLength(1)
    // Without the cookie of the page nobody's password is looked at.
    const stray = await new Browser().post(`${gateway.url}/oauth/upstream/start`, {
      link: decodeURIComponent(link.split('link=')[1] ?? ''),
      username: 'ben',
      password: 'wrong',
    })
    expect(stray.status).toBe(400)
    expect((await cat.caller.ok('GET', path)).authorized).toBe(false)
  })

  test.each([
    ['changed', forged],
    ['cut', (link: string) => link.slice(0, -20)],
    ['empty', (link: string) => link.replace(/link=.*/, 'link=')],
  ])('that was %s leads nowhere', async (_what, change) => {
    const { ben } = await stage()
    const page = await new Browser().get(change(await linkOf(ben)))
    expect(page.status).toBe(400)
    expect(page.headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
  })

  test('brings no token where the answer is another server’s, a refusal, or was made up', async () => {
    const { server, gateway, ben } = await stage()
    const told: Record<string, string>[] = [
      { iss: 'https://evil.example' },
      { code: 'made-up' },
      { error: 'access_denied' },
    ]
    for (const lies of told) {
      const browser = new Browser()
      const sent = await logIn(await linkOf(ben), 'ben', browser)
      const back = await browser.get(server.agree(sent.headers.get('location') ?? '', 'ben', lies))
      expect(back.status).toBe(502)
      expect((await ben.caller.ok('GET', path)).authorized).toBe(false)
    }
    const forged = `${gateway.url}/oauth/upstream/callback?code=x&state=y&iss=${server.issuer}`
    expect((await new Browser().get(forged)).status).toBe(400)
  })

  test('asks with PKCE, for this very server, as a client that the gateway registered once', async () => {
    const { server, gateway, ben, cat } = await stage({ scope: 'crm.read' })
    const sent = await logIn(await linkOf(ben), 'ben')
    const asked = new URL(sent.headers.get('location') ?? '')
    expect(Object.fromEntries(asked.searchParams)).toMatchObject({
      response_type: 'code',
      client_id: 'client-1',
      redirect_uri: `${gateway.url}/oauth/upstream/callback`,
      code_challenge_method: 'S256',
      resource: server.url,
      scope: 'crm.read',
    })
    await consent(server, cat)
    expect(server.registrations).toHaveLength(1)
  })
})

describe('what a hostile authorization server says', () => {
  test.each([
    ['javascript:alert(1)'],
    ['file:///etc/passwd'],
    ['--flag'],
    ['http://example.com/authorize'],
    ['https://user:secret@example.com/authorize'],
  ])('an authorization endpoint %s is opened by nobody', async (endpoint) => {
    const { server, ben } = await stage()
    server.lies['authorization_endpoint'] = endpoint
    const sent = await logIn(await linkOf(ben), 'ben')
    expect(sent.status).toBe(502)
    expect(sent.headers.get('location')).toBeNull()
    const text = await sent.text()
    expect(text).not.toContain('<a ')
    expect(text).not.toContain('secret')
  })

  test.each(['token_endpoint', 'registration_endpoint'])(
    '%s at an inner address is not asked',
    async (member) => {
      const { server, ben } = await stage()
      const canary = await startRecorder()
      onEnd(() => canary.stop())
      server.lies[member] = 'http://169.254.169.254/x'
      const sent = await logIn(await linkOf(ben), 'ben')
      if (member === 'registration_endpoint') expect(sent.status).toBe(502)
      else expect([303, 502]).toContain(sent.status)
      expect(canary.hits).toEqual([])
      expect((await ben.caller.ok('GET', path)).authorized).toBe(false)
    },
  )
})

test('a token exchange gives each caller a token of their own for the gateway’s word', async () => {
  const { server, gateway, ben, cat } = await stage({
    grant: 'token-exchange',
    clientId: 'gateway',
    clientSecret: 'S3NTINEL-exchange',
  })
  for (const person of [ben, cat])
    for (const era of eras) {
      const caller = await clientOf(gateway, person, era).open()
      expect(
        (await caller.call({ arguments: { of: person.caller.userId } })).message.result.isError,
      ).not.toBe(true)
    }
  for (const { headers, message } of server.behind.calls('work')) {
    const subject = server.subjectOf(String(headers.authorization).slice(7))
    expect(subject).toBe((message?.params?.['arguments'] as { of: string } | undefined)?.of)
  }
  expect(server.asked).toHaveLength(2)
  expect(server.asked[0]).toMatchObject({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    resource: server.url,
  })
  expect(JSON.stringify(server.asked)).not.toContain(ben.key)
  const shown = await gateway.admin.ok('GET', '/api/v1/servers/stub')
  expect(JSON.stringify(shown)).not.toContain('S3NTINEL')
})

test('such a server cannot be shared between users, nor be open to everybody', async () => {
  const gateway = await startGateway()
  const auth = { type: 'oauth2', grant: 'authorization-code' }
  const body = { name: 'x', transport: { type: 'streamable-http', url: 'http://127.0.0.1:9/mcp' }, auth }
  const faults = async (more: object): Promise<string> => {
    const answer = await gateway.admin.call('POST', '/api/v1/servers', { ...body, ...more })
    expect(answer.status).toBeOneOf([400, 422])
    return answer.json.errors[0].field as string
  }
  expect(await faults({ sharing: 'server' })).toBe('/sharing')
  expect(await faults({ access: 'public', account: gateway.admin.accountId })).toBe('/access')
  expect(await faults({ auth: { ...auth, clientSecret: 's' } })).toBe('/auth/clientId')
  expect(await faults({ auth: { ...auth, grant: 'password' } })).toBe('/auth/grant')
  expect(await faults({ transport: { type: 'websocket', url: 'ws://127.0.0.1:9/' } })).toBe('/auth/type')
})
