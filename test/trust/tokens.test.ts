// Forged, borrowed and revoked credentials, guessed passwords and weak secrets, against a running gateway.
import {
  createPublicKey,
  createHmac,
  createPrivateKey,
  generateKeyPairSync,
  hash,
  randomBytes,
  sign,
  type KeyObject,
} from 'node:crypto'
import { globSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { derivedKeys, Keyring } from '../../src/base/keyring.ts'
import { parseMasterSecret } from '../../src/base/master-secret.ts'
import { ApiCaller, startTestGateway } from '../harness/gateway.ts'
import {
  essence,
  modernHeaders,
  modernMeta,
  openStream,
  send,
  startBench,
  toolCall,
  type Bench,
  type RawAnswer,
} from './bench.ts'
import { until } from '../harness/until.ts'

const root = resolve(import.meta.dirname, '../..')
const master = randomBytes(32).toString('hex')
const keyring = new Keyring(derivedKeys(parseMasterSecret(master) as Uint8Array))

let bench: Bench
beforeAll(async () => {
  bench = await startBench({ env: { TOLLBRIDGE_SECRET_KEY: master } })
  bench.upstream.on('subscriptions/listen', ({ response }) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
  })
})
afterAll(() => bench.stop())

type Claims = Record<string, unknown>
const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
const claimsOf = (token: string): Claims =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Claims
const ourHeader = { alg: 'EdDSA', typ: 'at+jwt', kid: keyring.publicJwk.kid }

/** A token of these parts, signed by our own key unless another is given. */
function token(claims: Claims, header: object = ourHeader, key: KeyObject = keyring.signingKey): string {
  const signed = `${part(header)}.${part(claims)}`
  return `${signed}.${sign(null, Buffer.from(signed), key).toString('base64url')}`
}
function hmacToken(
  claims: Claims,
  secret: string | Buffer,
  header: object = { ...ourHeader, alg: 'HS256' },
): string {
  const signed = `${part(header)}.${part(claims)}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

/** Asks the API and the MCP endpoint with a credential. */
async function tryBoth(credential: string): Promise<RawAnswer[]> {
  const headers = { authorization: `Bearer ${credential}` }
  return [
    await send(bench.gateway.url, { path: '/api/v1/me', headers }),
    await bench.client({ url: bench.gateway.url, credential }).ask('modern', toolCall('work')),
  ]
}
async function expectRefused(credential: string): Promise<void> {
  for (const answer of await tryBoth(credential)) {
    expect(answer.status).toBe(401)
    expect(answer.headers['www-authenticate']).toMatch(/^Bearer .*error="invalid_token"/)
  }
}
const accepted = async (credential: string): Promise<number[]> =>
  (await tryBoth(credential)).map(({ status }) => status)

describe('a token', () => {
  let claims: Claims
  beforeAll(() => {
    claims = claimsOf(bench.a.credential ?? '')
  })

  test('made here with our own key is taken, so the forgeries below fail for what they change', async () => {
    expect(await accepted(token(claims))).toEqual([200, 200])
  })

  test('without a signature, or by an HMAC keyed with our public key, is refused', async () => {
    const { x } = keyring.publicJwk
    const pem = createPublicKey(keyring.signingKey).export({ format: 'pem', type: 'spki' }).toString()
    const der = createPublicKey(keyring.signingKey).export({ format: 'der', type: 'spki' })
    const spellings = [
      pem,
      pem.trim(),
      `\n${pem}`,
      der,
      x,
      Buffer.from(x, 'base64url'),
      JSON.stringify(keyring.publicJwk),
    ]
    const hits = await bench.hitsDuring(async () => {
      for (const secret of spellings) await expectRefused(hmacToken(claims, secret))
      for (const alg of ['none', 'None', 'NoNe', 'NONE', '', 'HS512', 'RS256', 'ES256', 'EdDSA ', 'eddsa'])
        for (const signature of ['', token(claims).split('.')[2]])
          await expectRefused(`${part({ ...ourHeader, alg })}.${part(claims)}.${signature}`)
    })
    expect(hits).toEqual([])
  })

  test('that names its own key or an extension is refused, and no address in it is asked', async () => {
    const jwks = bench.upstream.url.replace('/mcp', '/jwks')
    const other = generateKeyPairSync('ed25519')
    const tricks = [
      { crit: ['x'] },
      { crit: ['x'], x: 1 },
      { kid: '../../x' },
      { kid: "' OR 1=1--" },
      { kid: undefined },
      { jku: jwks },
      { x5u: jwks },
      { jwk: other.publicKey.export({ format: 'jwk' }) },
      { b64: false, crit: ['b64'] },
    ]
    const hits = await bench.hitsDuring(async () => {
      for (const trick of tricks) {
        await expectRefused(token(claims, { ...ourHeader, ...trick }))
        await expectRefused(token(claims, { ...ourHeader, ...trick }, other.privateKey))
      }
    })
    expect(hits).toEqual([])
  })

  test('for another audience, of another issuer, expired or not yet valid is refused', async () => {
    const now = Math.floor(Date.now() / 1000)
    const { aud, ...noAudience } = claims
    const { exp: _, ...endless } = claims
    const hits = await bench.hitsDuring(async () => {
      for (const change of [
        { aud: 'https://other.example' },
        { aud: `${String(aud)}/mcp/stub.evil` },
        { aud: [] },
        { iss: 'https://other.example' },
        { exp: now - 61 },
        { nbf: now + 62 },
        { exp: String(now + 100) },
      ])
        await expectRefused(token({ ...claims, ...change }))
      await expectRefused(token(noAudience))
      await expectRefused(token(endless))
      await expectRefused(token(claims, { ...ourHeader, typ: 'JWT' }))
    })
    expect(hits).toEqual([])
    expect(await accepted(token({ ...claims, aud: ['https://other.example', aud] }))).toEqual([200, 200])
  })

  test('that shares all but the signature or the subject with a remembered one is refused', async () => {
    const good = bench.a.credential ?? ''
    expect(await accepted(good)).toEqual([200, 200])
    const [header = '', payload = '', signature = ''] = good.split('.')
    const theirs = part({ ...claims, sub: bench.b.userId })
    const flipped = (signature.startsWith('A') ? 'B' : 'A') + signature.slice(1)
    const hits = await bench.hitsDuring(async () => {
      await expectRefused(`${header}.${payload}.${flipped}`)
      await expectRefused(`${header}.${theirs}.${signature}`)
      await expectRefused(`${header}.${payload}.${signature}.${signature}`)
      await expectRefused(token({ ...claims, sub: bench.b.userId }))
      await expectRefused(token({ ...claims, sid: claimsOf(bench.b.credential ?? '')['sid'] }))
    })
    expect(hits).toEqual([])
  })
})

describe('a revoked credential', () => {
  /** A user of its own, and what it holds: a token, or a key made with one. */
  async function newUser(name: string): Promise<ApiCaller> {
    return bench.gateway.member(name)
  }
  const ways = {
    'a deleted key': async (name: string) => {
      const user = await newUser(name)
      const { id, key } = await user.ok('POST', '/api/v1/keys', { name: 'k' })
      return { credential: key as string, revoke: () => user.ok('DELETE', `/api/v1/keys/${id}`) }
    },
    'a rotated key': async (name: string) => {
      const user = await newUser(name)
      const { id, key } = await user.ok('POST', '/api/v1/keys', { name: 'k' })
      return { credential: key as string, revoke: () => user.ok('POST', `/api/v1/keys/${id}/rotate`) }
    },
    'a login that has logged out': async (name: string) => {
      const user = await newUser(name)
      return { credential: user.credential ?? '', revoke: () => user.ok('POST', '/api/v1/auth/logout') }
    },
    'a disabled user': async (name: string) => {
      const user = await newUser(name)
      const disable = () =>
        bench.gateway.admin.ok('PATCH', `/api/v1/users/${user.userId}`, { disabled: true })
      return { credential: user.credential ?? '', revoke: disable }
    },
    'a deleted user': async (name: string) => {
      const user = await newUser(name)
      const { key } = await user.ok('POST', '/api/v1/keys', { name: 'k' })
      const remove = () => bench.gateway.admin.ok('DELETE', `/api/v1/users/${user.userId}`)
      return { credential: key as string, revoke: remove }
    },
  }

  test.each(Object.entries(ways))('of %s fails at the next call, and its streams end', async (name, make) => {
    const { credential, revoke } = await make(name.replaceAll(/\W/g, '-'))
    const client = bench.client({ url: bench.gateway.url, credential })
    expect((await client.ask('legacy', toolCall('work'))).status).toBe(200)
    const authorization = `Bearer ${credential}`
    const listen = { jsonrpc: '2.0', id: 5, method: 'subscriptions/listen', params: { _meta: modernMeta } }
    const streams = await Promise.all([
      client.get(),
      openStream(bench.gateway.url, {
        method: 'POST',
        path: '/mcp/stub',
        headers: { authorization, ...modernHeaders('subscriptions/listen') },
        body: JSON.stringify(listen),
      }),
      openStream(bench.gateway.url, { path: '/api/v1/billing/cost/stream', headers: { authorization } }),
    ])
    expect(streams.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(streams.some((stream) => stream.isClosed())).toBe(false)
    await revoke()
    const hits = await bench.hitsDuring(() => expectRefused(credential))
    expect(hits.filter(({ message }) => message?.method === 'tools/call')).toEqual([])
    await until(() => streams.every((stream) => stream.isClosed()), 'all streams are closed')
  })
})

describe('guessing', () => {
  const login = (username: string, password = 'not-this-one-either') =>
    send(bench.gateway.url, {
      method: 'POST',
      path: '/api/v1/auth/authenticate',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username, password }),
    })

  test('an unknown user and a wrong password get the same answer in the same time', async () => {
    const known = ['known-1', 'known-2', 'known-3', 'known-4']
    for (const username of known)
      await bench.gateway.admin.ok('POST', '/api/v1/users', { username, password: 'Correct-horse-1' })
    const times = { known: [] as number[], unknown: [] as number[] }
    const answers = new Set<string>()
    for (let round = 0; round < 28; round++)
      for (const kind of round % 2 ? (['known', 'unknown'] as const) : (['unknown', 'known'] as const)) {
        const started = performance.now()
        const answer = await login(`${kind}-${1 + (round % 4)}`)
        times[kind].push(performance.now() - started)
        expect(answer.status).toBe(401)
        answers.add(JSON.stringify(essence(answer)))
      }
    expect(answers.size).toBe(1)
    // Other work only ever adds time, so the fastest of each are compared; they take several milliseconds of hashing,
    // which an answer without it would save.
    const ratio = Math.min(...times.known) / Math.min(...times.unknown)
    expect(ratio, JSON.stringify(times)).toBeGreaterThan(0.5)
    expect(ratio, JSON.stringify(times)).toBeLessThan(2)
  })

  test('is locked out at the eleventh bad login in a minute, known or not, also with another forwarded address', async () => {
    for (const username of ['bert', 'nobody-here']) {
      const statuses = []
      for (let attempt = 0; attempt < 10; attempt++) statuses.push((await login(username)).status)
      expect(statuses).toEqual(Array(10).fill(401))
      const locked = await login(username)
      expect(locked.status).toBe(429)
      expect(Number(locked.headers['retry-after'])).toBeGreaterThan(0)
      const spoofed = await send(bench.gateway.url, {
        method: 'POST',
        path: '/api/v1/auth/authenticate',
        headers: {
          'content-type': 'application/json',
          'x-forwarded-for': '203.0.113.9',
          forwarded: 'for=203.0.113.9',
        },
        body: JSON.stringify({ username, password: 'Member-passw0rd-bert' }),
      })
      expect(spoofed.status).toBe(429)
    }
    expect((await bench.b.call('GET', '/api/v1/me')).status).toBe(200)
  })
})

describe('the master secret', () => {
  test.each([
    ['is a well-known word', 'changeme'],
    ['is the name of an example', 'change-me-change-me-change-me-change-me'],
    ['has 16 bytes', randomBytes(16).toString('hex')],
    ['is a repetition', '0123456789abcdef'.repeat(4)],
  ])('that %s keeps the gateway from starting, and the message says what to do', async (_, secret) => {
    const data = mkdtempSync(join(tmpdir(), 'tollbridge-weak-'))
    try {
      const start = startTestGateway({ data, anonymous: true, env: { TOLLBRIDGE_SECRET_KEY: secret } })
      const end = await start.then(
        async (gateway) => `it started ${String((await gateway.stop()).code)}`,
        (error: unknown) => String(error),
      )
      expect(end).toContain('"code":78')
      expect(end).toContain('TOLLBRIDGE_SECRET_KEY')
      expect(end).toContain('openssl rand -hex 32')
      expect(end).not.toContain(secret)
    } finally {
      rmSync(data, { recursive: true, force: true })
    }
  })

  test('that nobody set is made at the first start, for its owner alone, and differs each time', async () => {
    const made = await Promise.all([
      startTestGateway({ anonymous: true }),
      startTestGateway({ anonymous: true }),
    ])
    const files = made.map(({ data }) => join(data, 'secret.key'))
    expect(files.map((file) => statSync(file).mode & 0o777)).toEqual([0o600, 0o600])
    const secrets = files.map((file) => readFileSync(file, 'utf8').trim())
    expect(new Set(secrets).size).toBe(2)
    for (const secret of secrets) expect(parseMasterSecret(secret)).toBeInstanceOf(Uint8Array)
    await Promise.all(made.map((gateway) => gateway.stop()))
  })

  test('is no text of the package: tokens signed with any of them are refused', async () => {
    const files = globSync(
      ['src/**/*.ts', 'console/src/**/*.{ts,tsx}', 'bin/**/*.{ts,mjs}', 'package.json'],
      { cwd: root },
    ).filter((file) => !file.includes('.test.'))
    const literals = new Set<string>()
    for (const file of files)
      for (const [, , text = ''] of readFileSync(join(root, file), 'utf8').matchAll(
        /(['"`])([^'"`\n]{6,120})\1/g,
      ))
        literals.add(text)
    expect(literals.size).toBeGreaterThan(500)
    const claims = claimsOf(bench.a.credential ?? '')
    const forged = [...literals].flatMap((text) => {
      const seed = Buffer.concat([
        Buffer.from('302e020100300506032b657004220420', 'hex'),
        hash('sha256', text, 'buffer'),
      ])
      const key = createPrivateKey({ key: seed, format: 'der', type: 'pkcs8' })
      const derived = new Keyring(derivedKeys(Buffer.from(text))).signingKey
      return [hmacToken(claims, text), token(claims, ourHeader, key), token(claims, ourHeader, derived)]
    })
    const statuses = new Map<number, number>()
    const next = forged.values()
    const tryThem = async (): Promise<void> => {
      for (const credential of next) {
        const headers = { authorization: `Bearer ${credential}` }
        const { status } = await send(bench.gateway.url, { path: '/api/v1/me', headers })
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
      }
    }
    await Promise.all(Array.from({ length: 16 }, tryThem))
    expect([...statuses]).toEqual([[401, forged.length]])
  })
})

test('a key makes no keys and no users, whoever owns it and whatever it asks for', async () => {
  const { key } = await bench.gateway.admin.ok('POST', '/api/v1/keys', { name: 'narrow', servers: ['stub'] })
  const caller = new ApiCaller(bench.gateway.url, key)
  const keys = async (): Promise<object[]> =>
    (await bench.gateway.admin.all('/api/v1/keys')).map((key) => ({ ...key, lastUsedAt: undefined }))
  const before = await keys()
  const { id } = await bench.gateway.admin.ok('POST', '/api/v1/keys', { name: 'victim' })
  for (const [method, path, body] of [
    ['POST', '/api/v1/keys', { name: 'wide' }],
    ['POST', '/api/v1/keys', { name: 'same', servers: ['stub'] }],
    ['POST', '/api/v1/keys', { name: 'wide', servers: ['stub', 'other'] }],
    ['POST', `/api/v1/keys/${id}/rotate`, {}],
    ['DELETE', `/api/v1/keys/${id}`, undefined],
    ['POST', '/api/v1/users', { username: 'minted', password: 'Correct-horse-1', roles: ['admin'] }],
    ['PATCH', `/api/v1/users/${bench.a.userId}`, { roles: ['admin'] }],
  ] as const)
    expect([method, path, (await caller.call(method, path, body)).status]).toEqual([method, path, 403])
  await bench.gateway.admin.ok('DELETE', `/api/v1/keys/${id}`)
  expect(await keys()).toEqual(before)
  expect((await bench.a.ok('GET', '/api/v1/me')).roles).toEqual(['member'])
})
