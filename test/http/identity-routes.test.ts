// Logging in, users, keys and well-known documents over HTTP: statuses, shapes, secrets and what others may not reach.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newId } from '../../src/base/id.ts'
import { password, publicUrl, refusalOf, startApi, type TestApi } from '../harness/api.ts'
import { ApiCaller } from '../harness/gateway.ts'

let api: TestApi
let admin: ApiCaller
let alice: ApiCaller
let bob: ApiCaller
beforeAll(async () => {
  api = await startApi()
  admin = await api.user('root', 'admin')
  alice = await api.user('alice')
  bob = await api.user('bob')
})
afterAll(() => api.stop())

const fieldsOf = (answer: { json: { errors: { field: string }[] } }): string[] =>
  answer.json.errors.map(({ field }) => field)
const withKey = (key: string): ApiCaller => new ApiCaller(api.url, key)

describe('logging in', () => {
  test('answers tokens that work, with and without the prefix of the API', async () => {
    for (const path of ['/api/v1/auth/authenticate', '/auth/authenticate']) {
      const { status, json } = await api.anonymous.call('POST', path, { username: 'alice', password })
      expect(status).toBe(200)
      expect(json).toEqual({
        token: expect.any(String),
        refreshToken: expect.any(String),
        expiresIn: 900,
        userId: alice.userId,
        username: 'alice',
        roles: ['member'],
      })
      expect(await withKey(json.token).ok('GET', '/api/v1/me')).toEqual({
        userId: alice.userId,
        username: 'alice',
        roles: ['member'],
        accountId: alice.accountId,
      })
    }
  })

  test('tells an unknown user and a wrong password apart in nothing', async () => {
    const [unknown, wrong] = await Promise.all(
      ['nobody', 'alice'].map((username) =>
        api.anonymous.call('POST', '/api/v1/auth/authenticate', { username, password: 'not this one' }),
      ),
    )
    expect(unknown?.status).toBe(401)
    expect(unknown && refusalOf(unknown)).toEqual(wrong && refusalOf(wrong))
  })

  test('locks out after too many failures and says for how long', async () => {
    await api.users.create({ username: 'victim', password, roles: ['member'] })
    const attempt = (secret: string) =>
      api.anonymous.call('POST', '/auth/authenticate', { username: 'victim', password: secret })
    for (let failures = 0; failures < 10; failures++) await attempt('not this one')
    const locked = await attempt(password)
    expect([locked.status, locked.json.code]).toEqual([429, 'locked_out'])
    expect(Number(locked.headers.get('retry-after'))).toBeGreaterThan(0)
    api.clock.advance(60_000)
    expect((await attempt(password)).status).toBe(200)
  })

  test('refuses unknown and missing fields by name', async () => {
    const answer = await api.anonymous.call('POST', '/auth/authenticate', { username: 'alice', otp: 1 })
    expect(answer.status).toBe(400)
    expect(fieldsOf(answer).toSorted()).toEqual(['/otp', '/password'])
  })

  test('registers members where registration is open, never with a role of choice', async () => {
    const body = { username: 'carol', password, email: 'carol@example.com' }
    const { status, json } = await api.anonymous.call('POST', '/api/v1/auth/register', body)
    expect([status, json.roles]).toEqual([201, ['member']])
    expect(await withKey(json.token).ok('GET', '/api/v1/me')).toMatchObject({ email: 'carol@example.com' })
    expect((await api.anonymous.call('POST', '/api/v1/auth/register', body)).status).toBe(409)
    const climb = await api.anonymous.call('POST', '/api/v1/auth/register', {
      ...body,
      username: 'climber',
      roles: ['admin'],
    })
    expect([climb.status, fieldsOf(climb)]).toEqual([400, ['/roles']])
  })

  test('registers nobody where registration is closed', async () => {
    const closed = await startApi({ registration: 'closed' })
    try {
      const answer = await closed.anonymous.call('POST', '/api/v1/auth/register', {
        username: 'eve',
        password,
      })
      expect([answer.status, answer.json.code]).toEqual([403, 'registration_closed'])
    } finally {
      await closed.stop()
    }
  })

  test('goes on by refresh tokens, each good once; the second use ends the login', async () => {
    const first = await api.anonymous.ok('POST', '/auth/authenticate', { username: 'bob', password })
    const refresh = (refreshToken: string) =>
      api.anonymous.call('POST', '/api/v1/auth/refresh', { refreshToken })
    const second = await refresh(first.refreshToken)
    expect(second.status).toBe(200)
    expect(second.json.refreshToken).not.toBe(first.refreshToken)
    expect((await refresh(first.refreshToken)).status).toBe(401)
    expect((await withKey(second.json.token).call('GET', '/api/v1/me')).status).toBe(401)
    expect((await refresh(second.json.refreshToken)).status).toBe(401)
  })

  test('ends with logout, within the next call', async () => {
    const login = await api.anonymous.ok('POST', '/auth/authenticate', { username: 'bob', password })
    const caller = withKey(login.token)
    expect((await caller.call('GET', '/api/v1/me')).status).toBe(200)
    expect((await caller.call('POST', '/api/v1/auth/logout')).status).toBe(204)
    expect((await caller.call('GET', '/api/v1/me')).status).toBe(401)
    const again = { refreshToken: login.refreshToken }
    expect((await api.anonymous.call('POST', '/api/v1/auth/refresh', again)).status).toBe(401)
  })

  test('needs the old password for a new one, which ends all logins; a key cannot do it', async () => {
    const dave = await api.user('dave')
    const { key } = await dave.ok('POST', '/api/v1/keys', { name: 'k' })
    const change = { currentPassword: password, newPassword: 'another long one' }
    expect((await withKey(key).call('POST', '/api/v1/me/password', change)).status).toBe(403)
    const wrong = { ...change, currentPassword: 'not this one' }
    expect(fieldsOf(await dave.call('POST', '/api/v1/me/password', wrong))).toEqual(['/currentPassword'])
    expect((await dave.call('POST', '/api/v1/me/password', change)).status).toBe(204)
    expect((await dave.call('GET', '/api/v1/me')).status).toBe(401)
    await new ApiCaller(api.url).login('dave', change.newPassword)
  })
})

describe('users', () => {
  const shape = {
    id: expect.stringMatching(/^usr_/),
    username: 'erin',
    email: 'erin@example.com',
    roles: ['operator'],
    groups: [],
    accountId: expect.stringMatching(/^acc_/),
    disabled: false,
    createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    updatedAt: expect.stringMatching(/Z$/),
  }

  test('are made, shown, changed and ended by an administrator', async () => {
    const made = await admin.call('POST', '/api/v1/users', {
      username: 'erin',
      password,
      email: 'erin@example.com',
      roles: ['operator'],
    })
    expect(made.status).toBe(201)
    expect(made.json).toEqual(shape)
    const path = `/api/v1/users/${made.json.id}`
    expect(made.headers.get('location')).toBe(path)
    expect(await admin.ok('GET', path)).toEqual(made.json)
    const erin = await new ApiCaller(api.url).login('erin', password)
    expect(await admin.ok('PATCH', path, { email: null, roles: ['auditor'] })).toMatchObject({
      roles: ['auditor'],
    })
    expect(await erin.ok('GET', '/api/v1/me')).toEqual({
      userId: made.json.id,
      username: 'erin',
      roles: ['auditor'],
      accountId: made.json.accountId,
    })
    await admin.ok('PATCH', path, { disabled: true })
    expect((await erin.call('GET', '/api/v1/me')).status).toBe(401)
    expect((await admin.call('DELETE', path)).status).toBe(204)
    expect((await admin.call('GET', path)).status).toBe(404)
  })

  test('come in pages, each user once', async () => {
    const seen: string[] = []
    for (let cursor: string | null = ''; cursor !== null;) {
      const page = await admin.ok('GET', `/api/v1/users?limit=2${cursor && `&cursor=${cursor}`}`)
      expect(page.items.length).toBeLessThanOrEqual(2)
      seen.push(...page.items.map(({ id }: { id: string }) => id))
      cursor = page.nextCursor
    }
    const all = await api.users.list({ limit: 100 })
    expect(seen).toEqual(all.map(({ id }) => id))
    expect(new Set(seen).size).toBe(seen.length)
  })

  test('have no field beyond the documented ones', async () => {
    for (const field of ['id', 'accountId', 'createdAt', 'balance', 'tenantId']) {
      const body = { username: 'mallory', password, [field]: 'x' }
      const answer = await admin.call('POST', '/api/v1/users', body)
      expect([answer.status, fieldsOf(answer)]).toEqual([400, [`/${field}`]])
      const patch = await admin.call('PATCH', `/api/v1/users/${alice.userId}`, { [field]: 'x' })
      expect([patch.status, fieldsOf(patch)]).toEqual([400, [`/${field}`]])
    }
  })

  test('always keep an administrator who can log in', async () => {
    const path = `/api/v1/users/${admin.userId}`
    for (const [method, body] of [
      ['DELETE', undefined],
      ['PATCH', { roles: ['member'] }],
      ['PATCH', { disabled: true }],
    ] as const) {
      expect((await admin.call(method, path, body)).status).toBe(422)
      await admin.login('root', password)
      expect(await admin.ok('GET', path)).toMatchObject({ roles: ['admin'], disabled: false })
    }
  })

  test.each(['x', 'usr_', 'key_00000000000000000000000000', '%00', `usr_${'0'.repeat(25)}%00`])(
    'do not exist under an id that is none: %s',
    async (id) => {
      const none = await admin.call('GET', `/api/v1/users/${newId('usr')}`)
      expect(none.status).toBe(404)
      expect(refusalOf(await admin.call('GET', `/api/v1/users/${id}`))).toEqual(refusalOf(none))
    },
  )

  test('are listed from no forged cursor', async () => {
    for (const position of [['x'], ['usr_\0'], [1], [null]]) {
      const cursor = Buffer.from(JSON.stringify(position)).toString('base64url')
      const answer = await admin.call('GET', `/api/v1/users?cursor=${cursor}`)
      expect([answer.status, fieldsOf(answer)]).toEqual([400, ['cursor']])
    }
  })
})

describe('keys', () => {
  test('are shown once, when they are made and when they are rotated', async () => {
    const body = { name: 'laptop', servers: ['weather'], expiresAt: '2027-01-01T00:00:00Z' }
    const made = await alice.call('POST', '/api/v1/keys', body)
    expect(made.status).toBe(201)
    expect(made.json).toEqual({
      id: expect.stringMatching(/^key_/),
      userId: alice.userId,
      key: expect.stringMatching(/^tb_/),
      prefix: expect.any(String),
      name: 'laptop',
      servers: ['weather'],
      expiresAt: '2027-01-01T00:00:00.000Z',
      createdAt: expect.any(String),
    })
    const { key, ...shown } = made.json
    expect(key.startsWith(shown.prefix)).toBe(true)
    expect((await withKey(key).call('GET', '/api/v1/me')).status).toBe(200)
    const rotated = await alice.ok('POST', `/api/v1/keys/${shown.id}/rotate`)
    expect(rotated).toMatchObject({ id: shown.id, prefix: shown.prefix })
    expect(rotated.key).not.toBe(key)
    expect((await withKey(key).call('GET', '/api/v1/me')).status).toBe(401)
    const list = await alice.call('GET', '/api/v1/keys')
    expect(list.json.items).toEqual([
      { ...shown, ...(list.json.items[0].lastUsedAt && { lastUsedAt: expect.any(String) }) },
    ])
    for (const secret of [key, rotated.key]) expect(list.text).not.toContain(secret)
  })

  test('stop working within the next call after they are revoked', async () => {
    const { id, key } = await alice.ok('POST', '/api/v1/keys', { name: 'brief' })
    const caller = withKey(key)
    expect((await caller.call('GET', '/api/v1/me')).status).toBe(200)
    expect((await alice.call('DELETE', `/api/v1/keys/${id}`)).status).toBe(204)
    expect((await caller.call('GET', '/api/v1/me')).status).toBe(401)
  })

  test('rotated with an overlap work side by side until it ends', async () => {
    const { id, key } = await alice.ok('POST', '/api/v1/keys', { name: 'overlapping' })
    await alice.ok('POST', `/api/v1/keys/${id}/rotate`, { overlapSeconds: 60 })
    expect((await withKey(key).call('GET', '/api/v1/me')).status).toBe(200)
    api.clock.advance(60_000)
    expect((await withKey(key).call('GET', '/api/v1/me')).status).toBe(401)
  })

  test('cannot manage keys or users, whoever owns them', async () => {
    const { id, key } = await admin.ok('POST', '/api/v1/keys', { name: 'strong' })
    const caller = withKey(key)
    for (const [method, path, body] of [
      ['POST', '/api/v1/keys', { name: 'child' }],
      ['GET', '/api/v1/keys', undefined],
      ['DELETE', `/api/v1/keys/${id}`, undefined],
      ['POST', `/api/v1/keys/${id}/rotate`, {}],
      ['POST', '/api/v1/users', { username: 'child', password }],
      ['PATCH', `/api/v1/users/${alice.userId}`, { roles: ['admin'] }],
      ['DELETE', `/api/v1/users/${alice.userId}`, undefined],
    ] as const) {
      const answer = await caller.call(method, path, body)
      expect([method, path, answer.status]).toEqual([method, path, 403])
    }
  })

  test("of others are not there: answered as an id that never was, and none of a member's lists", async () => {
    const { id } = await alice.ok('POST', '/api/v1/keys', { name: 'hers' })
    for (const [method, suffix] of [
      ['DELETE', ''],
      ['POST', '/rotate'],
    ] as const) {
      const foreign = await bob.call(method, `/api/v1/keys/${id}${suffix}`)
      const none = await bob.call(method, `/api/v1/keys/${newId('key')}${suffix}`)
      expect(foreign.status).toBe(404)
      expect(refusalOf(foreign)).toEqual(refusalOf(none))
    }
    expect(await bob.all('/api/v1/keys')).toEqual([])
    for (const user of [alice.userId, '*'])
      expect((await bob.call('GET', `/api/v1/keys?user=${user}`)).status).toBe(403)
    expect(await alice.all('/api/v1/keys')).toContainEqual(expect.objectContaining({ id }))
  })

  test('of everybody are listed and revoked by administrators, but never rotated into their hands', async () => {
    const { id } = await bob.ok('POST', '/api/v1/keys', { name: 'his' })
    const ids = async (query: string) => (await admin.all(`/api/v1/keys${query}`)).map((key) => key.id)
    expect(await ids('')).not.toContain(id)
    expect(await ids(`?user=${bob.userId}`)).toEqual([id])
    expect(await ids('?user=*')).toContain(id)
    expect((await admin.call('POST', `/api/v1/keys/${id}/rotate`)).status).toBe(404)
    expect((await admin.call('DELETE', `/api/v1/keys/${id}`)).status).toBe(204)
    expect(await bob.all('/api/v1/keys')).toEqual([])
  })

  test('come in pages', async () => {
    const frank = await api.user('frank')
    for (const name of ['a', 'b', 'c', 'd', 'e']) {
      await frank.ok('POST', '/api/v1/keys', { name })
      api.clock.advance(1)
    }
    const names: string[] = []
    for (let cursor: string | null = ''; cursor !== null;) {
      const page = await frank.ok('GET', `/api/v1/keys?limit=2${cursor && `&cursor=${cursor}`}`)
      names.push(...page.items.map(({ name }: { name: string }) => name))
      cursor = page.nextCursor
    }
    expect(names).toEqual(['a', 'b', 'c', 'd', 'e'])
  })

  test('have no field beyond the documented ones', async () => {
    const answer = await alice.call('POST', '/api/v1/keys', { name: 'x', roles: ['admin'], userId: 'usr_1' })
    expect([answer.status, fieldsOf(answer).toSorted()]).toEqual([400, ['/roles', '/userId']])
  })
})

describe('well-known documents', () => {
  test('publish the key that signs our tokens, and nothing private of it', async () => {
    const { keys } = await api.anonymous.ok('GET', '/.well-known/jwks.json')
    expect(keys).toHaveLength(1)
    expect(Object.keys(keys[0]).toSorted()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x'])
    const header = JSON.parse(Buffer.from(alice.credential?.split('.')[0] ?? '', 'base64url').toString())
    expect(header.kid).toBe(keys[0].kid)
  })

  test('describe an endpoint the same whether its server exists or not', async () => {
    await admin.ok('POST', '/api/v1/servers', {
      name: 'hidden',
      transport: { type: 'streamable-http', url: 'http://127.0.0.1:1/mcp' },
    })
    const base = '/.well-known/oauth-protected-resource/mcp'
    for (const name of ['hidden', 'absent']) {
      const answer = await api.anonymous.call('GET', `${base}/${name}`)
      expect(answer.status).toBe(200)
      expect(answer.json).toEqual({
        resource: `${publicUrl}/mcp/${name}`,
        authorization_servers: [publicUrl],
        scopes_supported: ['mcp:read', 'mcp:call'],
        bearer_methods_supported: ['header'],
        resource_name: 'Tollbridge',
      })
    }
    expect((await api.anonymous.ok('GET', base)).resource).toBe(`${publicUrl}/mcp`)
    for (const name of ['UPPER', '-x', 'a_b', '%00', 'a%2fb', 'x'.repeat(65)])
      expect((await api.anonymous.call('GET', `${base}/${name}`)).status).toBe(404)
  })
})
