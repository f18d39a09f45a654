// OAuth under attack: borrowed pages, redirects, codes and tokens, against a running gateway.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { Browser, consent, hiddenFields, locationOf } from '../harness/browser.ts'
import { addServer, ApiCaller, startTestGateway, type TestGateway } from '../harness/gateway.ts'
import { Authorization, callback, postForm, register, tokensFor, tryToRegister } from '../harness/oauth.ts'
import { forged } from '../harness/tampering.ts'
import { until } from '../harness/until.ts'
import { startRecorder, type Recorder } from '../upstreams/recorder.ts'
import {
  eras,
  jsonHeaders,
  McpClient,
  modernHeaders,
  modernMeta,
  openStream,
  send,
  startBench,
  toolCall,
  type Bench,
} from './bench.ts'

const anna = { username: 'anna', password: 'Member-passw0rd-anna' }
const bert = { username: 'bert', password: 'Member-passw0rd-bert' }

let bench: Bench
let url: string
let clientId: string
beforeAll(async () => {
  bench = await startBench()
  url = bench.gateway.url
  clientId = (await register(url)).id
  bench.upstream.on('subscriptions/listen', ({ response }) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
  })
})
afterAll(() => bench.stop())

const tokens = (more: Record<string, string> = {}, user = anna) => tokensFor(url, user, { clientId, ...more })
const clientWith = (credential: string, path = '/mcp/stub') => new McpClient({ url, credential }, path)
const nobody = (path: string) => new McpClient({ url, credential: undefined }, path)

describe('a consent', () => {
  test('names the client, what it wants, and where the answer goes, on a page that nobody can frame', async () => {
    const other = await register(url, {
      client_name: '<img src=x onerror=alert(1)>',
      redirect_uris: ['https://app.example/cb'],
    })
    const authorization = new Authorization(url, other.id, { redirect_uri: 'https://app.example/cb' })
    const browser = new Browser()
    const login = await browser.open(authorization.address)
    const page = await browser.submit(login, anna)
    for (const { answer } of [login, page]) {
      expect(answer.status).toBe(200)
      expect(answer.text).toContain('&lt;img src=x onerror=alert(1)&gt;')
      expect(answer.text).not.toContain('<img')
      expect(answer.text).not.toContain('<script')
      expect(answer.headers['content-security-policy']).toMatch(/default-src 'none'.*frame-ancestors 'none'/)
      expect(answer.headers['x-frame-options']).toBe('DENY')
      expect(answer.headers['cache-control']).toBe('no-store')
    }
    expect(page.answer.text).toContain('<code>app.example</code>')
    expect(page.answer.text).toContain(`${url}/mcp/stub`)
    expect(page.answer.text).toContain('mcp:call')
    expect(login.answer.headers['content-security-policy']).toContain("form-action 'self'")
    const [cookie] = login.answer.headers['set-cookie'] ?? []
    expect(cookie).toMatch(/; HttpOnly; SameSite=Lax$/)
  })

  test('counts in the browser in which it was asked for, so that nobody consents for another', async () => {
    const authorization = new Authorization(url, clientId)
    const [mine, yours] = [new Browser(), new Browser()]
    const login = await mine.open(authorization.address)
    const page = await mine.submit(login, anna)
    await yours.open(authorization.address)
    for (const [browser, stolen, fields] of [
      [yours, login, bert],
      [yours, page, { decision: 'allow' }],
      [new Browser(), page, { decision: 'allow' }],
    ] as const) {
      const { answer } = await browser.submit(stolen, fields)
      expect([answer.status, answer.headers['location']]).toEqual([400, undefined])
    }
    expect(locationOf(await mine.submit(page, { decision: 'allow' })).searchParams.get('code')).toBeTruthy()
  })

  test('counts once, and cannot be changed, nor given without a login', async () => {
    const browser = new Browser()
    const login = await browser.open(new Authorization(url, clientId).address)
    const page = await browser.submit(login, anna)
    const { interaction = '' } = hiddenFields(page)
    for (const fields of [
      { interaction: forged(interaction) },
      { interaction: '' },
      { interaction: hiddenFields(login)['interaction'] ?? '' },
    ]) {
      const { answer } = await browser.submit(page, { decision: 'allow', ...fields })
      expect([answer.status, answer.headers['location']]).toEqual([400, undefined])
    }
    expect(locationOf(await browser.submit(page, { decision: 'allow' })).searchParams.has('code')).toBe(true)
    const again = await browser.submit(page, { decision: 'allow' })
    expect([again.answer.status, again.answer.headers['location']]).toEqual([400, undefined])
  })

  test('that is not given brings no code', async () => {
    const authorization = new Authorization(url, clientId)
    const back = await consent(authorization.address, anna, 'deny')
    expect(Object.fromEntries(back.searchParams)).toMatchObject({
      error: 'access_denied',
      state: authorization.state,
      iss: url,
    })
    expect(back.searchParams.has('code')).toBe(false)
  })

  test('is not taken from a form of another site', async () => {
    const answer = await postForm(
      url,
      '/oauth/consent',
      { decision: 'allow' },
      { origin: 'https://evil.example' },
    )
    expect(answer.status).toBe(403)
  })

  test('needs the right password, and guesses are counted', async () => {
    const browser = new Browser()
    let page = await browser.open(new Authorization(url, clientId).address)
    const name = 'guessed'
    await bench.gateway.member(name)
    const said: string[] = []
    for (let n = 0; n < 11; n++) {
      page = await browser.submit(page, { username: name, password: `guess ${n}` })
      said.push(`${page.answer.status}`)
      expect(page.answer.headers['location']).toBeUndefined()
      if (page.answer.status === 429) break
    }
    expect(said.slice(0, 3)).toEqual(['403', '403', '403'])
    expect(page.answer.status).toBe(429)
    expect(Number(page.answer.headers['retry-after'])).toBeGreaterThan(0)
  })
})

describe('an authorization request', () => {
  test.each([
    ['an unknown client', { client_id: `ocl_${'0'.repeat(26)}` }],
    ['no client', { client_id: '' }],
    ['no redirect', { redirect_uri: '' }],
    ['a redirect with more path', { redirect_uri: `${callback}/more` }],
    ['a redirect to a host that looks alike', { redirect_uri: 'http://127.0.0.1.evil.example/callback' }],
    ['a redirect to somebody else', { redirect_uri: 'https://evil.example/callback' }],
    ['a redirect that is a script', { redirect_uri: 'javascript:alert(1)' }],
    ['a client whose document is inside', { client_id: 'https://127.0.0.1/client.json' }],
  ])('with %s is told to the user and redirects nowhere', async (_name, change) => {
    const { answer } = await new Browser().open(new Authorization(url, clientId, change).address)
    expect([answer.status, answer.headers['location']]).toEqual([400, undefined])
    expect(answer.headers['content-type']).toContain('text/html')
  })

  test.each([
    ['no challenge', { code_challenge: '' }, 'invalid_request'],
    ['the plain method', { code_challenge_method: 'plain' }, 'invalid_request'],
    ['no method, which means plain', { code_challenge_method: '' }, 'invalid_request'],
    ['a short challenge', { code_challenge: 'short' }, 'invalid_request'],
    ['an implicit grant', { response_type: 'token' }, 'unsupported_response_type'],
    ['no resource', { resource: '' }, 'invalid_target'],
    ['a resource of somebody else', { resource: 'https://other.example/mcp' }, 'invalid_target'],
    ['a resource that is no endpoint', { resource: 'API' }, 'invalid_target'],
    ['scopes that we do not know', { scope: 'admin root' }, 'invalid_scope'],
  ])('with %s goes back to the client, with state and issuer', async (_name, change, error) => {
    const authorization = new Authorization(url, clientId, change)
    const back = locationOf(await new Browser().open(authorization.address))
    expect(back.origin + back.pathname).toBe(callback)
    expect(Object.fromEntries(back.searchParams)).toMatchObject({
      error,
      state: authorization.state,
      iss: url,
    })
  })

  test('that names a parameter twice is refused', async () => {
    const { address } = new Authorization(url, clientId)
    const { answer } = await new Browser().open(`${address}&redirect_uri=https%3A%2F%2Fevil.example`)
    expect([answer.status, answer.headers['location']]).toEqual([400, undefined])
  })

  test('may come back to any port of loopback, and every answer names its issuer', async () => {
    const authorization = new Authorization(url, clientId, {
      redirect_uri: 'http://127.0.0.1:50123/callback',
    })
    const back = await consent(authorization.address, anna)
    expect(back.host).toBe('127.0.0.1:50123')
    expect(back.searchParams.get('iss')).toBe(url)
    expect((await authorization.exchange(back)).status).toBe(200)
  })
})

describe('a code', () => {
  test('is worth nothing without its proof, to another client, or for another endpoint', async () => {
    const other = await register(url)
    const authorization = new Authorization(url, clientId)
    const back = await consent(authorization.address, anna)
    const changes: Record<string, string>[] = [
      { code_verifier: 'x'.repeat(43) },
      { code_verifier: '' },
      { code_verifier: authorization.params['code_challenge'] ?? '' },
      { client_id: other.id },
      { redirect_uri: 'http://127.0.0.1:1/callback' },
      { resource: `${url}/mcp` },
      { grant_type: 'password' },
    ]
    for (const change of changes) {
      const answer = await authorization.exchange(back, change)
      expect([change, answer.status, answer.json.access_token]).toEqual([change, 400, undefined])
    }
    expect((await authorization.exchange(back)).status).toBe(200)
  })

  test('that comes twice ends the tokens of the first', async () => {
    const authorization = new Authorization(url, clientId)
    const back = await consent(authorization.address, anna)
    const { json } = await authorization.exchange(back)
    const client = clientWith(json.access_token)
    expect((await client.ask('modern', toolCall('work'))).status).toBe(200)
    expect((await authorization.exchange(back)).json.error).toBe('invalid_grant')
    expect((await client.ask('modern', toolCall('work'))).status).toBe(401)
    const refresh = { grant_type: 'refresh_token', client_id: clientId, refresh_token: json.refresh_token }
    expect((await postForm(url, '/oauth/token', refresh)).json.error).toBe('invalid_grant')
  })
})

describe('a token of OAuth', () => {
  test.each(eras)('works at the one endpoint that it is for, %s', async (era) => {
    const { access_token: token } = await tokens()
    expect((await clientWith(token).ask(era, toolCall('work'))).status).toBe(200)
    const hits = await bench.hitsDuring(async () => {
      for (const path of ['/mcp', '/mcp/tollbridge', '/mcp/none', '/mcp/stubs']) {
        const answer = await clientWith(token, path).post(
          { jsonrpc: '2.0', id: 1, method: 'tools/list', params: { _meta: modernMeta } },
          modernHeaders('tools/list'),
        )
        const metadata = `${url}/.well-known/oauth-protected-resource${path}`
        expect([path, answer.status]).toEqual([path, 401])
        expect(answer.headers['www-authenticate']).toContain(`error="invalid_token"`)
        expect(answer.headers['www-authenticate']).toContain(`resource_metadata="${metadata}"`)
      }
    })
    expect(hits).toEqual([])
  })

  test('opens no route of the API, whatever its user may do there', async () => {
    const admin = { username: 'admin', password: 'Test-Admin-passw0rd' }
    const { access_token: token } = await tokens({}, admin)
    const caller = new ApiCaller(url, token)
    for (const [method, path] of [
      ['GET', '/api/v1/me'],
      ['GET', '/api/v1/keys'],
      ['POST', '/api/v1/keys'],
      ['GET', '/api/v1/users'],
      ['GET', '/api/v1/oauth/grants'],
      ['POST', '/oauth/introspect'],
      ['GET', '/api/v1/billing/usage'],
    ] as const) {
      const answer = await caller.call(method, path, method === 'POST' ? { name: 'x' } : undefined)
      expect([method, path, answer.status]).toEqual([method, path, 401])
    }
    const session = await bench.gateway.admin.ok('POST', '/api/v1/servers/stub/sessions')
    const open = await clientWith(token, `/api/v1/sessions/${session.id}/mcp`).post({
      jsonrpc: '2.0',
      id: 1,
      method: 'ping',
    })
    expect(open.status).toBe(401)
  })

  test.each(eras)('that may only read calls no tool, and is told what it lacks, %s', async (era) => {
    const { access_token: token } = await tokens({ scope: 'mcp:read' })
    const client = clientWith(token)
    expect((await client.ask(era, { method: 'tools/list' })).status).toBe(200)
    const hits = await bench.hitsDuring(async () => {
      for (const method of ['tools/call', 'tools/Call', 'tasks/cancel', 'unknown/method']) {
        const answer = await client.ask(era, { method, params: { name: 'work', arguments: {} } })
        const said = answer.headers['www-authenticate'] ?? ''
        expect([method, answer.status]).toEqual([method, 403])
        expect(said).toContain('error="insufficient_scope"')
        expect(said).toContain('scope="mcp:read mcp:call"')
        expect(said).toContain(`resource_metadata="${url}/.well-known/oauth-protected-resource/mcp/stub"`)
        expect(answer.json.error.data.code).toBe('insufficient_scope')
      }
    })
    expect(hits).toEqual([])
  })

  test('that may only read calls no tool over a WebSocket either', async () => {
    const { access_token: token } = await tokens({ scope: 'mcp:read' })
    const socket = new WebSocket(`${url.replace('http', 'ws')}/mcp/stub/ws`, 'mcp', {
      headers: { authorization: `Bearer ${token}` },
    })
    const heard: string[] = []
    socket.on('message', (data: Buffer) => heard.push(data.toString()))
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
    const hits = await bench.hitsDuring(async () => {
      const params = { name: 'work', arguments: {}, _meta: modernMeta }
      socket.send(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params }))
      await until(() => heard.length > 0)
    })
    socket.terminate()
    expect(JSON.parse(heard[0] ?? '{}').error.data.code).toBe('insufficient_scope')
    expect(hits.filter(({ message }) => message?.method === 'tools/call')).toEqual([])
  })

  test('is never passed on to the server', async () => {
    const { access_token: token } = await tokens()
    const hits = await bench.hitsDuring(() => clientWith(token).ask('modern', toolCall('work')))
    expect(hits).toHaveLength(1)
    expect(JSON.stringify(hits.map(({ headers }) => headers))).not.toContain(token.slice(0, 40))
  })

  const ends: Record<string, (token: string, refresh: string) => Promise<unknown>> = {
    'its client revokes it': (token) => postForm(url, '/oauth/revoke', { token, client_id: clientId }),
    'its client revokes its refresh token': (_token, token) =>
      postForm(url, '/oauth/revoke', { token, client_id: clientId }),
    'its user takes it back': async () => {
      const [grant] = (await bench.a.all('/api/v1/oauth/grants')).slice(-1)
      return bench.a.ok('DELETE', `/api/v1/oauth/grants/${grant.id}`)
    },
    'an administrator takes it back': async () => {
      const [grant] = (await bench.gateway.admin.all('/api/v1/oauth/grants?user=*')).slice(-1)
      return bench.gateway.admin.ok('DELETE', `/api/v1/oauth/grants/${grant.id}`)
    },
  }
  test.each(Object.entries(ends))('and its streams end at once when %s', async (_name, end) => {
    const { access_token: token, refresh_token: refresh } = await tokens()
    const listen = { jsonrpc: '2.0', id: 5, method: 'subscriptions/listen', params: { _meta: modernMeta } }
    const stream = await openStream(url, {
      method: 'POST',
      path: '/mcp/stub',
      headers: { authorization: `Bearer ${token}`, ...modernHeaders('subscriptions/listen') },
      body: JSON.stringify(listen),
    })
    expect(stream.status).toBe(200)
    await end(token, refresh)
    expect((await clientWith(token).ask('modern', toolCall('work'))).status).toBe(401)
    await until(() => stream.isClosed(), 'the stream to end', 1000)
  })

  test('of one client is not revoked by another, and its user is not told to strangers', async () => {
    const { access_token: token } = await tokens()
    const other = await register(url)
    expect((await postForm(url, '/oauth/revoke', { token, client_id: other.id })).status).toBe(200)
    expect((await clientWith(token).ask('modern', toolCall('work'))).status).toBe(200)
    const asked = async (caller: ApiCaller) =>
      (await postForm(url, '/oauth/introspect', { token }, { authorization: `Bearer ${caller.credential}` }))
        .json
    expect(await asked(bench.b)).toEqual({ active: false })
    expect(await asked(bench.a)).toMatchObject({ active: true, username: 'anna', client_id: clientId })
    expect(await asked(bench.gateway.admin)).toMatchObject({ active: true, aud: `${url}/mcp/stub` })
    const [grant] = (await bench.a.all('/api/v1/oauth/grants')).slice(-1)
    expect((await bench.b.call('DELETE', `/api/v1/oauth/grants/${grant.id}`)).status).toBe(404)
    expect((await bench.b.call('GET', '/api/v1/oauth/grants?user=*')).status).toBe(403)
  })

  test('is refused at an endpoint that its user may not use, as if there were none', async () => {
    await bench.gateway.admin.ok('POST', '/api/v1/servers', {
      name: 'private',
      transport: { type: 'streamable-http', url: bench.upstream.url },
    })
    const statuses = []
    for (const name of ['private', 'missing']) {
      const { access_token: token } = await tokens({ resource: `${url}/mcp/${name}` })
      statuses.push((await clientWith(token, `/mcp/${name}`).ask('modern', toolCall('work'))).status)
    }
    expect(statuses).toEqual([404, 404])
  })
})

test('an Idempotency-Key brings nobody the token of another', async () => {
  const { id, secret } = await bench.a.ok('POST', '/api/v1/oauth/clients', { name: 'Job' })
  const form = { grant_type: 'client_credentials', resource: `${url}/mcp/stub` }
  const key = { 'idempotency-key': 'one' }
  const basic = { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` }
  const mine = await postForm(url, '/oauth/token', form, { ...key, ...basic })
  expect(mine.status).toBe(200)
  const theirs = await postForm(url, '/oauth/token', form, key)
  expect([theirs.status, theirs.json.error]).toEqual([401, 'invalid_client'])
  const secrets = []
  for (let n = 0; n < 2; n++) {
    const answer = await send(url, {
      method: 'POST',
      path: '/oauth/register',
      headers: { 'content-type': 'application/json', ...key },
      body: JSON.stringify({ redirect_uris: [callback] }),
    })
    secrets.push(answer.json.client_secret)
  }
  expect(new Set(secrets).size).toBe(2)
})

test('behind a proxy that puts a path before ours, the whole login works, with metadata where they are looked for', async () => {
  const publicUrl = 'http://127.0.0.1:9/gw'
  const gateway = await startTestGateway({ args: ['--public-url', publicUrl] })
  try {
    await gateway.member('anna')
    const refused = await new McpClient({ url: gateway.url, credential: undefined }, '/mcp/x').post(
      { jsonrpc: '2.0', id: 1, method: 'ping' },
      jsonHeaders,
    )
    const metadata = '/.well-known/oauth-protected-resource/gw/mcp/x'
    expect(refused.headers['www-authenticate']).toContain(`"http://127.0.0.1:9${metadata}"`)
    const resource = await send(gateway.url, { path: metadata })
    expect(resource.json).toMatchObject({
      resource: `${publicUrl}/mcp/x`,
      authorization_servers: [publicUrl],
    })
    for (const path of [
      '/.well-known/oauth-authorization-server/gw',
      '/.well-known/oauth-authorization-server',
    ])
      expect((await send(gateway.url, { path })).json).toMatchObject({
        issuer: publicUrl,
        token_endpoint: `${publicUrl}/oauth/token`,
      })
    const { id } = await register(gateway.url)
    const more = { clientId: id, resource: `${publicUrl}/mcp/tollbridge` }
    const { access_token: token } = await tokensFor(gateway.url, anna, more)
    const client = new McpClient({ url: gateway.url, credential: token }, '/mcp/tollbridge')
    expect((await client.ask('modern', { method: 'tools/list' })).status).toBe(200)
  } finally {
    await gateway.stop()
  }
})

describe('metadata', () => {
  test.each(['/mcp', '/mcp/stub', '/mcp/both', '/mcp/tollbridge', '/mcp/none'])(
    'of %s are where the challenge says, name the endpoint and its issuer, and may be read by every page',
    async (path) => {
      const { headers, status } = await nobody(path).post({ jsonrpc: '2.0', id: 1, method: 'ping' })
      expect(status).toBe(401)
      const said = headers['www-authenticate'] ?? ''
      expect(said).toContain('scope="mcp:read mcp:call"')
      const address = /resource_metadata="([^"]*)"/.exec(said)?.[1] ?? ''
      expect(address).toBe(`${url}/.well-known/oauth-protected-resource${path}`)
      const origin = { headers: { origin: 'https://inspector.example' } }
      const resource = await send(url, { path: new URL(address).pathname, ...origin })
      expect(resource.json).toMatchObject({ resource: url + path, authorization_servers: [url] })
      expect(resource.headers['access-control-allow-origin']).toBe('*')
      const server = await send(url, { path: '/.well-known/oauth-authorization-server', ...origin })
      expect(server.json).toMatchObject({
        issuer: url,
        code_challenge_methods_supported: ['S256'],
        authorization_response_iss_parameter_supported: true,
      })
      expect(server.headers['access-control-allow-origin']).toBe('*')
    },
  )
})

describe('the registration of clients', () => {
  let gateway: TestGateway
  beforeAll(async () => {
    gateway = await startTestGateway({
      anonymous: true,
      env: { TOLLBRIDGE_OAUTH_REGISTRATIONS_PER_HOUR: '7' },
    })
  })
  afterAll(() => gateway.stop())

  test.each([
    ['http elsewhere', ['http://app.example/cb']],
    ['a script', ['javascript:alert(1)']],
    ['a fragment', ['https://app.example/cb#x']],
    ['a host that looks local', ['http://localhost.evil/cb']],
  ])('refuses a redirect with %s', async (_name, redirects) => {
    const answer = await tryToRegister(url, { redirect_uris: redirects })
    expect([answer.status, answer.json.error]).toEqual([400, 'invalid_redirect_uri'])
  })

  test('is limited for one address', async () => {
    const statuses = []
    for (let n = 0; n < 8; n++) statuses.push(await tryToRegister(gateway.url))
    expect(statuses.slice(0, 7).map(({ status }) => status)).toEqual(Array(7).fill(201))
    const last = statuses.at(-1)
    expect([last?.status, last?.json.error]).toEqual([429, 'slow_down'])
    expect(Number(last?.headers['retry-after'])).toBeGreaterThan(0)
  })
})

describe('the document of a client', () => {
  let strict: TestGateway
  let canary: Recorder
  beforeAll(async () => {
    canary = await startRecorder()
    strict = await startTestGateway({ anonymous: true, env: { TOLLBRIDGE_EGRESS_ALLOW: '' } })
  })
  afterAll(async () => {
    await strict.stop()
    await canary.stop()
  })

  test('is not fetched from inside, in no spelling', async () => {
    const { port } = new URL(canary.url)
    const seen = canary.hits.length
    for (const host of [
      '127.0.0.1',
      'localhost',
      '[::1]',
      '[::ffff:7f00:1]',
      '127.1',
      '0.0.0.0',
      '169.254.169.254',
    ]) {
      const authorization = new Authorization(strict.url, `https://${host}:${port}/client.json`)
      const { answer } = await new Browser().open(authorization.address)
      expect([host, answer.status, answer.headers['location']]).toEqual([host, 400, undefined])
    }
    expect(canary.hits.length).toBe(seen)
  })

  test('is not fetched without end for one address', async () => {
    const statuses = []
    for (let n = 0; n < 21; n++) {
      const { address } = new Authorization(strict.url, `https://127.0.0.1:1/client-${n}.json`)
      statuses.push((await new Browser().open(address)).answer.status)
    }
    expect(statuses.at(-1)).toBe(429)
  })
})

test('a session that was opened with a token goes on after a restart, and ends with its grant after another', async () => {
  const data = mkdtempSync(join(tmpdir(), 'tollbridge-oauth-restart-'))
  // Ports change from one start to the next; the name that tokens are made for does not.
  const publicUrl = 'http://127.0.0.1:9'
  const start = () => startTestGateway({ data, args: ['--public-url', publicUrl] })
  const upstream = await startRecorder({ tools: ['work'] })
  let gateway = await start()
  try {
    await addServer(gateway, 'stub', upstream.url)
    await gateway.member('anna')
    const { id } = await register(gateway.url)
    const resource = `${publicUrl}/mcp/stub`
    const { access_token: token } = await tokensFor(gateway.url, anna, { clientId: id, resource })
    const opened = new McpClient({ url: gateway.url, credential: token }, '/mcp/stub')
    expect((await opened.ask('legacy', toolCall('work'))).status).toBe(200)
    const again = async (): Promise<number> => {
      await gateway.stop()
      gateway = await start()
      const client = new McpClient({ url: gateway.url, credential: token }, '/mcp/stub')
      client.session = opened.session
      return (await client.ask('legacy', toolCall('work'))).status
    }
    expect(await again()).toBe(200)
    const sessions = async () => {
      const admin = await gateway.admin.all('/api/v1/sessions')
      return admin.filter(({ status }) => status !== 'closed' && status !== 'expired').length
    }
    expect(await sessions()).toBe(1)
    const [grant] = await gateway.admin.all('/api/v1/oauth/grants?user=*')
    await gateway.admin.ok('DELETE', `/api/v1/oauth/grants/${grant.id}`)
    await until(async () => (await sessions()) === 0)
    expect(await again()).toBe(401)
  } finally {
    await gateway.stop()
    await upstream.stop()
    rmSync(data, { recursive: true, force: true })
  }
})

test('where it is switched off there is no authorization server, and metadata name none', async () => {
  const gateway = await startTestGateway({ anonymous: true, env: { TOLLBRIDGE_OAUTH_ENABLED: 'false' } })
  try {
    for (const path of ['/oauth/authorize', '/.well-known/oauth-authorization-server'])
      expect((await send(gateway.url, { path })).status).toBe(404)
    expect((await tryToRegister(gateway.url)).status).toBe(404)
    const metadata = await send(gateway.url, { path: '/.well-known/oauth-protected-resource/mcp/x' })
    expect(metadata.json.authorization_servers).toBeUndefined()
    const { headers } = await new McpClient({ url: gateway.url, credential: undefined }, '/mcp/x').post(
      { jsonrpc: '2.0', id: 1, method: 'ping' },
      jsonHeaders,
    )
    expect(headers['www-authenticate']).not.toContain('scope=')
  } finally {
    await gateway.stop()
  }
})
