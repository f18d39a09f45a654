// Bundles over the HTTP API: what each caller sees of one, and that it opens nothing to anybody.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { refusalOf, startApi, type TestApi } from '../harness/api.ts'
import { ApiCaller } from '../harness/gateway.ts'

let api: TestApi
let owner: ApiCaller
let member: ApiCaller
beforeAll(async () => {
  api = await startApi()
  owner = await api.user('owner', 'operator')
  member = await api.user('member')
  const transport = { type: 'streamable-http', url: 'http://127.0.0.1:9/mcp' }
  await owner.ok('POST', '/api/v1/servers', { name: 'open', access: 'authenticated', transport })
  await owner.ok('POST', '/api/v1/servers', { name: 'closed', transport })
})
afterAll(() => api.stop())

const path = '/api/v1/bundles'
const members = [
  { server: 'closed', exclude: ['drop_*'] },
  { server: 'open', include: ['get_*'], rename: { get_a: 'a' } },
]

test('a bundle is shown whole to its owner, and to its users without what is not theirs to see', async () => {
  const made = await owner.call('POST', path, { name: 'shared', access: 'authenticated', members })
  expect(made.status).toBe(201)
  expect(made.headers.get('location')).toBe(`${path}/${made.json.id}`)
  expect(made.json).toMatchObject({ name: 'shared', members, ownerId: owner.userId, revision: 1 })
  expect(await owner.ok('GET', `${path}/shared`)).toEqual(made.json)
  const { id, name, access, createdAt, updatedAt } = made.json
  const outside = { id, name, access, members: [{ server: 'open' }], createdAt, updatedAt }
  expect(await member.ok('GET', `${path}/${id}`)).toEqual(outside)
  expect((await member.ok('GET', path)).items).toEqual([outside])
})

test('what is hidden from a caller cannot be told from what is not there', async () => {
  await owner.ok('POST', path, { name: 'hidden', members })
  for (const [method, body] of [['GET'], ['PATCH', { description: 'x' }], ['DELETE']] as const) {
    const real = refusalOf(await member.call(method, `${path}/hidden`, body))
    const made = refusalOf(await member.call(method, `${path}/nothing`, body))
    expect(JSON.stringify(real).replaceAll('hidden', 'nothing')).toBe(JSON.stringify(made))
    expect(real).toMatchObject({ status: 404 })
  }
  const other = await api.user('other', 'operator')
  const guess = await other.call('POST', path, { name: 'guess', members: [{ server: 'closed' }] })
  expect([guess.status, guess.json.errors]).toEqual([
    400,
    [{ field: '/members/0/server', message: 'there is no such server' }],
  ])
})

test('a bundle is changed and removed by its owner, and its sessions end with it', async () => {
  const { id } = await owner.ok('POST', path, { name: 'brief', members: [{ server: 'open' }] })
  expect(await owner.ok('PATCH', `${path}/brief`, { name: 'renamed', members })).toMatchObject({
    id,
    name: 'renamed',
    members,
    revision: 2,
  })
  expect((await owner.call('GET', `${path}/brief`)).status).toBe(404)
  expect((await owner.call('PATCH', `${path}/renamed`, { name: 'shared' })).status).toBe(409)
  expect((await owner.call('PATCH', `${path}/renamed`, { name: 'open' })).status).toBe(409)
  expect((await owner.call('DELETE', `${path}/renamed`)).status).toBe(204)
  expect((await owner.call('GET', `${path}/${id}`)).status).toBe(404)
  expect((await owner.call('GET', '/api/v1/servers/open')).status).toBe(200)
})

test('nobody makes another account pay for callers without a credential', async () => {
  const { accountId } = await owner.ok('GET', '/api/v1/me')
  const { accountId: theirs } = await member.ok('GET', '/api/v1/me')
  const body = { name: 'free', access: 'public', members: [{ server: 'open' }] }
  expect((await owner.call('POST', path, body)).status).toBe(400)
  expect((await owner.call('POST', path, { ...body, account: theirs })).status).toBe(403)
  const made = await owner.ok('POST', path, { ...body, account: accountId })
  expect(made.account).toBe(accountId)
  expect((await owner.call('PATCH', `${path}/free`, { account: theirs })).status).toBe(403)
  expect((await member.ok('GET', `${path}/free`)).account).toBeUndefined()
})

test('a key that is limited to servers makes no bundle of another name, and reaches none', async () => {
  const { key } = await owner.ok('POST', '/api/v1/keys', { name: 'narrow', servers: ['open'] })
  const narrow = new ApiCaller(api.url, key)
  const answer = await narrow.call('POST', path, { name: 'wider', members: [{ server: 'open' }] })
  expect(answer.status).toBe(403)
  expect((await narrow.call('GET', `${path}/shared`)).status).toBe(404)
  expect((await narrow.ok('GET', path)).items).toEqual([])
})
