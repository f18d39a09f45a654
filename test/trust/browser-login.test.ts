// Logins of browsers: by password, at another issuer and by passkey; what a cookie may do, and what other sites cannot.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Authenticator } from '../harness/authenticator.ts'
import { ApiCaller, startTestGateway, type Answer, type TestGateway } from '../harness/gateway.ts'
import { startIssuer, type TestIssuer } from '../harness/issuer.ts'
import { freePort } from '../harness/ports.ts'
import { send } from './bench.ts'

const folder = mkdtempSync(join(tmpdir(), 'tollbridge-login-'))
const session = '/api/v1/auth/session'
let issuer: TestIssuer
let stranger: TestIssuer
let gateway: TestGateway
/** What the gateway is called in browsers: passkeys are for a name. */
let origin: string

beforeAll(async () => {
  ;[issuer, stranger] = await Promise.all([startIssuer(), startIssuer()])
  const file = join(folder, 'tollbridge.yaml')
  const login = { name: 'corp', title: 'Corp', clientId: 'tollbridge', clientSecret: 'S3NTINEL-oidc' }
  const terms = {
    issuer: issuer.url,
    algorithms: ['ES256'],
    roles: { ops: 'operator' },
    keepsGroups: true,
    login,
  }
  const other = {
    issuer: stranger.url,
    algorithms: ['ES256'],
    login: { name: 'other', clientId: 'tollbridge' },
  }
  writeFileSync(file, JSON.stringify({ oauth: { issuers: [terms, other] } }))
  const port = await freePort()
  origin = `http://localhost:${port}`
  gateway = await startTestGateway({
    args: ['--config', file, '--port', String(port), '--public-url', origin],
  })
})
afterAll(async () => {
  await gateway.stop('SIGKILL')
  await Promise.all([issuer.stop(), stranger.stop()])
  rmSync(folder, { recursive: true, force: true })
})

/** Pages of the gateway in one browser: keeps its cookies, and says where a request comes from as browsers do. */
class Tab {
  readonly cookies = new Map<string, string>()
  csrf: string | undefined

  async ask(
    method: string,
    path: string,
    body?: object,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const isChange = method !== 'GET'
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const answer = await new ApiCaller(gateway.url).call(method, path, body, {
      ...(cookie !== '' && { cookie }),
      'sec-fetch-site': 'same-origin',
      ...(isChange && { origin }),
      ...(isChange && this.csrf !== undefined && { 'tollbridge-csrf': this.csrf }),
      ...headers,
    })
    for (const line of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (value === '') this.cookies.delete(name)
      else this.cookies.set(name, value)
    }
    return answer
  }

  async logIn(username: string, password: string): Promise<Answer> {
    const answer = await this.ask('POST', session, { username, password })
    this.csrf = answer.json?.csrfToken
    return answer
  }
}

const passwordOf = (name: string): string => `Member-passw0rd-${name}`
const newTab = async (name: string): Promise<{ tab: Tab; member: ApiCaller }> => {
  const member = await gateway.member(name)
  const tab = new Tab()
  expect((await tab.logIn(name, passwordOf(name))).status).toBe(200)
  return { tab, member }
}

describe('the cookie of a login', () => {
  test('cannot be read by scripts, is for this host alone, and the store has no copy of it', async () => {
    await gateway.member('cookie')
    const tab = new Tab()
    const answer = await tab.logIn('cookie', passwordOf('cookie'))
    const [line = ''] = answer.headers.getSetCookie()
    expect(line).toMatch(
      /^tollbridge-session=bs_[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=43200$/,
    )
    expect(answer.json).toMatchObject({
      username: 'cookie',
      roles: ['member'],
      csrfToken: expect.any(String),
    })
    const secret = tab.cookies.get('tollbridge-session') ?? 'none'
    expect(answer.text).not.toContain(secret)
    for (const name of readdirSync(gateway.data))
      expect(readFileSync(join(gateway.data, name)).toString('latin1')).not.toContain(secret)
  })

  test('is called __Host- and sent over https alone where the gateway is at an https address', async () => {
    const behind = await startTestGateway({ args: ['--public-url', 'https://gate.example'] })
    try {
      await behind.member('host')
      const body = { username: 'host', password: passwordOf('host') }
      const own = { origin: 'https://gate.example', host: 'gate.example' }
      const answer = await send(behind.url, {
        method: 'POST',
        path: session,
        headers: { ...own, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
      expect(answer.status).toBe(200)
      const [line = ''] = answer.headers['set-cookie'] ?? []
      expect(line).toMatch(/^__Host-tollbridge-session=bs_.*; Path=\/; HttpOnly; SameSite=Strict; Secure; /)
      const cookie = line.split(';')[0] ?? ''
      const me = await send(behind.url, { path: '/api/v1/me', headers: { cookie, host: 'gate.example' } })
      expect(me.json.username).toBe('host')
    } finally {
      await behind.stop('SIGKILL')
    }
  })

  test('lets its user read and change as a token would', async () => {
    const { tab, member } = await newTab('reader')
    expect((await tab.ask('GET', '/api/v1/me')).json.userId).toBe(member.userId)
    expect((await tab.ask('GET', session)).json.csrfToken).toBe(tab.csrf)
    const made = await tab.ask('POST', '/api/v1/keys', { name: 'by-cookie' })
    expect(made.status).toBe(201)
    expect((await tab.ask('DELETE', `/api/v1/keys/${made.json.id}`)).status).toBe(204)
  })

  test.each([
    ['without the token', { 'tollbridge-csrf': '' }],
    ['with a made-up token', { 'tollbridge-csrf': 'A'.repeat(43) }],
    ['from a page of another site', { origin: 'https://evil.example' }],
    ['from a page of another port here', { origin: 'http://localhost:1' }],
    ['from a page of a sandbox', { origin: 'null' }],
    ['that another site sends', { 'sec-fetch-site': 'cross-site' }],
    ['that a sibling of the site sends', { 'sec-fetch-site': 'same-site' }],
  ])('does not carry a change %s', async (_what, headers) => {
    const name = `csrf-${Object.values(headers).join('').length}-${Object.keys(headers).join('')}`.slice(
      0,
      40,
    )
    const { tab, member } = await newTab(name)
    for (const [method, path, body] of [
      ['POST', '/api/v1/keys', { name: 'forged' }],
      ['POST', '/api/v1/me/password', { currentPassword: passwordOf(name), newPassword: 'another-passw0rd' }],
      ['DELETE', session, undefined],
    ] as const)
      expect((await tab.ask(method, path, body, headers)).status).toBe(403)
    expect(await member.all('/api/v1/keys')).toEqual([])
    expect((await tab.ask('GET', '/api/v1/me')).status).toBe(200)
  })

  test('does not carry a form of another site, nor a change without any origin', async () => {
    const { tab, member } = await newTab('form')
    const cookie = [...tab.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const forged: Record<string, string>[] = [
      { cookie, 'content-type': 'application/x-www-form-urlencoded', origin: 'https://evil.example' },
      { cookie, 'content-type': 'text/plain' },
      { cookie, 'content-type': 'application/json', 'tollbridge-csrf': tab.csrf ?? '' },
    ]
    for (const headers of forged) {
      const answer = await send(gateway.url, {
        method: 'POST',
        path: '/api/v1/keys',
        headers,
        body: '{"name":"x"}',
      })
      expect(answer.status).toBeOneOf([403, 415])
    }
    expect(await member.all('/api/v1/keys')).toEqual([])
  })

  test('is no credential anywhere else: not as a token, not at an MCP endpoint, not for a refresh', async () => {
    const { tab } = await newTab('elsewhere')
    const secret = tab.cookies.get('tollbridge-session') ?? ''
    expect((await new ApiCaller(gateway.url, secret).call('GET', '/api/v1/me')).status).toBe(401)
    const asKey = await new ApiCaller(gateway.url).call('GET', '/api/v1/me', undefined, {
      'x-api-key': secret,
    })
    expect(asKey.status).toBe(401)
    const body = { refreshToken: secret }
    expect((await new ApiCaller(gateway.url).call('POST', '/api/v1/auth/refresh', body)).status).toBe(401)
    const cookie = `tollbridge-session=${secret}`
    const message = { jsonrpc: '2.0', id: 1, method: 'tools/list' }
    const mcp = await new ApiCaller(gateway.url).call('POST', '/mcp', message, {
      cookie,
      accept: 'application/json, text/event-stream',
    })
    expect(mcp.status).toBe(401)
    // A credential that is sent counts, and the cookie beside it does not.
    const beside = await new ApiCaller(gateway.url, 'wrong').call('GET', '/api/v1/me', undefined, { cookie })
    expect(beside.status).toBe(401)
  })

  test('ends with a logout, a new password and a disabled user, at the next request', async () => {
    const { tab } = await newTab('leaver')
    const second = new Tab()
    await second.logIn('leaver', passwordOf('leaver'))
    expect((await tab.ask('DELETE', session)).status).toBe(204)
    expect(tab.cookies.has('tollbridge-session')).toBe(false)
    expect((await second.ask('GET', '/api/v1/me')).status).toBe(200)
    const change = { currentPassword: passwordOf('leaver'), newPassword: 'another-passw0rd-1' }
    expect((await second.ask('POST', '/api/v1/me/password', change)).status).toBe(204)
    expect((await second.ask('GET', '/api/v1/me')).status).toBe(401)
    const third = new Tab()
    expect((await third.logIn('leaver', 'another-passw0rd-1')).status).toBe(200)
    const { userId } = (await third.ask('GET', session)).json
    await gateway.admin.ok('PATCH', `/api/v1/users/${userId}`, { disabled: true })
    expect((await third.ask('GET', '/api/v1/me')).status).toBe(401)
  })
})

test('another site cannot log its visitors in, and guessing is locked out as it is elsewhere', async () => {
  await gateway.member('victim')
  const body = { username: 'victim', password: passwordOf('victim') }
  const foreign: Record<string, string>[] = [
    { 'sec-fetch-site': 'cross-site' },
    { origin: 'https://evil.example' },
  ]
  for (const headers of foreign) {
    const answer = await new Tab().ask('POST', session, body, headers)
    expect([answer.status, answer.headers.getSetCookie()]).toEqual([403, []])
  }
  const statuses = []
  for (let n = 0; n < 11; n++) statuses.push((await new Tab().logIn('victim', `wrong-${n}`)).status)
  expect(statuses.slice(0, 9)).toEqual(Array.from({ length: 9 }, () => 401))
  expect(statuses.at(-1)).toBe(429)
  const unknown = await new Tab().logIn('nobody-at-all', 'wrong')
  expect(unknown.json.detail).toBe('The user name or the password is wrong.')
})

describe('a login at another issuer', () => {
  const start = (name = 'corp', back = '/somewhere?x=1'): string =>
    `/api/v1/auth/oidc/${name}/start?return=${encodeURIComponent(back)}`
  const pathOf = (url: string): string => url.replace(origin, '')

  test('brings the browser back logged in, with roles and groups of the issuer', async () => {
    expect((await new Tab().ask('GET', '/api/v1/auth/oidc')).json.items).toEqual([
      { name: 'corp', title: 'Corp' },
      { name: 'other', title: 'other' },
    ])
    const tab = new Tab()
    const sent = await tab.ask('GET', start())
    expect(sent.status).toBe(303)
    const asked = new URL(sent.headers.get('location') ?? '')
    expect(Object.fromEntries(asked.searchParams)).toMatchObject({
      response_type: 'code',
      client_id: 'tollbridge',
      code_challenge_method: 'S256',
      scope: 'openid profile email',
      redirect_uri: `${origin}/api/v1/auth/oidc/callback`,
    })
    const claims = { sub: 'u-1', preferred_username: 'Olga', groups: ['ops', 'Sales EU'] }
    const back = await tab.ask('GET', pathOf(issuer.agree(asked.href, claims)), undefined, {
      'sec-fetch-site': 'cross-site',
    })
    expect([back.status, back.headers.get('location')]).toEqual([303, '/somewhere?x=1'])
    const who = (await tab.ask('GET', session)).json
    expect(who).toMatchObject({ username: 'olga', roles: ['operator', 'member'] })
    const user = await gateway.admin.ok('GET', `/api/v1/users/${who.userId}`)
    expect(user.groups).toEqual(['Sales EU', 'ops'])
    expect(JSON.stringify(issuer.exchanged)).not.toContain('S3NTINEL')
  })

  test.each([
    ['in another browser', async (url: string) => new Tab().ask('GET', pathOf(url))],
    [
      'with a changed state',
      async (url: string, tab: Tab) => tab.ask('GET', pathOf(url.replace(/state=(.{9})/, 'state=AAAAAAAAA'))),
    ],
    [
      'of another issuer',
      async (url: string, tab: Tab) =>
        tab.ask('GET', pathOf(url.replace(/iss=[^&]*/, `iss=${encodeURIComponent(stranger.url)}`))),
    ],
    [
      'without the name of its issuer',
      async (url: string, tab: Tab) => tab.ask('GET', pathOf(url.replace(/&iss=[^&]*/, ''))),
    ],
    [
      'with a made-up code',
      async (url: string, tab: Tab) => tab.ask('GET', pathOf(url.replace(/code=[^&]*/, 'code=made-up'))),
    ],
  ])('an answer %s logs nobody in', async (_what, come) => {
    const tab = new Tab()
    const sent = await tab.ask('GET', start())
    const answer = await come(issuer.agree(sent.headers.get('location') ?? '', { sub: 'u-2' }), tab)
    expect(answer.status).toBe(401)
    expect(answer.headers.getSetCookie().filter((line) => line.includes('session'))).toEqual([])
  })

  test.each([
    ['for another client', { aud: 'somebody-else' }],
    ['for several, of which we may not be the one', { aud: ['tollbridge', 'else'] }],
    ['for another login', { nonce: 'old' }],
    ['of another issuer', { iss: 'https://evil.example' }],
    ['that has ended', { exp: 1000 }],
  ])('an ID token %s logs nobody in', async (_what, claims) => {
    const tab = new Tab()
    const sent = await tab.ask('GET', start())
    const url = issuer.agree(sent.headers.get('location') ?? '', { sub: 'u-3', ...claims })
    expect((await tab.ask('GET', pathOf(url))).status).toBe(401)
    expect((await tab.ask('GET', session)).status).toBe(401)
  })

  test('counts once, and leads to no other site', async () => {
    for (const [given, expected] of [
      ['https://evil.example/', '/'],
      ['//evil.example/', '/'],
      ['/\\evil.example', '/'],
      ['javascript:alert(1)', '/'],
      ['/a\r\nset-cookie: x=1', '/'],
      ['/calls?from=2026', '/calls?from=2026'],
    ] as const) {
      const tab = new Tab()
      const sent = await tab.ask('GET', start('corp', given))
      const url = pathOf(issuer.agree(sent.headers.get('location') ?? '', { sub: 'u-4' }))
      const back = await tab.ask('GET', url)
      expect([back.status, back.headers.get('location')]).toEqual([303, expected])
      expect((await tab.ask('GET', url)).status).toBe(401)
    }
    expect((await new Tab().ask('GET', start('nowhere'))).status).toBe(404)
  })
})

describe('a passkey', () => {
  const page = () => ({ origin, rpId: 'localhost' })

  async function register(name: string): Promise<{ tab: Tab; device: Authenticator; id: string }> {
    const { tab } = await newTab(name)
    const asked = await tab.ask('POST', '/api/v1/me/passkeys/options', { password: passwordOf(name) })
    expect(asked.status).toBe(200)
    const device = new Authenticator()
    const { options, state } = asked.json
    const response = device.create(options, page())
    const kept = await tab.ask('POST', '/api/v1/me/passkeys', { state, response, name: 'laptop' })
    expect(kept.status).toBe(201)
    return { tab, device, id: kept.json.id }
  }

  async function ask(): Promise<{ options: { challenge: string }; state: string }> {
    return (await new Tab().ask('POST', '/api/v1/auth/passkey/options', {})).json
  }
  const logIn = (state: string, response: object, tab = new Tab()): Promise<Answer> =>
    tab.ask('POST', '/api/v1/auth/passkey', { state, response })

  test('logs its user in without a name or password, and is shown and removed', async () => {
    const { tab, device, id } = await register('pia')
    const { options, state } = await ask()
    const other = new Tab()
    const answer = await logIn(state, device.get(options, page()), other)
    expect(answer.status).toBe(200)
    expect(answer.json.username).toBe('pia')
    expect((await other.ask('GET', '/api/v1/me')).json.username).toBe('pia')
    const { items } = (await tab.ask('GET', '/api/v1/me/passkeys')).json
    expect(items).toMatchObject([{ id, name: 'laptop', lastUsedAt: expect.any(String) }])
    expect((await tab.ask('DELETE', `/api/v1/me/passkeys/${id}`)).status).toBe(204)
    const later = await ask()
    expect((await logIn(later.state, device.get(later.options, page()))).status).toBe(401)
  })

  test('answers one question once, on our page, after the device has seen its user, and its count goes on', async () => {
    const { device } = await register('pat')
    const first = await ask()
    const answer = device.get(first.options, page())
    expect((await logIn(first.state, answer)).status).toBe(200)
    expect((await logIn(first.state, answer)).status).toBe(401)
    const wrong: [string, (asked: { challenge: string }) => object][] = [
      [
        'on a page of another site',
        (asked) => device.get(asked, { origin: 'https://evil.example', rpId: 'localhost' }),
      ],
      ['for another name', (asked) => device.get(asked, { origin, rpId: 'evil.example' })],
      ['unverified', (asked) => device.get(asked, { ...page(), isVerified: false })],
      ['to another question', () => device.get(first.options, page())],
      ['of a device nobody knows', (asked) => new Authenticator().get(asked, page())],
    ]
    for (const [what, make] of wrong) {
      const { options, state } = await ask()
      expect([what, (await logIn(state, make(options))).status]).toEqual([what, 401])
    }
    // A copy of the device counts from where it was copied.
    device.counter = 0
    const copy = await ask()
    expect((await logIn(copy.state, device.get(copy.options, page()))).status).toBe(401)
    device.counter = 100
    const own = await ask()
    expect((await logIn(own.state, device.get(own.options, page()))).status).toBe(200)
  })

  test('names its own user, and is kept for who asked, with the right password, and not by a key', async () => {
    const { device } = await register('pim')
    device.userHandle = Buffer.from('usr_somebody_else').toString('base64url')
    const { options, state } = await ask()
    expect((await logIn(state, device.get(options, page()))).status).toBe(401)
    const { tab, member } = await newTab('pom')
    expect((await tab.ask('POST', '/api/v1/me/passkeys/options', { password: 'wrong' })).status).toBe(400)
    const asked = (await tab.ask('POST', '/api/v1/me/passkeys/options', { password: passwordOf('pom') })).json
    const { tab: thief } = await newTab('thief')
    const stolen = {
      state: asked.state,
      response: new Authenticator().create(asked.options, page()),
      name: 'x',
    }
    expect((await thief.ask('POST', '/api/v1/me/passkeys', stolen)).status).toBe(400)
    const { key } = await member.ok('POST', '/api/v1/keys', { name: 'k' })
    const byKey = new ApiCaller(gateway.url, key)
    const ask2 = { password: passwordOf('pom') }
    expect((await byKey.call('POST', '/api/v1/me/passkeys/options', ask2)).status).toBe(403)
  })

  test('of a disabled user logs nobody in', async () => {
    const { tab, device } = await register('off')
    const { userId } = (await tab.ask('GET', session)).json
    await gateway.admin.ok('PATCH', `/api/v1/users/${userId}`, { disabled: true })
    const { options, state } = await ask()
    expect((await logIn(state, device.get(options, page()))).status).toBe(401)
  })

  test('needs a name: at an address the gateway says so', async () => {
    const plain = await startTestGateway()
    try {
      const answer = await new ApiCaller(plain.url).call('POST', '/api/v1/auth/passkey/options', {})
      expect(answer.status).toBe(422)
      expect(answer.json.detail).toContain('host name')
    } finally {
      await plain.stop('SIGKILL')
    }
  })
})
