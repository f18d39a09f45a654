// Payloads on a real gateway: nothing is kept unasked, what is kept is masked and sealed, and auditors alone read it, on record.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { runCli } from '../../src/commands/program.ts'
import { eras, McpClient, newKey } from '../faults/callers.ts'
import { cleanUp, client, furnish, newFolder, startGateway, startUpstream } from '../faults/rig.ts'
import { recordingIo } from '../harness/cli.ts'
import type { ApiCaller, TestGateway } from '../harness/gateway.ts'
import { until } from '../harness/until.ts'
import { reset, rpcError, toolError } from '../upstreams/replies.ts'

afterEach(cleanUp)

const server = '/api/v1/servers/stub'
const pathOf = (id = ''): string => `/api/v1/billing/usage/${id}/payload`
const secret = 'Sentinel-s3cret-value'
const said = 'Sentinel-said'

/** The payload of a call, once it is written. */
async function payloadOf(auditor: ApiCaller, id: string | undefined) {
  await until(
    async () => (await auditor.call('GET', pathOf(id))).status === 200,
    `there is a payload of ${id}`,
  )
  return auditor.ok('GET', pathOf(id))
}

/** Everything in the data folder, as bytes would show it. */
const onDisk = (data: string): string =>
  readdirSync(data, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
    .join('\n')

async function stage(data = newFolder()) {
  const upstream = await startUpstream()
  const gateway = await startGateway({ data })
  const { key } = await furnish(gateway, upstream.url)
  const auditor = await gateway.member('eve', { roles: ['auditor'] })
  const clients = await Promise.all(eras.map((era) => client(gateway, key, era).open()))
  return { data, upstream, gateway, key, auditor, clients }
}

const keep = (gateway: TestGateway, capture: object | null) => gateway.admin.ok('PATCH', server, { capture })

test('nothing is kept unless the server says so, and nothing from when it says so no more', async () => {
  const { gateway, auditor, clients } = await stage()
  const [legacy, modern] = clients
  const before = await Promise.all(clients.map((each) => each.call({ arguments: { text: said } })))
  await keep(gateway, {})
  const kept = await legacy?.call({ arguments: { text: said } })
  expect(await payloadOf(auditor, kept?.callId)).toMatchObject({ tool: 'work', arguments: { text: said } })
  await keep(gateway, null)
  const after = await modern?.call({ arguments: { text: said } })
  // What comes later is written later.
  await keep(gateway, { days: 1 })
  expect((await payloadOf(auditor, (await modern?.call())?.callId)).cut).toBe(false)
  for (const callId of [...before.map((each) => each.callId), after?.callId]) {
    expect(callId).toMatch(/^use_/)
    const refused = await auditor.call('GET', pathOf(callId))
    expect([refused.status, refused.json.detail]).toEqual([404, expect.stringContaining('Nothing is kept')])
  }
  // A server that was registered without a word of it keeps nothing.
  const plain = await gateway.admin.ok('POST', '/api/v1/servers', {
    name: 'plain',
    transport: { type: 'streamable-http', url: 'http://127.0.0.1:9/mcp' },
  })
  expect(plain).not.toHaveProperty('capture')
})

test('a call is kept as it was asked and answered, in both eras: results, tool errors, errors, and no answer', async () => {
  const { gateway, upstream, auditor, clients } = await stage()
  await keep(gateway, { mask: ['iban'], maskPatterns: ['cust_[0-9]+'], days: 7 })
  const given = { text: said, iban: 'DE1', nested: { password: secret }, note: `cust_77 password=${secret}` }
  for (const caller of clients) {
    const done = await caller.call({ arguments: given })
    const shown = await payloadOf(auditor, done.callId)
    expect(shown).toMatchObject({
      id: done.callId,
      server: 'stub',
      tool: 'work',
      arguments: { text: said, iban: '***', nested: { password: '***' }, note: '*** password=***' },
      result: { content: [{ type: 'text', text: expect.stringContaining(said) }] },
      cut: false,
    })
    expect(JSON.stringify(shown)).not.toContain(secret)
    expect(JSON.stringify(shown)).not.toContain('cust_77')
    const leftMs = Date.parse(shown.expiresAt) - Date.now()
    expect(leftMs).toBeGreaterThan(6.9 * 86_400_000)
    expect(leftMs).toBeLessThan(7.1 * 86_400_000)
    // The caller has what the server said, untouched.
    expect(done.text).toContain(secret)

    upstream.once(toolError('no luck'))
    const failed = await payloadOf(auditor, (await caller.call({ arguments: given })).callId)
    expect(failed.result).toMatchObject({ isError: true, content: [{ text: 'no luck' }] })
    upstream.once(rpcError(-32000, 'broken', { data: { token: secret } }))
    const error = await payloadOf(auditor, (await caller.call({ arguments: given })).callId)
    expect(error).toMatchObject({ error: { code: -32000, message: 'broken', data: { token: '***' } } })
    expect(error).not.toHaveProperty('result')
    upstream.once(reset())
    const none = await payloadOf(auditor, (await caller.call({ arguments: given })).callId)
    expect(none.arguments.text).toBe(said)
    expect(Object.keys(none)).not.toEqual(expect.arrayContaining(['result']))
    expect(Object.keys(none)).not.toEqual(expect.arrayContaining(['error']))
  }
  // What was refused was never asked, and lists are no calls.
  const [caller] = clients
  await gateway.admin.ok('POST', '/api/v1/access-rules', { name: 'no', effect: 'deny', item: 'hidden' })
  const denied = await caller?.call({ tool: 'hidden', arguments: given })
  expect((await auditor.call('GET', pathOf(denied?.callId))).status).toBe(404)
})

test('tools, arguments and results can be left out; sizes are kept to', async () => {
  const { gateway, auditor, clients } = await stage()
  const [caller] = clients
  await keep(gateway, { results: false, maxBytes: 300 })
  const short = await payloadOf(
    auditor,
    (await caller?.call({ arguments: { text: 'x'.repeat(5000) } }))?.callId,
  )
  expect(short).not.toHaveProperty('result')
  expect(short.cut).toBe(true)
  expect(JSON.stringify(short.arguments).length).toBeLessThan(400)
  await keep(gateway, { results: true, arguments: false, tools: ['wo*'] })
  const answered = await payloadOf(auditor, (await caller?.call())?.callId)
  expect(answered).not.toHaveProperty('arguments')
  expect(answered).toHaveProperty('result')
  for (const [body, field] of [
    [{ days: 0 }, '/capture/days'],
    [{ maskPatterns: ['('] }, '/capture/maskPatterns/0'],
    [{ maskPatterns: ['a*'] }, '/capture/maskPatterns/0'],
    [{ maxBytes: 10_000_000 }, '/capture/maxBytes'],
    [{ everything: true }, '/capture/everything'],
  ] as const) {
    const refused = await gateway.admin.call('PATCH', server, { capture: body })
    expect([refused.status, refused.json.errors.map((each: { field: string }) => each.field)]).toEqual([
      400,
      [field],
    ])
  }
})

test('a call through plain /mcp is kept as its server says', async () => {
  const { gateway, key, auditor } = await stage()
  await keep(gateway, { tools: ['work'] })
  const door = await new McpClient(`${gateway.url}/mcp`, key, 'modern').open()
  const done = await door.call({ tool: 'stub__work', arguments: { text: said } })
  expect(await payloadOf(auditor, done.callId)).toMatchObject({ server: 'stub', arguments: { text: said } })
})

test('auditors alone read it, each time on record; who calls may know that it is kept, not how it is masked', async () => {
  const { gateway, auditor, clients } = await stage()
  await keep(gateway, { mask: ['iban'] })
  const [caller] = clients
  const callId = (await caller?.call({ arguments: { text: said } }))?.callId
  await payloadOf(auditor, callId)
  const both = await gateway.member('both', { roles: ['admin', 'operator'] })
  const member = await gateway.member('bob')
  for (const other of [gateway.admin, both, member])
    expect((await other.call('GET', pathOf(callId))).status).toBe(403)
  const records = await gateway.admin.call('GET', `/api/v1/billing/usage/${callId}`)
  expect(records.text).not.toContain(said)
  const seen = await member.ok('GET', server)
  expect(seen.capture).toEqual({ tools: ['*'], arguments: true, results: true, days: 30 })
  expect((await gateway.admin.ok('GET', server)).capture.mask).toEqual(['iban'])

  const events = await gateway.admin.all('/api/v1/audit')
  const reads = events.filter(({ action }) => action === 'usage.payload.read')
  const by = (outcome: string, userId: string) =>
    reads
      .filter((each) => each.outcome === outcome && each.actor.userId === userId)
      .reduce((sum, { count }) => sum + count, 0)
  expect(by('success', auditor.userId)).toBeGreaterThan(0)
  expect(by('refused', member.userId)).toBe(1)
  const done = reads.filter(({ outcome }) => outcome === 'success')
  expect(new Set(done.map(({ resource }) => resource.id))).toEqual(new Set([callId]))
  expect(JSON.stringify(events)).not.toContain(said)

  const io = recordingIo({})
  const access = ['--url', gateway.url, '--key', await newKey(auditor), '--json']
  expect(await runCli(['usage', 'payload', callId ?? '', ...access], io.io)).toBe(0)
  expect(JSON.parse(io.out.join('\n'))).toMatchObject({ arguments: { text: said } })
})

test('it is sealed on the disk, outlives a restart and a new master key, and is deleted when that is asked for', async () => {
  const { data, gateway, auditor, clients } = await stage()
  await keep(gateway, {})
  const [caller] = clients
  const callId = (await caller?.call({ arguments: { text: said } }))?.callId
  await payloadOf(auditor, callId)
  await gateway.admin.ok('POST', '/api/v1/secrets/rotate', {})
  expect((await payloadOf(auditor, callId)).arguments).toEqual({ text: said })
  expect(await gateway.stop()).toMatchObject({ code: 0 })
  expect(onDisk(data)).not.toContain(said)
  const again = await startGateway({ data })
  const eve = await again.member('eve-2', { roles: ['auditor'] })
  expect((await payloadOf(eve, callId)).arguments).toEqual({ text: said })
  expect((await eve.call('DELETE', `${server}/payloads`)).status).toBe(403)
  await again.admin.ok('DELETE', `${server}/payloads`)
  expect((await eve.call('GET', pathOf(callId))).status).toBe(404)
})

test('the command line turns it on, off, and deletes', async () => {
  const { gateway, auditor, clients } = await stage()
  const run = async (line: string) => {
    const io = recordingIo({})
    const access = ['--url', gateway.url, '--key', gateway.admin.credential ?? '']
    const code = await runCli([...line.split(' '), ...access], io.io)
    return { code, out: io.out.join('\n'), talk: io.talk.join('\n') }
  }
  expect(await run('server capture stub --days 3 --mask a*,b --no-results')).toMatchObject({ code: 0 })
  expect((await gateway.admin.ok('GET', server)).capture).toMatchObject({
    days: 3,
    mask: ['a*', 'b'],
    arguments: true,
    results: false,
  })
  const [caller] = clients
  const callId = (await caller?.call())?.callId
  await payloadOf(auditor, callId)
  const off = await run('server capture stub --off --delete --yes')
  expect(off).toMatchObject({ code: 0, talk: expect.stringContaining('Nothing is kept') })
  expect(await gateway.admin.ok('GET', server)).not.toHaveProperty('capture')
  expect((await auditor.call('GET', pathOf(callId))).status).toBe(404)
  expect(await run('server capture stub --days soon')).toMatchObject({ code: 2 })
})
