// Who calls, told to servers that want to know: signed, short-lived, of the right user in every call, and nothing else.
import { createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose'
import { afterEach, expect, test } from 'vitest'
import { eras, McpClient, newKey } from '../faults/callers.ts'
import {
  cleanUp,
  expectClean,
  furnish,
  printedSeed,
  seeded,
  startGateway,
  startUpstream,
} from '../faults/rig.ts'

afterEach(cleanUp)

async function stage(identity: object = {}, more: object = {}) {
  const upstream = await startUpstream()
  const gateway = await startGateway()
  await furnish(gateway, upstream.url, { more: { identity, ...more } })
  const members = await Promise.all(['ben', 'cat'].map((name) => gateway.member(name, { grant: '100000' })))
  const people = await Promise.all(
    members.map(async (member) => ({
      userId: member.userId,
      accountId: member.accountId,
      key: await newKey(member),
    })),
  )
  const notes = () =>
    upstream.hits.flatMap(({ headers, message }) => {
      const note = headers['tollbridge-identity']
      return typeof note === 'string' ? [{ note, message, headers }] : []
    })
  const keys = createRemoteJWKSet(new URL(`${gateway.url}/.well-known/jwks.json`), {
    cooldownDuration: 0,
  })
  const verify = (note: string, audience = upstream.url) =>
    jwtVerify(note, keys, { issuer: gateway.url, audience, typ: 'tollbridge-identity+jwt', maxTokenAge: 60 })
  return { upstream, gateway, people, notes, verify }
}

test('each call carries the note of its own caller, whatever runs beside it, on every way', async () => {
  const { gateway, people, notes, verify, upstream } = await stage({
    claims: ['username', 'account', 'roles', 'groups'],
  })
  const random = seeded(printedSeed('identity header'))
  const callers = await Promise.all(
    people.flatMap(({ key, userId }) =>
      eras.flatMap((era) =>
        ['/stub', ''].map(async (name) => ({
          userId,
          tool: name === '' ? 'stub__work' : 'work',
          client: await new McpClient(`${gateway.url}/mcp${name}`, key, era).open(),
        })),
      ),
    ),
  )
  const calls = Array.from({ length: 400 }, () => callers[random(0, callers.length - 1)] ?? callers[0])
  await Promise.all(
    calls.map(async (caller) => {
      const answer = await caller?.client.call({ tool: caller.tool, arguments: { of: caller.userId } })
      expect(answer?.message.result.isError).not.toBe(true)
    }),
  )
  const seen = notes().filter(({ message }) => message?.method === 'tools/call')
  expect(seen).toHaveLength(400)
  for (const { note, message } of seen)
    expect(decodeJwt(note).sub).toBe((message?.params?.['arguments'] as { of: string } | undefined)?.of)
  const [first = { note: '', headers: {} }] = seen
  const { payload } = await verify(first.note)
  const person = people.find(({ userId }) => userId === payload.sub)
  expect(payload).toMatchObject({ account: person?.accountId, roles: ['member'], groups: [] })
  expect(['ben', 'cat']).toContain(payload['username'])
  expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(60)
  const heard = JSON.stringify(upstream.hits)
  for (const { key } of people) expect(heard).not.toContain(key)
  // One is signed for each caller and way, not for each call.
  expect(new Set(seen.map(({ note }) => note)).size).toBeLessThan(20)
  await expectClean(gateway)
})

test('it says no more than it is asked to, to whom it is asked to, and follows the rotation of keys', async () => {
  const { gateway, people, upstream, verify } = await stage({ header: 'X-Caller', audience: 'urn:crm' })
  const [{ key, userId } = { key: '', userId: '' }] = people
  const caller = new McpClient(`${gateway.url}/mcp/stub`, key, 'modern')
  const call = async (): Promise<string> => {
    await caller.call({ headers: { 'x-caller': 'forged', 'tollbridge-identity': 'forged' } })
    const headers: Readonly<Record<string, unknown>> = upstream.hits.at(-1)?.headers ?? {}
    expect(headers['tollbridge-identity']).toBeUndefined()
    return String(headers['x-caller'])
  }
  const before = await call()
  const { payload, protectedHeader } = await verify(before, 'urn:crm')
  expect(Object.keys(payload).sort()).toEqual(['aud', 'exp', 'iat', 'iss', 'jti', 'sub'])
  expect(payload.sub).toBe(userId)
  await expect(verify(before)).rejects.toThrow('aud')
  await gateway.admin.ok('POST', '/api/v1/secrets/rotate', {})
  const after = await verify(await call(), 'urn:crm')
  expect(after.protectedHeader.kid).not.toBe(protectedHeader.kid)
  await expect(verify(before, 'urn:crm')).resolves.toBeDefined()
})

test('it is no credential at the gateway itself', async () => {
  const { gateway, people, notes } = await stage()
  await new McpClient(`${gateway.url}/mcp/stub`, people[0]?.key ?? '', 'modern').call()
  const [{ note } = { note: '' }] = notes()
  const headers = { authorization: `Bearer ${note}` }
  expect((await fetch(`${gateway.url}/api/v1/me`, { headers })).status).toBe(401)
  expect((await new McpClient(`${gateway.url}/mcp/stub`, note, 'modern').call()).status).toBe(401)
})

test('a change of roles or groups is told with the next call, also within a conversation that goes on', async () => {
  const { gateway, people, notes } = await stage({ claims: ['groups'] })
  const [{ key, userId } = { key: '', userId: '' }] = people
  const call = async () => {
    await new McpClient(`${gateway.url}/mcp/stub`, key, 'modern').call()
    return decodeJwt(notes().at(-1)?.note ?? '')['groups']
  }
  expect(await call()).toEqual([])
  await gateway.admin.ok('PATCH', `/api/v1/users/${userId}`, { groups: ['Sales EU'] })
  expect(await call()).toEqual(['Sales EU'])
})

test('it is refused where a server could not tell callers apart, and in headers that mean something else', async () => {
  const gateway = await startGateway()
  const register = (more: object) =>
    gateway.admin.call('POST', '/api/v1/servers', {
      name: 'other',
      transport: { type: 'streamable-http', url: 'http://127.0.0.1:9/mcp' },
      ...more,
    })
  const webSocket = { type: 'websocket', url: 'ws://127.0.0.1:9/' }
  for (const [more, field] of [
    [{ identity: {}, transport: webSocket }, '/identity'],
    [{ identity: {}, sharing: 'server' }, '/sharing'],
    [{ identity: { header: 'Authorization' } }, '/identity/header'],
    [{ identity: { header: 'Mcp-Session-Id' } }, '/identity/header'],
    [{ identity: { header: 'X-A\r\nX-B' } }, '/identity/header'],
    [{ identity: { claims: ['password'] } }, '/identity/claims/0'],
  ] as const) {
    const answer = await register(more)
    expect(answer.status).toBe(400)
    expect(answer.json.errors[0].field).toBe(field)
  }
})
