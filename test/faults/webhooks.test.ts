// Webhooks: every event arrives at least once with the same id, whatever dies, hangs, refuses or comes late.
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import type { TestGateway } from '../harness/gateway.ts'
import {
  accept,
  answerWith,
  signersOf,
  startReceiver,
  type Received,
  type Receiver,
  type Respond,
} from '../harness/receiver.ts'
import { until } from '../harness/until.ts'
import { answer, delayed } from '../upstreams/replies.ts'
import {
  cleanUp,
  client,
  countFrom,
  furnish,
  metric,
  newFolder,
  onEnd,
  printedSeed,
  seeded,
  startGateway,
  startUpstream,
  toolCalls,
} from './rig.ts'

afterEach(cleanUp)

const path = '/api/v1/billing/webhooks'
const env = { TOLLBRIDGE_WEBHOOKS_RETRY_MS: '20', TOLLBRIDGE_WEBHOOKS_TIMEOUT_MS: '2000' }

async function receiver(respond?: Respond): Promise<Receiver> {
  const started = await startReceiver(respond)
  onEnd(() => started.stop())
  return started
}

const make = (gateway: TestGateway, url: string, more: object = {}) =>
  gateway.admin.ok('POST', path, { url, kinds: ['call.settled'], ...more })

async function stage(options: Parameters<typeof startGateway>[0] = {}) {
  const upstream = await startUpstream()
  const gateway = await startGateway({ ...options, env: { ...env, ...options.env } })
  const { key, accountId } = await furnish(gateway, upstream.url)
  return { upstream, gateway, key, accountId, caller: client(gateway, key, 'modern') }
}

const callIdsOf = (received: readonly Received[]): string[] =>
  received.flatMap(({ json }) => (json?.type === 'call.settled' ? [String(json.data.id)] : []))

test('each call arrives with its record, signed; after a rotation both secrets sign', async () => {
  const { gateway, caller } = await stage()
  const to = await receiver()
  const { id, secret } = await make(gateway, to.url)
  expect(secret).toMatch(/^whsec_/)
  expect((await gateway.admin.ok('GET', `${path}/${id}`)).secret).toBeUndefined()
  const called = await caller.call()
  await until(() => to.received.length > 0, 'the call arrives')
  const [first] = to.received
  if (!first) throw new Error('nothing came')
  const record = await gateway.admin.ok('GET', `/api/v1/billing/usage/${called.callId}`)
  const { price: _price, breakdown: _breakdown, ...plain } = record
  expect(first.json).toEqual({ type: 'call.settled', id: first.id, timestamp: record.time, data: plain })
  expect(first.id).toMatch(/^evt_/)
  expect(signersOf(first, [secret])).toEqual([secret])
  expect(signersOf({ ...first, body: first.body.replace('1', '2') }, [secret])).toEqual([])

  const rotated = await gateway.admin.ok('POST', `${path}/${id}/rotate-secret`, {})
  expect(rotated.secret).not.toBe(secret)
  await caller.call()
  await until(() => to.received.length > 1, 'the next call arrives')
  const second = to.received[1] as Received
  expect(signersOf(second, [secret, rotated.secret])).toEqual([secret, rotated.secret])

  const listed = await gateway.admin.all(`${path}/${id}/deliveries`)
  await until(
    async () => (await gateway.admin.all(`${path}/${id}/deliveries?state=delivered`)).length === 2,
    'it is written down',
  )
  expect(new Set(listed.map((each) => each.id))).toEqual(new Set([first.id, second.id]))
  expect(await metric(gateway, 'tollbridge_webhook_attempts_total{state="delivered"}')).toBe(2)
})

test('a call that ends long after later ones arrives too, and does not hold them up', async () => {
  const { gateway, upstream, caller } = await stage()
  const to = await receiver()
  await make(gateway, to.url)
  upstream.once(delayed(6000, answer()))
  const slow = caller.call()
  await upstream.until(() => upstream.calls().length === 1)
  const quick = [await caller.call(), await caller.call()]
  await sleep(500)
  // Young ids are never passed: the slow call may still be the next to commit.
  expect(to.received).toEqual([])
  await until(() => to.received.length === 2, 'the quick calls arrive while the slow one runs')
  const { callId } = await slow
  await until(() => to.received.length === 3, 'the slow call arrives')
  expect(new Set(callIdsOf(to.received))).toEqual(new Set([callId, ...quick.map((each) => each.callId)]))
})

test('a slow call that a kill cut off neither arrives nor stops what follows', async () => {
  const data = newFolder()
  const before = await stage({ data })
  const to = await receiver()
  await make(before.gateway, to.url)
  before.upstream.once(delayed(60_000, answer()))
  const slow = before.caller.call().catch(() => undefined)
  await before.upstream.until(() => before.upstream.calls().length === 1)
  await before.caller.call()
  await until(() => to.received.length === 1, 'the quick call arrives')
  await before.gateway.stop('SIGKILL')
  await slow
  const gateway = await startGateway({ data, env })
  await client(gateway, before.key, 'modern').call()
  // The first may come twice: that it was taken may not have been written down before the kill.
  const heard = () => new Set(callIdsOf(to.received))
  await until(() => heard().size === 2, 'the next call arrives')
  const records = await toolCalls(gateway)
  expect(heard()).toEqual(new Set(records.map(({ id }) => id)))
})

test('killed again and again: every record arrives at least once, always with the same id', async () => {
  const random = seeded(printedSeed('webhook kills'))
  const data = newFolder()
  const upstream = await startUpstream()
  const to = await receiver((received, response) =>
    random(0, 4) === 0 ? answerWith(503)(received, response) : accept(received, response),
  )
  const batched = await receiver()
  let key = ''
  const rounds = countFrom('TOLLBRIDGE_TEST_KILL_ROUNDS', 4)
  for (let round = 0; round < rounds; round++) {
    const gateway = await startGateway({ data, env })
    if (round === 0) {
      key = (await furnish(gateway, upstream.url)).key
      await make(gateway, to.url)
      await make(gateway, batched.url, { format: 'cloudevents', batch: { maxEvents: 20, maxMs: 100 } })
    }
    const callers = Array.from({ length: 8 }, async () => {
      try {
        const caller = client(gateway, key, 'modern')
        for (;;) await caller.call()
      } catch {
        // The gateway is gone.
      }
    })
    await sleep(random(300, 1500))
    await gateway.stop('SIGKILL')
    await Promise.all(callers)
  }
  const gateway = await startGateway({ data, env })
  const ids = (await toolCalls(gateway)).map((record) => record.id)
  expect(ids.length).toBeGreaterThan(50)
  const arrived = () => new Set(callIdsOf(to.received))
  const inBatches = () =>
    new Set(batched.received.flatMap(({ json }) => json.map((each: { id: string }) => each.id)))
  await until(
    () => arrived().size >= ids.length && inBatches().size >= ids.length,
    'every call arrives',
    60_000,
  )
  expect(arrived()).toEqual(new Set(ids))
  expect(inBatches()).toEqual(new Set(ids))
  const eventIds = new Map<string, Set<string>>()
  for (const { id, json } of to.received)
    eventIds.set(json.data.id, (eventIds.get(json.data.id) ?? new Set()).add(id))
  expect([...eventIds.values()].every((each) => each.size === 1)).toBe(true)
}, 120_000)

describe('a receiver that', () => {
  test('hangs holds up no other', async () => {
    const { gateway, caller } = await stage({ env: { TOLLBRIDGE_WEBHOOKS_TIMEOUT_MS: '60000' } })
    const [hung, well] = [await receiver(() => {}), await receiver()]
    await make(gateway, hung.url)
    await make(gateway, well.url)
    for (let n = 0; n < 10; n++) await caller.call()
    await until(() => well.received.length === 10, 'all arrive at the other')
    expect(hung.received.length).toBeLessThanOrEqual(4)
  })

  test('says 410 is left alone for ever, and says why', async () => {
    const { gateway, caller } = await stage()
    const gone = await receiver(answerWith(410))
    const { id } = await make(gateway, gone.url)
    await caller.call()
    await until(async () => !(await gateway.admin.ok('GET', `${path}/${id}`)).active, 'it is switched off')
    expect((await gateway.admin.ok('GET', `${path}/${id}`)).disabledReason).toContain('410')
    const seen = gone.received.length
    await caller.call()
    await sleep(500)
    expect(gone.received.length).toBe(seen)
    gone.script.respond = accept
    await gateway.admin.ok('PATCH', `${path}/${id}`, { active: true })
    await until(
      () => new Set(callIdsOf(gone.received)).size === 2,
      'it has everything once it is switched on',
    )
    expect((await gateway.admin.ok('GET', `${path}/${id}`)).disabledReason).toBeUndefined()
  })

  test('refuses for too long gets its events by hand', async () => {
    const { gateway, caller } = await stage({ env: { TOLLBRIDGE_WEBHOOKS_GIVE_UP_MS: '300' } })
    const bad = await receiver(answerWith(500, 'broken'))
    const { id } = await make(gateway, bad.url)
    await caller.call()
    const dead = () => gateway.admin.all(`${path}/${id}/deliveries?state=dead`)
    await until(async () => (await dead()).length === 1, 'it is dead')
    const [delivery] = await dead()
    expect(delivery).toMatchObject({ lastStatus: 500, lastError: 'broken', kind: 'call.settled', events: 1 })
    expect(delivery.attempts).toBeGreaterThan(1)
    expect(new Set(bad.received.map((each) => each.id))).toEqual(new Set([delivery.id]))
    bad.script.respond = accept
    expect(await gateway.admin.ok('POST', `${path}/${id}/redeliver`, {})).toEqual({ redelivered: 1 })
    await until(async () => (await dead()).length === 0, 'it arrives')
    expect(bad.received.at(-1)?.id).toBe(delivery.id)
  })

  test('is down for a while gets everything when it is back', async () => {
    const { gateway, caller } = await stage()
    const down = await receiver(answerWith(503))
    await make(gateway, down.url)
    for (let n = 0; n < 20; n++) await caller.call()
    await until(() => down.received.length >= 4, 'it is tried')
    await until(
      async () => (await metric(gateway, 'tollbridge_webhook_pending')) > 0,
      'it shows that some wait',
    )
    down.script.respond = accept
    const from = down.received.length
    await until(() => new Set(callIdsOf(down.received.slice(from))).size === 20, 'all arrive', 20_000)
  })

  test('answers without end is cut off, and has its event', async () => {
    const { gateway, caller } = await stage()
    const endless = await receiver((_received, response) => {
      response.writeHead(200)
      const more = () => {
        if (!response.destroyed && response.write('x'.repeat(16_384))) setImmediate(more)
        else if (!response.destroyed) response.once('drain', more)
      }
      more()
    })
    const { id } = await make(gateway, endless.url)
    await caller.call()
    await until(
      async () => (await gateway.admin.all(`${path}/${id}/deliveries?state=delivered`)).length === 1,
      'it counts as delivered',
    )
    expect(endless.received.length).toBe(1)
  })
})

test('an inner address is refused unless the operator allows it, also by a redirect', async () => {
  const strict = await startGateway({ env: { ...env, TOLLBRIDGE_EGRESS_ALLOW: '' } })
  const to = await receiver()
  for (const url of [to.url, 'http://localhost:9/', 'http://10.0.0.1/', 'http://169.254.169.254/latest'])
    expect(await refusal(strict, url)).toEqual([422, 'egress_denied'])
  for (const url of [
    'ftp://x.example/',
    'https://u:p@x.example/',
    'https://x.example/#f',
    'https://x.example/?a=%zz',
  ])
    expect(await refusal(strict, url)).toEqual([422, 'unprocessable'])
  expect((await make(strict, 'https://hooks.example/in?token=abc')).url).toBe(
    'https://hooks.example/in?token=abc',
  )
  const { gateway, caller } = await stage()
  const from = await receiver(
    (_received, response) => void response.writeHead(307, { location: `${to.url}/elsewhere` }).end(),
  )
  const { id } = await make(gateway, from.url)
  await caller.call()
  await until(() => from.received.length > 1, 'it is tried twice')
  expect(to.received).toEqual([])
  const tested = await gateway.admin.ok('POST', `${path}/${id}/test`)
  expect(tested).toMatchObject({ delivered: false, status: 307 })
})

test('a name is resolved and checked at each attempt', async () => {
  const hosts = join(newFolder(), 'hosts.json')
  const resolver = `--import=${resolve(import.meta.dirname, '../trust/stub-resolver.ts')}`
  const { gateway, caller } = await stage({
    env: { STUB_HOSTS: hosts, NODE_OPTIONS: resolver, TOLLBRIDGE_EGRESS_ALLOW: 'loopback' },
  })
  const to = await receiver()
  const setHosts = (...addresses: string[]) =>
    writeFileSync(hosts, JSON.stringify({ 'hooks.test': addresses }))
  setHosts('10.0.0.1')
  const { id } = await make(gateway, to.url.replace('127.0.0.1', 'hooks.test'))
  await caller.call()
  const listed = () => gateway.admin.all(`${path}/${id}/deliveries`)
  await until(async () => (await listed())[0]?.lastError === 'egress_denied', 'it is refused')
  setHosts('127.0.0.1', '169.254.169.254')
  expect(await gateway.admin.ok('POST', `${path}/${id}/test`)).toMatchObject({ error: 'egress_denied' })
  expect(to.received).toEqual([])
  setHosts('127.0.0.1')
  await until(() => to.received.length === 1, 'it arrives')
  expect(to.received[0]?.headers.host).toContain('hooks.test')
})

async function refusal(gateway: TestGateway, url: string): Promise<unknown[]> {
  const { status, json } = await gateway.admin.call('POST', path, { url, kinds: ['call.settled'] })
  return [status, json.code]
}

test('CloudEvents come in batches with a bearer token, as the export has them', async () => {
  const { gateway, caller } = await stage()
  const to = await receiver()
  const batch = { maxEvents: 10, maxMs: 60_000 }
  await make(gateway, to.url, { format: 'cloudevents', secret: 'token-of-the-meter', batch })
  for (let n = 0; n < 10; n++) await caller.call()
  await until(() => to.received.length > 0, 'the batch arrives')
  const [first] = to.received
  expect(first?.headers).toMatchObject({
    'content-type': 'application/cloudevents-batch+json',
    authorization: 'Bearer token-of-the-meter',
  })
  const exported = await gateway.admin.call(
    'GET',
    '/api/v1/billing/export?format=cloudevents&method=tools%2Fcall',
  )
  const lines = exported.text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown)
  expect(first?.json).toEqual(lines)
})

test('calls become meter events of Stripe: a repeat counts as delivered, a wrong one is given up', async () => {
  const { gateway, caller, accountId } = await stage()
  const seen = new Set<string>()
  let refuseNext = false
  const stripe = await receiver((received, response) => {
    const identifier = new URLSearchParams(received.body).get('identifier') ?? ''
    if (refuseNext) return answerWith(400, '{"error":{"code":"no_meter"}}')(received, response)
    const isNew = !seen.has(identifier)
    seen.add(identifier)
    const already = `{"error":{"message":"An event already exists with identifier ${identifier}."}}`
    // The first answer is lost on the way: the event is there, and nobody knows.
    if (isNew) response.socket?.destroy()
    else answerWith(400, already)(received, response)
  })
  const meter = { eventName: 'mcp_calls', value: 'cost', customers: { [accountId]: 'cus_123' } }
  const { id, secret } = await make(gateway, stripe.url, {
    format: 'stripe-meter',
    secret: 'sk_test_1',
    stripe: meter,
  })
  expect(secret).toBeUndefined()
  const { callId } = await caller.call()
  const listed = (state: string) => gateway.admin.all(`${path}/${id}/deliveries?state=${state}`)
  await until(async () => (await listed('delivered')).length === 1, 'it counts as delivered')
  const record = await gateway.admin.ok('GET', `/api/v1/billing/usage/${callId}`)
  expect(Object.fromEntries(new URLSearchParams(stripe.received[0]?.body))).toEqual({
    event_name: 'mcp_calls',
    identifier: callId,
    timestamp: String(Math.floor(Date.parse(record.time) / 1000)),
    'payload[stripe_customer_id]': 'cus_123',
    'payload[value]': record.cost,
  })
  expect(stripe.received[0]?.headers).toMatchObject({
    authorization: 'Bearer sk_test_1',
    'content-type': 'application/x-www-form-urlencoded',
  })
  refuseNext = true
  const before = stripe.received.length
  await caller.call()
  await until(async () => (await listed('dead')).length === 1, 'it is given up')
  await sleep(300)
  expect(stripe.received.length).toBe(before + 1)
})

test('events of budgets and invoices arrive; what happened while a webhook was off comes when it is on', async () => {
  const { gateway, caller, accountId } = await stage()
  const to = await receiver()
  const kinds = [
    'budget.threshold',
    'budget.exhausted',
    'invoice.created',
    'invoice.finalized',
    'invoice.paid',
  ]
  const { id } = await make(gateway, to.url, { kinds })
  await gateway.admin.ok('POST', '/api/v1/billing/budgets', {
    scope: { account: accountId },
    amount: '0.026',
    window: 'day',
    thresholds: ['0.5'],
  })
  for (let n = 0; n < 3; n++) await caller.call()
  const types = () => to.received.map(({ json }) => json.type)
  // Each may come on its own, in either order.
  for (const kind of ['budget.threshold', 'budget.exhausted'])
    await until(() => types().includes(kind), `${kind} of the budget`)
  const known = await gateway.admin.all('/api/v1/billing/events')
  expect(new Set(to.received.map((each) => each.id))).toEqual(new Set(known.map((each) => each.id)))

  await gateway.admin.ok('PATCH', `${path}/${id}`, { active: false })
  const month = { accountId, month: '2025-01' }
  const invoice = await gateway.admin.ok('POST', '/api/v1/billing/invoices', month)
  const final = await gateway.admin.ok('POST', `/api/v1/billing/invoices/${invoice.id}/finalize`, {})
  await sleep(700)
  expect(types()).not.toContain('invoice.finalized')
  await gateway.admin.ok('PATCH', `${path}/${id}`, { active: true })
  await until(() => types().includes('invoice.finalized'), 'the invoice is told of')
  expect(types()).toContain('invoice.created')
  expect(to.received.find(({ json }) => json.type === 'invoice.finalized')?.json.data).toMatchObject({
    accountId,
    invoiceId: invoice.id,
    number: final.number,
    status: 'finalized',
    currency: 'USD',
  })
})
