// OAuth towards servers: one token for all calls, renewed unseen, asked for at vetted addresses alone, and never shown.
import { exportJWK, generateKeyPair, importJWK, jwtVerify } from 'jose'
import { afterEach, describe, expect, test } from 'vitest'
import { startTestGateway, type TestGateway } from '../harness/gateway.ts'
import {
  cleanUp,
  client,
  expectClean,
  furnish,
  onEnd,
  server as name,
  startGateway,
  toolCalls,
} from '../faults/rig.ts'
import { eras } from '../faults/callers.ts'
import { startProtectedServer, type ProtectedServer } from '../upstreams/protected-server.ts'
import { startRecorder } from '../upstreams/recorder.ts'

afterEach(cleanUp)

const sentinel = 'S3NTINEL-client-secret'
const credentials = {
  type: 'oauth2',
  grant: 'client-credentials',
  clientId: 'gateway',
  clientSecret: sentinel,
}

async function stage(more: object = {}): Promise<{
  gateway: TestGateway
  server: ProtectedServer
  key: string
}> {
  const server = await startProtectedServer()
  onEnd(() => server.stop())
  const gateway = await startGateway({ env: { TOLLBRIDGE_BREAKER_FAILURES: '1000000' } })
  const { key } = await furnish(gateway, server.url, { more: { auth: { ...credentials, ...more } } })
  return { gateway, server, key }
}

const testConnection = (gateway: TestGateway) =>
  gateway.admin.ok('POST', `/api/v1/servers/${name}/test-connection`)
const basic = `Basic ${Buffer.from(`gateway:${sentinel}`).toString('base64')}`

test.each(eras)('a server says where tokens are given; all calls of a %s client share one', async (era) => {
  const { gateway, server, key } = await stage({ scope: 'read write' })
  const callers = await Promise.all(Array.from({ length: 20 }, () => client(gateway, key, era).open()))
  const answers = await Promise.all(callers.map((caller) => caller.call()))
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
  expect(server.tokenRequests).toEqual([
    {
      authorization: basic,
      form: { grant_type: 'client_credentials', scope: 'read write', resource: server.url },
    },
  ])
  const seen = server.behind.hits.map(({ headers }) => headers.authorization)
  expect(new Set(seen)).toEqual(new Set(['Bearer token-1']))
  expect(JSON.stringify(server.behind.hits)).not.toContain(key)
  await expectClean(gateway)
})

test.each(eras)('a token that is refused is replaced, and the call of a %s client runs once', async (era) => {
  const { gateway, server, key } = await stage()
  const caller = await client(gateway, key, era).open()
  await caller.call()
  for (let round = 0; round < 5; round++) {
    server.revokeAll()
    expect((await caller.call()).message.result).toBeDefined()
  }
  expect(server.tokenRequests).toHaveLength(6)
  expect(server.behind.calls()).toHaveLength(6)
  expect((await toolCalls(gateway)).map(({ outcome }) => outcome)).toEqual(
    Array.from({ length: 6 }, () => 'success'),
  )
})

test('a token that never works is not asked for without end, and nothing is billed', async () => {
  const { gateway, server, key } = await stage()
  server.script = { stillborn: true, expiresInS: 3600 }
  const caller = client(gateway, key, 'modern')
  for (let n = 0; n < 20; n++) expect((await caller.call()).message.result).toMatchObject({ isError: true })
  // One for the first calls, and where these took longer than the pause, another.
  expect(server.tokenRequests.length).toBeLessThanOrEqual(2)
  // Each token was tried once, and the server was asked once before, for who gives tokens.
  expect(server.refused()).toBe(server.tokenRequests.length * 2)
  for (const record of await toolCalls(gateway)) expect(record).toMatchObject({ outcome: 'error', cost: '0' })
})

test('a client that proves itself with a key sends a signed assertion and no secret', async () => {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
  const jwk = { ...(await exportJWK(privateKey)), kid: 'k1', alg: 'ES256' }
  const { clientSecret: _, ...keyed } = { ...credentials, privateKey: JSON.stringify(jwk) }
  const server = await startProtectedServer()
  onEnd(() => server.stop())
  const gateway = await startGateway()
  const { key } = await furnish(gateway, server.url, { more: { auth: keyed } })
  expect((await client(gateway, key, 'modern').call()).status).toBe(200)
  const [asked] = server.tokenRequests
  expect(asked?.authorization).toBeUndefined()
  expect(asked?.form['client_assertion_type']).toBe('urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
  const { payload, protectedHeader } = await jwtVerify(
    asked?.form['client_assertion'] ?? '',
    await importJWK(await exportJWK(publicKey), 'ES256'),
  )
  expect(protectedHeader).toMatchObject({ alg: 'ES256', kid: 'k1' })
  expect(payload).toMatchObject({ iss: 'gateway', sub: 'gateway', aud: server.issuer })
  expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBeLessThanOrEqual(120)
})

test('a refusal of the authorization server is told in its words, without a secret, and is not asked for again at once', async () => {
  const { gateway, server, key } = await stage()
  const description = `no such client\r\n${'x'.repeat(500)}`
  server.script = {
    refusal: { status: 401, body: { error: 'invalid_client', error_description: description } },
  }
  const tested = await testConnection(gateway)
  expect(tested.ok).toBe(false)
  expect(tested.error.message).toContain('401 invalid_client, no such client??x')
  const caller = client(gateway, key, 'modern')
  const answers = await Promise.all(Array.from({ length: 30 }, () => caller.call()))
  for (const { message } of answers) expect(message.result).toMatchObject({ isError: true })
  expect(server.tokenRequests.length).toBeLessThanOrEqual(2)
  expect(new Set((await toolCalls(gateway)).map(({ outcome, cost }) => `${outcome} ${cost}`))).toEqual(
    new Set(['error 0']),
  )
  expect(gateway.log()).not.toContain(sentinel)
  expect(JSON.stringify(tested)).not.toContain(sentinel)

  server.script = { expiresInS: 3600 }
  await expect
    .poll(async () => (await caller.call()).message.result?.isError, { timeout: 10_000 })
    .toBeUndefined()
})

describe('an address that others named is vetted', () => {
  const canaryHost = '127.0.0.2'
  async function closed() {
    const server = await startProtectedServer()
    onEnd(() => server.stop())
    const canary = await startRecorder({ host: canaryHost })
    onEnd(() => canary.stop())
    // Everything of this test's own is at 127.0.0.1; the canary, one address on, is not allowed.
    const gateway = await startGateway({ env: { TOLLBRIDGE_EGRESS_ALLOW: '127.0.0.1/32' } })
    const url = canary.url.replace('/mcp', '')
    return { server, canary, gateway, url }
  }

  test.each([
    ['authorization server', (url: string) => ({ resource: { authorization_servers: [url] } })],
    ['token endpoint', (url: string) => ({ server: { token_endpoint: `${url}/token` } })],
  ])('the %s of a metadata document cannot lead to one that is not allowed', async (_what, lie) => {
    const { server, canary, gateway, url } = await closed()
    Object.assign(server.lies, lie(url))
    await furnish(gateway, server.url, { more: { auth: credentials } })
    const tested = await testConnection(gateway)
    expect(tested.error.message).toContain(`${new URL(url).host} gave no token: its address is not allowed`)
    expect(canary.hits).toEqual([])
  })

  test.each(['authorization_servers', 'token_endpoint'])(
    '%s is not taken where it is plain http to elsewhere',
    async (field) => {
      const { server, gateway } = await closed()
      const elsewhere = 'http://tokens.example'
      Object.assign(
        server.lies,
        field === 'token_endpoint'
          ? { server: { token_endpoint: `${elsewhere}/token` } }
          : { resource: { authorization_servers: [elsewhere] } },
      )
      await furnish(gateway, server.url, { more: { auth: credentials } })
      expect((await testConnection(gateway)).error.message).toContain('not https')
      expect(server.tokenRequests).toEqual([])
    },
  )

  test('a redirect is not followed', async () => {
    const { server, canary, gateway, url } = await closed()
    server.script = { refusal: { status: 307, body: {}, headers: { location: `${url}/token` } } }
    await furnish(gateway, server.url, { more: { auth: credentials } })
    expect((await testConnection(gateway)).ok).toBe(false)
    expect([canary.hits.length, server.tokenRequests.length]).toEqual([0, 1])
  })

  test('an authorization server that calls itself by another name is not believed', async () => {
    const { server, gateway } = await closed()
    server.lies.server = { issuer: 'https://somebody.example' }
    await furnish(gateway, server.url, { more: { auth: credentials } })
    expect((await testConnection(gateway)).ok).toBe(false)
    expect(server.tokenRequests).toEqual([])
  })
})

describe('a registration', () => {
  test('shows the client and no secret, and keeps the secret through a change', async () => {
    const { gateway, server, key } = await stage()
    const path = `/api/v1/servers/${name}`
    const shown = await gateway.admin.ok('GET', path)
    expect(shown.auth).toEqual({
      type: 'oauth2',
      grant: 'client-credentials',
      clientId: 'gateway',
      hasSecret: true,
      last4: sentinel.slice(-4),
    })
    await gateway.admin.ok('PATCH', path, { auth: { scope: 'more' } })
    expect((await client(gateway, key, 'modern').call()).status).toBe(200)
    expect(server.tokenRequests.at(-1)).toMatchObject({ authorization: basic, form: { scope: 'more' } })
  })

  test.each([
    [{ clientSecret: undefined }, 422, 'clientSecret'],
    [{ privateKey: 'x' }, 422, 'clientSecret'],
    [{ grant: 'password' }, 422, 'grant'],
    [{ tokenUrl: 'http://tokens.example/token' }, 422, 'tokenUrl'],
    [{ tokenUrl: 'http://169.254.169.254/token' }, 422, 'tokenUrl'],
    [{ issuer: 'file:///etc/passwd' }, 422, 'issuer'],
    [{ clientSecret: '${env:TOLLBRIDGE_SECRET_KEY}' }, 422, 'clientSecret'],
  ])('with %j is refused with the field', async (change, status, field) => {
    const gateway = await startTestGateway()
    onEnd(() => gateway.stop('SIGKILL'))
    const answer = await gateway.admin.call('POST', '/api/v1/servers', {
      name: 'x',
      transport: { type: 'streamable-http', url: 'http://127.0.0.1:9/mcp' },
      auth: { ...credentials, ...change },
    })
    expect(answer.text).toContain(field)
    expect([400, status]).toContain(answer.status)
  })
})
