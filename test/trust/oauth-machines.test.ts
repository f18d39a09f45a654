// Clients without a user there: secrets, signed assertions and identity assertions that are wrong, borrowed or repeated.
import { createHmac, createPublicKey, randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newIssuerKey, signToken, startIssuer, type IssuerKey, type TestIssuer } from '../harness/issuer.ts'
import { postForm, register, tryToRegister } from '../harness/oauth.ts'
import { until } from '../harness/until.ts'
import {
  McpClient,
  modernHeaders,
  modernMeta,
  openStream,
  send,
  startBench,
  toolCall,
  type Bench,
  type RawAnswer,
} from './bench.ts'

const folder = mkdtempSync(join(tmpdir(), 'tollbridge-machines-'))
const jwtBearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

let bench: Bench
let url: string
let issuer: TestIssuer
let other: TestIssuer
beforeAll(async () => {
  ;[issuer, other] = await Promise.all([startIssuer(), startIssuer()])
  const file = join(folder, 'tollbridge.yaml')
  const issuers = [{ issuer: issuer.url, identityAssertions: true }, { issuer: other.url }]
  writeFileSync(file, JSON.stringify({ oauth: { issuers } }))
  bench = await startBench({ args: ['--config', file] })
  url = bench.gateway.url
  bench.upstream.on('subscriptions/listen', ({ response }) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
  })
})
afterAll(async () => {
  await bench.stop()
  await Promise.all([issuer.stop(), other.stop()])
  rmSync(folder, { recursive: true, force: true })
})

const stub = () => `${url}/mcp/stub`
const nowS = () => Math.floor(Date.now() / 1000)
const basic = (id: string, secret: string) => ({
  authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
})
const statusOf = async (credential: string) =>
  (await new McpClient({ url, credential }, '/mcp/stub').ask('modern', toolCall('work'))).status
const newClient = (caller = bench.a, more: object = {}) =>
  caller.ok('POST', '/api/v1/oauth/clients', { name: 'Job', ...more })
const credentials = (form: Record<string, string> = {}, headers: Record<string, string> = {}) =>
  postForm(url, '/oauth/token', { grant_type: 'client_credentials', resource: stub(), ...form }, headers)

describe('a client of a user', () => {
  test('gets a token by its secret, in the header or in the form, and by nothing else', async () => {
    const { id, secret } = await newClient()
    const stranger = await newClient(bench.b)
    for (const answer of [
      await credentials({}, basic(id, secret)),
      await credentials({ client_id: id, client_secret: secret }),
    ]) {
      expect([answer.status, answer.json.token_type]).toEqual([200, 'Bearer'])
      expect(answer.json.refresh_token).toBeUndefined()
      expect(await statusOf(answer.json.access_token)).toBe(200)
    }
    const bad: [Record<string, string>, Record<string, string>][] = [
      [{}, basic(id, `${secret}x`)],
      [{}, basic(id, '')],
      [{}, basic(id, stranger.secret)],
      [{}, basic(`ocl_${'0'.repeat(26)}`, secret)],
      [{ client_id: id }, {}],
      [{ client_id: stranger.id }, basic(id, secret)],
      [{ client_id: id, client_secret: secret }, basic(id, secret)],
      [{ client_id: id, client_secret: secret, client_assertion: 'x' }, {}],
    ]
    for (const [form, headers] of bad) {
      const { status, json } = await credentials(form, headers)
      expect([form, status, json.error]).toEqual([form, 401, 'invalid_client'])
    }
  })

  test('gets a token for the endpoint and the scopes that it names, and for no other', async () => {
    const { id, secret } = await newClient()
    const ask = (form: Record<string, string>) => credentials(form, basic(id, secret))
    const read = await ask({ scope: 'mcp:read' })
    expect(read.json.scope).toBe('mcp:read')
    expect(await statusOf(read.json.access_token)).toBe(403)
    const elsewhere = await ask({ resource: `${url}/mcp/tollbridge` })
    expect(await statusOf(elsewhere.json.access_token)).toBe(401)
    expect((await ask({ resource: '' })).json.error).toBe('invalid_target')
    expect((await ask({ resource: 'https://other.example/mcp' })).json.error).toBe('invalid_target')
    expect((await ask({ scope: 'root' })).json.error).toBe('invalid_scope')
  })

  test('ends with its streams when it is removed, and with its user', async () => {
    const { id, secret } = await newClient()
    const { json } = await credentials({}, basic(id, secret))
    const listen = { jsonrpc: '2.0', id: 5, method: 'subscriptions/listen', params: { _meta: modernMeta } }
    const stream = await openStream(url, {
      method: 'POST',
      path: '/mcp/stub',
      headers: { authorization: `Bearer ${json.access_token}`, ...modernHeaders('subscriptions/listen') },
      body: JSON.stringify(listen),
    })
    expect((await bench.b.call('DELETE', `/api/v1/oauth/clients/${id}`)).status).toBe(404)
    expect(await statusOf(json.access_token)).toBe(200)
    await bench.a.ok('DELETE', `/api/v1/oauth/clients/${id}`)
    expect(await statusOf(json.access_token)).toBe(401)
    await until(() => stream.isClosed(), 'the stream to end', 1000)
    expect((await credentials({}, basic(id, secret))).status).toBe(401)

    const leaver = await bench.gateway.member('leaver')
    const theirs = await newClient(leaver)
    const before = await credentials({}, basic(theirs.id, theirs.secret))
    await bench.gateway.admin.ok('PATCH', `/api/v1/users/${leaver.userId}`, { disabled: true })
    expect(await statusOf(before.json.access_token)).toBe(401)
    expect((await credentials({}, basic(theirs.id, theirs.secret))).json.error).toBe('invalid_grant')
    await bench.gateway.admin.ok('DELETE', `/api/v1/users/${leaver.userId}`)
    expect((await credentials({}, basic(theirs.id, theirs.secret))).json.error).toBe('invalid_grant')
  })

  test('is one that a user made: who registers itself acts for nobody', async () => {
    const { id } = await register(url)
    expect((await credentials({ client_id: id })).json.error).toBe('unauthorized_client')
    const claimed = await tryToRegister(url, { grant_types: ['client_credentials'], redirect_uris: [] })
    expect([claimed.status, claimed.json.error]).toEqual([400, 'invalid_client_metadata'])
    const both = await register(url, { grant_types: ['client_credentials', 'authorization_code'] })
    expect((await credentials({ client_id: both.id })).json.error).toBe('unauthorized_client')
  })

  test('is seen by its user alone, and keeps its secret to itself', async () => {
    const { id, secret } = await newClient()
    const mine = await bench.a.call('GET', '/api/v1/oauth/clients?limit=100')
    expect(mine.text).toContain(id)
    expect(mine.text).not.toContain(secret)
    expect((await bench.b.call('GET', '/api/v1/oauth/clients?limit=100')).text).not.toContain(id)
  })

  test('brings public keys, never private ones or shared secrets', async () => {
    const pair = newIssuerKey()
    for (const key of [
      pair.privateKey.export({ format: 'jwk' }),
      { kty: 'oct', k: 'c2VjcmV0' },
      { kty: 'EC' },
      {},
    ]) {
      const answer = await bench.a.call('POST', '/api/v1/oauth/clients', { name: 'x', publicKeys: [key] })
      expect([answer.status, answer.json.errors[0].field]).toEqual([400, '/publicKeys/0'])
    }
  })
})

describe('what a client signs', () => {
  const key: IssuerKey = newIssuerKey()
  let id: string
  beforeAll(async () => {
    id = (await newClient(bench.a, { publicKeys: [key.publicJwk] })).id
  })
  const claims = (more: object = {}) => ({
    iss: id,
    sub: id,
    aud: url,
    iat: nowS(),
    exp: nowS() + 300,
    jti: randomUUID(),
    ...more,
  })
  const ask = (assertion: string, more: Record<string, string> = {}): Promise<RawAnswer> =>
    credentials({ client_assertion_type: assertionType, client_assertion: assertion, ...more })

  test('lets it in once, named by our issuer or by the token endpoint', async () => {
    const assertion = signToken(key, claims(), { typ: 'JWT' })
    expect((await ask(assertion)).status).toBe(200)
    expect((await ask(assertion)).json.error).toBe('invalid_client')
    expect((await ask(signToken(key, claims({ aud: `${url}/oauth/token` })))).status).toBe(200)
    const raced = signToken(key, claims())
    const all = await Promise.all(Array.from({ length: 10 }, () => ask(raced)))
    expect(all.filter(({ status }) => status === 200)).toHaveLength(1)
  })

  test('is refused where it is forged, for others, too old, too long, or says less than it must', async () => {
    const pem = createPublicKey({ key: key.publicJwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    const hmac = `${part({ alg: 'HS256' })}.${part(claims())}`
    const victim = await newClient(bench.b, { publicKeys: [newIssuerKey().publicJwk] })
    const bad: Record<string, string> = {
      'another key': signToken({ ...newIssuerKey(), kid: key.kid }, claims()),
      'an HMAC with the public key': `${hmac}.${createHmac('sha256', pem).update(hmac).digest('base64url')}`,
      'no signature': `${part({ alg: 'none' })}.${part(claims())}.`,
      'another audience': signToken(key, claims({ aud: 'https://other.example' })),
      'no audience': signToken(key, claims({ aud: undefined })),
      'another client': signToken(key, claims({ iss: victim.id, sub: victim.id })),
      'another issuer': signToken(key, claims({ iss: victim.id })),
      'an end in the past': signToken(key, claims({ exp: nowS() - 61 })),
      'an end far ahead': signToken(key, claims({ exp: nowS() + 3600 })),
      'no end': signToken(key, claims({ exp: undefined })),
      'no name': signToken(key, claims({ jti: undefined })),
      'no token at all': 'x',
    }
    for (const [what, assertion] of Object.entries(bad)) {
      const { status, json } = await ask(assertion)
      expect([what, status, json.error]).toEqual([what, 401, 'invalid_client'])
    }
    const good = () => signToken(key, claims())
    expect((await ask(good(), { client_assertion_type: 'other' })).json.error).toBe('invalid_client')
    expect((await ask(good(), { client_id: victim.id })).json.error).toBe('invalid_client')
    expect((await credentials({ client_id: id, client_secret: 'x' })).json.error).toBe('invalid_client')
  })
})

describe('an identity assertion', () => {
  let id: string
  let secret: string
  beforeAll(async () => {
    ;({ id, secret } = await newClient())
  })
  const assertion = (more: object = {}, header: object = {}): string => {
    const usual = { sub: 'worker', client_id: id, resource: stub(), jti: randomUUID() }
    return issuer.token(url, { ...usual, ...more }, { typ: 'oauth-id-jag+jwt', ...header })
  }
  const ask = (token: string, more: Record<string, string> = {}): Promise<RawAnswer> =>
    postForm(url, '/oauth/token', { grant_type: jwtBearer, assertion: token, ...more }, basic(id, secret))

  test('brings a token for the endpoint that it names, once, with the scopes that it allows', async () => {
    const token = assertion({ scope: 'mcp:read' })
    const answer = await ask(token)
    expect([answer.status, answer.json.scope]).toEqual([200, 'mcp:read'])
    expect(answer.json.refresh_token).toBeUndefined()
    expect(await statusOf(answer.json.access_token)).toBe(403)
    expect((await ask(token)).json.error).toBe('invalid_grant')
    expect(await statusOf((await ask(assertion())).json.access_token)).toBe(200)
    const raced = assertion()
    const all = await Promise.all(Array.from({ length: 10 }, () => ask(raced)))
    expect(all.filter(({ status }) => status === 200)).toHaveLength(1)
  })

  test('that names no endpoint counts for the one that is asked for', async () => {
    const { json } = await ask(assertion({ resource: undefined }), { resource: stub() })
    expect(await statusOf(json.access_token)).toBe(200)
    expect((await ask(assertion({ resource: undefined }))).json.error).toBe('invalid_target')
    expect((await ask(assertion(), { resource: `${url}/mcp` })).json.error).toBe('invalid_target')
    expect((await ask(assertion({ resource: 'https://other.example' }))).json.error).toBe('invalid_target')
  })

  test('is refused where it is for others, old, of another kind, or of an issuer that may not', async () => {
    const forged = newIssuerKey()
    const usual = { sub: 'worker', client_id: id, resource: stub(), jti: randomUUID() }
    const jag = { typ: 'oauth-id-jag+jwt' }
    const bad: Record<string, string> = {
      'another client': assertion({ client_id: `ocl_${'0'.repeat(26)}` }),
      'no client': assertion({ client_id: undefined }),
      'another audience': issuer.token('https://other.example', usual, jag),
      'an endpoint as its audience': issuer.token(stub(), usual, jag),
      'several audiences': issuer.token([url, 'https://other.example'], usual, jag),
      'the type of an access token': issuer.token(url, usual),
      'the type of an ID token': issuer.token(url, usual, { typ: 'JWT' }),
      'no type': issuer.token(url, usual, { typ: undefined }),
      'an issuer that may not': other.token(url, usual, jag),
      'another key': signToken(
        { ...forged, kid: issuer.published[0]?.kid ?? '' },
        { iss: issuer.url, aud: url, iat: nowS(), exp: nowS() + 60, ...usual },
        jag,
      ),
      'an end in the past': assertion({ exp: nowS() - 61 }),
      'too long a life': assertion({ exp: nowS() + 7200 }),
      'no name': assertion({ jti: undefined }),
      'no subject': assertion({ sub: undefined }),
      nonsense: 'x',
    }
    for (const [what, token] of Object.entries(bad)) {
      const { status, json } = await ask(token)
      expect([what, status, json.error]).toEqual([what, 400, 'invalid_grant'])
    }
    expect((await ask(assertion({ scope: 'mcp:read mcp:call' }), { scope: 'mcp:read' })).json.error).toBe(
      'invalid_scope',
    )
    expect((await ask('')).json.error).toBe('invalid_request')
    const stranger = await register(url)
    const form = { grant_type: jwtBearer, assertion: assertion(), client_id: stranger.id }
    expect((await postForm(url, '/oauth/token', form)).json.error).toBe('unauthorized_client')
  })

  test('is no access token itself', async () => {
    expect(await statusOf(assertion())).toBe(401)
    expect(await statusOf(issuer.token(stub(), {}, { typ: 'oauth-id-jag+jwt' }))).toBe(401)
  })

  test('brings nothing for a user who was disabled, and what it brought ends at once', async () => {
    const sub = { sub: 'gone', preferred_username: 'gone' }
    const { json } = await ask(assertion(sub))
    expect(await statusOf(json.access_token)).toBe(200)
    const users = await bench.gateway.admin.all('/api/v1/users')
    const user = users.find(({ username }) => username === 'gone')
    await bench.gateway.admin.ok('PATCH', `/api/v1/users/${user.id}`, { disabled: true })
    expect(await statusOf(json.access_token)).toBe(401)
    expect((await ask(assertion(sub))).json.error).toBe('invalid_grant')
  })
})

test('metadata say what is taken', async () => {
  const { json } = await send(url, { path: '/.well-known/oauth-authorization-server' })
  expect(json.grant_types_supported).toEqual([
    'authorization_code',
    'refresh_token',
    jwtBearer,
    'client_credentials',
  ])
  expect(json.authorization_grant_profiles_supported).toEqual(['urn:ietf:params:oauth:grant-profile:id-jag'])
  expect(json.token_endpoint_auth_methods_supported).toContain('private_key_jwt')
  expect(json.token_endpoint_auth_signing_alg_values_supported).toContain('ES256')
})
