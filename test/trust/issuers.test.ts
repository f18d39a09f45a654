// Tokens of other issuers: which are taken, where, whose they are, and what their keys and groups may do.
import { createHmac, createPublicKey } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ApiCaller, startTestGateway } from '../harness/gateway.ts'
import { newIssuerKey, signToken, startIssuer, type TestIssuer } from '../harness/issuer.ts'
import { eras, McpClient, send, startBench, toolCall, type Bench } from './bench.ts'

const folder = mkdtempSync(join(tmpdir(), 'tollbridge-issuers-'))
let bench: Bench
let issuer: TestIssuer
let wide: TestIssuer
let stranger: TestIssuer
let url: string
beforeAll(async () => {
  ;[issuer, wide, stranger] = await Promise.all([startIssuer(), startIssuer(), startIssuer()])
  const config = {
    oauth: {
      issuers: [
        { issuer: issuer.url, algorithms: ['ES256'], roles: { operators: 'operator', root: 'admin' } },
        { issuer: wide.url, audience: 'tollbridge', usernameClaim: 'email' },
      ],
    },
  }
  const file = join(folder, 'tollbridge.yaml')
  writeFileSync(file, JSON.stringify(config))
  bench = await startBench({ args: ['--config', file] })
  url = bench.gateway.url
})
afterAll(async () => {
  await bench.stop()
  await Promise.all([issuer, wide, stranger].map((each) => each.stop()))
  rmSync(folder, { recursive: true, force: true })
})

const stub = () => `${url}/mcp/stub`
const statusOf = async (credential: string, path = '/mcp/stub', era: 'modern' | 'legacy' = 'modern') =>
  (await new McpClient({ url, credential }, path).ask(era, toolCall('work'))).status
const userOf = async (username: string) =>
  (await bench.gateway.admin.all('/api/v1/users')).find((user) => user.username === username)

describe('a token of another issuer', () => {
  test.each(eras)('works at the endpoint that it names, and nowhere else, %s', async (era) => {
    const token = issuer.token(stub(), { preferred_username: 'Carla' })
    expect(await statusOf(token, '/mcp/stub', era)).toBe(200)
    expect(await statusOf(token, '/mcp/tollbridge')).toBe(401)
    expect(await statusOf(token, '/mcp')).toBe(401)
    expect((await new ApiCaller(url, token).call('GET', '/api/v1/me')).status).toBe(401)
    expect(await statusOf(issuer.token(['https://other.example', stub()]))).toBe(200)
  })

  test('makes its user at first sight, once, also when many come at once', async () => {
    const tokens = Array.from({ length: 20 }, (_, n) =>
      issuer.token(stub(), { sub: 'crowd', preferred_username: 'crowd', jti: String(n) }),
    )
    expect(await Promise.all(tokens.map((token) => statusOf(token)))).toEqual(Array(20).fill(200))
    const users = await bench.gateway.admin.all('/api/v1/users')
    expect(users.filter(({ username }) => username.startsWith('crowd'))).toHaveLength(1)
    const usage = await bench.gateway.admin.all(`/api/v1/billing/usage?user=${users.at(-1).id}`)
    expect(usage.length).toBeGreaterThanOrEqual(20)
  })

  test('never makes its bearer a user who is here already, whatever name it gives', async () => {
    for (const [n, name] of ['admin', 'anna', 'ANNA', 'Anna'].entries())
      expect(await statusOf(issuer.token(stub(), { sub: `thief-${n}`, preferred_username: name }))).toBe(200)
    const users = await bench.gateway.admin.all('/api/v1/users')
    expect(users.filter(({ username }) => /^anna-[0-9a-f]{16}$/.test(username))).toHaveLength(3)
    const thief = users.find(({ username }) => username.startsWith('admin-'))
    expect(thief.roles).toEqual(['member'])
  })

  test('with the same subject from two issuers is of two users', async () => {
    await statusOf(issuer.token(stub(), { sub: 'same' }))
    await statusOf(wide.token(stub(), { sub: 'same' }))
    const users = await bench.gateway.admin.all('/api/v1/users')
    const made = users.filter(({ username }) => /^user-[0-9a-f]{16}$/.test(username))
    expect(new Set(made.map(({ id }) => id)).size).toBeGreaterThanOrEqual(2)
  })

  test('that is forged, old, bound, of another kind or for somebody else is refused, and 0 hits', async () => {
    const now = Math.floor(Date.now() / 1000)
    const [key] = issuer.published
    const pem = createPublicKey({ key: key?.publicJwk ?? {}, format: 'jwk' }).export({
      type: 'spki',
      format: 'pem',
    })
    const hmac = (): string => {
      const [, claims = ''] = issuer.token(stub()).split('.')
      const header = Buffer.from(JSON.stringify({ alg: 'HS256', typ: 'at+jwt', kid: key?.kid })).toString(
        'base64url',
      )
      const signature = createHmac('sha256', pem).update(`${header}.${claims}`).digest('base64url')
      return `${header}.${claims}.${signature}`
    }
    const unsigned = (): string => {
      const [, claims = ''] = issuer.token(stub()).split('.')
      return `${Buffer.from('{"alg":"none"}').toString('base64url')}.${claims}.`
    }
    const bad: Record<string, string> = {
      'another issuer': stranger.token(stub()),
      'another key under the same name': signToken(
        { ...newIssuerKey(), kid: key?.kid ?? '' },
        { iss: issuer.url, sub: 'x', aud: stub(), iat: now, exp: now + 60 },
      ),
      'an HMAC with the public key': hmac(),
      'no signature': unsigned(),
      'no audience': issuer.token([]),
      'another audience': issuer.token('https://other.example/mcp/stub'),
      'an audience that begins alike': issuer.token(`${stub()}/`),
      'two endpoints at once': issuer.token([stub(), `${url}/mcp`]),
      'the audience of the other issuer': issuer.token('tollbridge'),
      'an end in the past': issuer.token(stub(), { exp: now - 61 }),
      'no end': issuer.token(stub(), { exp: undefined }),
      'a beginning to come': issuer.token(stub(), { nbf: now + 62 }),
      'no subject': issuer.token(stub(), { sub: undefined }),
      'a key that its bearer has to show': issuer.token(stub(), { cnf: { jkt: 'x' } }),
      'the type of a logout': issuer.token(stub(), {}, { typ: 'logout+jwt' }),
      'the type of a grant': issuer.token(stub(), {}, { typ: 'oauth-id-jag+jwt' }),
      'an extension': issuer.token(stub(), {}, { crit: ['x'], x: 1 }),
      'a place for keys': issuer.token(stub(), {}, { jku: `${stranger.url}/keys`, kid: 'other' }),
    }
    const hits = await bench.hitsDuring(async () => {
      for (const [what, token] of Object.entries(bad))
        expect([what, await statusOf(token)]).toEqual([what, 401])
    })
    expect(hits).toEqual([])
    expect(stranger.asked).toEqual([])
  })

  test('that names the scopes it has is held to them', async () => {
    expect(await statusOf(issuer.token(stub(), { scope: 'openid mcp:read' }))).toBe(403)
    expect(await statusOf(issuer.token(stub(), { scope: 'openid mcp:call' }))).toBe(200)
    expect(await statusOf(issuer.token(stub(), { scp: ['mcp:read'] }))).toBe(403)
  })

  test('of a user who was disabled or deleted here is refused at once, and makes nobody anew', async () => {
    const token = (n: number) => issuer.token(stub(), { sub: 'leaver', preferred_username: 'leaver', n })
    expect(await statusOf(token(1))).toBe(200)
    const { id } = await userOf('leaver')
    await bench.gateway.admin.ok('PATCH', `/api/v1/users/${id}`, { disabled: true })
    expect([await statusOf(token(1)), await statusOf(token(2))]).toEqual([401, 401])
    await bench.gateway.admin.ok('PATCH', `/api/v1/users/${id}`, { disabled: false })
    expect(await statusOf(token(3))).toBe(200)
    await bench.gateway.admin.ok('DELETE', `/api/v1/users/${id}`)
    expect([await statusOf(token(3)), await statusOf(token(4))]).toEqual([401, 401])
    expect(await userOf('leaver')).toBeUndefined()
  })
})

describe('groups', () => {
  const now = Math.floor(Date.now() / 1000)
  const member = (groups: unknown, iat: number) =>
    issuer.token(stub(), { sub: 'grouped', preferred_username: 'grouped', groups, iat })

  test('make roles, the newest token decides, and an older one changes nothing', async () => {
    const rolesAfter = async (token: string) => {
      expect(await statusOf(token)).toBe(200)
      return (await userOf('grouped')).roles
    }
    expect(await rolesAfter(member(['operators', 'others', 'constructor'], now - 50))).toEqual([
      'operator',
      'member',
    ])
    expect(await rolesAfter(member([], now - 40))).toEqual(['member'])
    expect(await rolesAfter(member(['root'], now - 45))).toEqual(['member'])
    expect(await rolesAfter(member('operators', now - 30))).toEqual(['operator', 'member'])
    expect(await rolesAfter(member(undefined, now - 20))).toEqual(['member'])
  })

  test('are not asked where the configuration maps none', async () => {
    const token = (iat: number) =>
      wide.token('tollbridge', { sub: 'w', email: 'w@corp.example', groups: ['root'], iat })
    expect(await statusOf(token(now - 20))).toBe(200)
    const { id, roles } = await userOf('w@corp.example')
    expect(roles).toEqual(['member'])
    await bench.gateway.admin.ok('PATCH', `/api/v1/users/${id}`, { roles: ['operator'] })
    expect(await statusOf(token(now - 10))).toBe(200)
    expect((await userOf('w@corp.example')).roles).toEqual(['operator'])
  })
})

test('a token for the whole gateway works at every endpoint and at the API, but makes no credentials', async () => {
  const token = wide.token('tollbridge', { sub: 'all', email: 'all@corp.example' })
  expect(await statusOf(token)).toBe(200)
  const caller = new ApiCaller(url, token)
  expect(await caller.ok('GET', '/api/v1/me')).toMatchObject({ username: 'all@corp.example' })
  expect((await caller.call('POST', '/api/v1/keys', { name: 'x' })).status).toBe(403)
  expect((await caller.call('GET', '/api/v1/oauth/grants')).status).toBe(403)
})

describe('the keys of an issuer', () => {
  test('are found by its metadata, and asked for again when a token names a new one, but not at each', async () => {
    const before = issuer.asked.length
    expect(await statusOf(issuer.token(stub(), { n: 1 }))).toBe(200)
    expect(issuer.asked.length).toBe(before)
    const nonsense = newIssuerKey()
    const now = Math.floor(Date.now() / 1000)
    const claims = { iss: issuer.url, sub: 'x', aud: stub(), iat: now, exp: now + 60 }
    const statuses = await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        statusOf(signToken({ ...nonsense, kid: `no-${n}` }, { ...claims, n })),
      ),
    )
    expect(new Set(statuses)).toEqual(new Set([401]))
    expect(issuer.asked.length - before).toBeLessThanOrEqual(2)
  })
})

test('the keys of an issuer are not fetched from inside, unless the operator allows it', async () => {
  const inner = await startIssuer()
  const file = join(folder, 'strict.yaml')
  writeFileSync(file, JSON.stringify({ oauth: { issuers: [{ issuer: inner.url }] } }))
  const gateway = await startTestGateway({
    anonymous: true,
    args: ['--config', file],
    env: { TOLLBRIDGE_EGRESS_ALLOW: '' },
  })
  try {
    const client = new McpClient({ url: gateway.url, credential: inner.token(`${gateway.url}/mcp`) }, '/mcp')
    const answer = await client.ask('modern', { method: 'tools/list' })
    expect([answer.status, answer.json.error.data.code]).toEqual([503, 'issuer_unavailable'])
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
    expect(inner.asked).toEqual([])
  } finally {
    await gateway.stop()
    await inner.stop()
  }
})

test('metadata name our own issuer and the others', async () => {
  const { json } = await send(url, { path: '/.well-known/oauth-protected-resource/mcp/stub' })
  expect(json.authorization_servers).toEqual([url, issuer.url, wide.url])
})
