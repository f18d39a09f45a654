// Bodies without end, and callers who would set their own price.
import { readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answer } from '../upstreams/replies.ts'
import { dial, eras, jsonHeaders, modernHeaders, startBench, toolCall, type Bench } from './bench.ts'
import { until } from '../harness/until.ts'

const maxBody = 4 * 1024 * 1024
const maxGrowth = 32 * 1024 * 1024

let bench: Bench
beforeAll(async () => {
  bench = await startBench()
  await bench.gateway.admin.ok('POST', '/api/v1/billing/rules', {
    name: 'calls',
    currency: 'USD',
    match: { server: 'stub', method: 'tools/call' },
    price: { perCall: '1' },
  })
})
afterAll(() => bench.stop())

const memory = (name: 'VmRSS' | 'VmHWM'): number =>
  Number(
    new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(
      readFileSync(`/proc/${bench.gateway.process.pid}/status`, 'utf8'),
    )?.[1],
  ) * 1024

/** How far memory rose above where it stood while `work` ran. */
async function growth(work: () => Promise<unknown>): Promise<number> {
  writeFileSync(`/proc/${bench.gateway.process.pid}/clear_refs`, '5')
  const before = memory('VmRSS')
  await work()
  return memory('VmHWM') - before
}

/** Writes chunks until the other side answers and closes, or `total` bytes are written. */
async function pour(
  lead: string,
  { total, chunked }: { total: number; chunked: boolean },
): Promise<{ text: string; sent: number }> {
  const wire = await dial(bench.gateway.url)
  const data = Buffer.alloc(1 << 18, 0x20)
  const frame = chunked
    ? Buffer.concat([Buffer.from(`${data.length.toString(16)}\r\n`), data, Buffer.from('\r\n')])
    : data
  wire.socket.write(lead)
  let sent = 0
  while (sent < total && !wire.isClosed() && wire.received() === '') {
    sent += data.length
    if (!wire.socket.write(frame))
      await Promise.race([
        new Promise((resolve) => wire.socket.once('drain', resolve)),
        new Promise((resolve) => wire.socket.once('close', resolve)),
      ])
  }
  await until(() => wire.received().includes('\r\n\r\n') || wire.isClosed(), 'an answer', 20_000)
  const text = wire.received()
  wire.socket.destroy()
  return { text, sent }
}

const lead = (path: string, credential: string | undefined, headers: Record<string, string>): string => {
  const own = credential === undefined ? {} : { authorization: `Bearer ${credential}` }
  const all = { host: new URL(bench.gateway.url).host, ...jsonHeaders, ...own, ...headers }
  return `POST ${path} HTTP/1.1\r\n${Object.entries(all)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}\r\n`
}

describe.each(['/mcp/stub', '/api/v1/keys'])('a body to %s', (path) => {
  test('one byte over the limit is refused before it is sent, where its length is announced', async () => {
    const hits = await bench.hitsDuring(async () => {
      const wire = await dial(bench.gateway.url)
      wire.socket.write(lead(path, bench.a.credential, { 'content-length': String(maxBody + 1) }))
      await until(() => wire.isClosed(), 'the connection is closed')
      expect(wire.received()).toMatch(/^HTTP\/1\.1 413 /)
    })
    expect(hits).toEqual([])
  })

  test('one byte over the limit is refused where its length is not announced', async () => {
    const body = Buffer.alloc(maxBody + 1, 0x20)
    const chunk = Buffer.concat([
      Buffer.from(`${body.length.toString(16)}\r\n`),
      body,
      Buffer.from('\r\n0\r\n\r\n'),
    ])
    const wire = await dial(bench.gateway.url)
    wire.socket.write(lead(path, bench.a.credential, { 'transfer-encoding': 'chunked' }))
    wire.socket.write(chunk)
    await until(() => wire.received().includes('\r\n\r\n'), 'an answer')
    expect(wire.received()).toMatch(/^HTTP\/1\.1 413 /)
    wire.socket.destroy()
  })

  test('of a gigabyte is cut off early, and memory stays flat', async () => {
    const headers = {
      'transfer-encoding': 'chunked',
      ...(path === '/mcp/stub' && modernHeaders('tools/call', 'work')),
    }
    const grown = await growth(async () => {
      const { text, sent } = await pour(lead(path, bench.a.credential, headers), {
        total: 1 << 30,
        chunked: true,
      })
      expect(text).toMatch(/^HTTP\/1\.1 413 /)
      // What the kernels on both sides hold has been written too.
      expect(sent).toBeLessThan(32 * 1024 * 1024)
    })
    expect(grown).toBeLessThan(maxGrowth)
  })

  test('from a client that sends all of it before it reads is refused with a whole answer, every time', async () => {
    const body = Buffer.alloc(maxBody + 2 * 1024 * 1024, 0x20)
    const whole = Buffer.concat([
      Buffer.from(`${body.length.toString(16)}\r\n`),
      body,
      Buffer.from('\r\n0\r\n\r\n'),
    ])
    for (const [credential, status] of [
      [bench.a.credential, '413'],
      [undefined, '401'],
    ])
      for (let round = 0; round < 25; round++) {
        const wire = await dial(bench.gateway.url)
        wire.socket.pause()
        wire.socket.write(lead(path, credential, { 'transfer-encoding': 'chunked' }))
        const failed = await new Promise((resolve) => wire.socket.write(whole, resolve))
        wire.socket.resume()
        await until(() => wire.isClosed(), 'the connection is closed')
        const text = wire.received()
        const length = Number(/content-length: (\d+)/i.exec(text)?.[1])
        expect([round, failed ?? undefined, text.slice(9, 12), text.split('\r\n\r\n')[1]?.length]).toEqual([
          round,
          undefined,
          status,
          length,
        ])
      }
  })

  test('of a gigabyte without a credential is not read into memory at all', async () => {
    const grown = await growth(async () => {
      const { text } = await pour(lead(path, undefined, { 'transfer-encoding': 'chunked' }), {
        total: 1 << 30,
        chunked: true,
      })
      expect(text).toMatch(/^HTTP\/1\.1 401 /)
    })
    expect(grown).toBeLessThan(maxGrowth)
  })
})

test('a body of exactly the limit is taken', async () => {
  const frame = JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: { name: 'work', arguments: { text: '' } },
  })
  const client = bench.client(bench.b)
  await client.open()
  const padded = frame.replace('"text":""', `"text":"${'x'.repeat(maxBody - frame.length)}"`)
  expect(padded.length).toBe(maxBody)
  expect((await client.post(padded, client.legacyHeaders())).status).toBe(200)
  expect((await client.post(`${padded} `, client.legacyHeaders())).status).toBe(413)
})

describe('a caller who tells the gateway what was used', () => {
  interface Totals {
    readonly spent: string
    readonly records: number
  }
  const totals = async (): Promise<Totals> => {
    const { spent } = await bench.a.ok('GET', `/api/v1/billing/accounts/${bench.a.accountId}`)
    return { spent, records: (await bench.a.all('/api/v1/billing/usage?method=tools/call')).length }
  }

  test.each(eras)('pays the rule all the same in the %s era', async (era) => {
    const client = bench.client(bench.a)
    const lies = [
      -1,
      '-1',
      'NaN',
      'Infinity',
      '9223372036854775808',
      '-0.000000001',
      0,
      null,
      { amount: '-5' },
    ]
    const before = await totals()
    for (const lie of lies) {
      const meta = {
        usage: { calls: lie, tokens: lie },
        cost: lie,
        time: '2020-01-01T00:00:00Z',
        'tollbridge/usage': lie,
        'tollbridge/cost': { amount: lie, currency: 'USD' },
        'tollbridge/price': { perCall: lie },
        'tollbridge/account': bench.b.accountId,
        'tollbridge/call-id': 'use_00000000000000000000000001',
        'tollbridge/time': '2020-01-01T00:00:00Z',
      }
      const headers = {
        'tollbridge-cost': JSON.stringify(lie),
        'tollbridge-call-id': 'use_00000000000000000000000001',
        date: 'Wed, 01 Jan 2020 00:00:00 GMT',
      }
      const { status, headers: answered } = await client.ask(era, toolCall('work', {}, meta), headers)
      expect([status, answered['tollbridge-cost']]).toEqual([200, '1'])
      const record = await bench.a.ok(
        'GET',
        `/api/v1/billing/usage/${String(answered['tollbridge-call-id'])}`,
      )
      expect(record).toMatchObject({ cost: '1', accountId: bench.a.accountId, outcome: 'success' })
      expect(Date.now() - Date.parse(record.time)).toBeLessThan(60_000)
    }
    const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"work","_meta":{"usage":1e309,"calls":-1e309}}}`
    if (era === 'legacy')
      expect((await client.post(body, client.legacyHeaders())).headers['tollbridge-cost']).toBe('1')
    const after = await totals()
    const calls = lies.length + (era === 'legacy' ? 1 : 0)
    expect(after).toEqual({ spent: String(Number(before.spent) + calls), records: before.records + calls })
  })

  test('or a server that does, changes neither the price nor what the caller is told', async () => {
    const lie = { amount: '-5', currency: 'XXX', balance: '1000000' }
    bench.upstream.once(answer({ content: [], _meta: { 'tollbridge/cost': lie, usage: { calls: -1 } } }))
    const { json, headers } = await bench
      .client(bench.a)
      .ask('modern', toolCall('work', {}, { 'tollbridge/report': true }))
    expect(json.result._meta['tollbridge/cost']).toMatchObject({
      amount: '1',
      currency: 'USD',
      callId: headers['tollbridge-call-id'],
    })
    expect(headers['tollbridge-cost']).toBe('1')
  })

  test.each(eras)('under one key again is charged once in the %s era', async (era) => {
    const client = bench.client(bench.a)
    const before = await totals()
    const key = { 'idempotency-key': `once-${era}` }
    const first = await client.ask(era, toolCall('work', { n: 1 }), key)
    const again = await client.ask(era, { id: 'other', ...toolCall('work', { n: 1 }) }, key)
    expect([again.json.id, again.json.result]).toEqual(['other', first.json.result])
    const other = await client.ask(era, toolCall('work', { n: 2 }), key)
    expect([other.status, other.json.error.data.code]).toEqual([409, 'idempotency_conflict'])
    expect(Number((await totals()).spent)).toBe(Number(before.spent) + 1)
  })

  test('cannot put amounts into rules, grants or quotes that are no amounts', async () => {
    const { admin } = bench.gateway
    const before = await bench.gateway.admin.ok('GET', `/api/v1/billing/accounts/${bench.a.accountId}`)
    const wrong = [
      '-1',
      '-0',
      '1e309',
      '1e3',
      'NaN',
      'Infinity',
      '',
      ' 1',
      '1,5',
      '0x10',
      '+1',
      '9223372036854775808',
      '0.0000000000001',
      -1,
      1,
      null,
    ]
    for (const amount of wrong) {
      const bodies: [string, object][] = [
        [`/billing/accounts/${bench.a.accountId}/grants`, { amount }],
        ['/billing/rules', { name: 'wrong', currency: 'USD', match: {}, price: { perCall: amount } }],
        [
          '/billing/quote',
          {
            price: { perCall: '1' },
            usage: {
              calls:
                amount === '9223372036854775808'
                  ? '-9223372036854775808'
                  : amount === '0.0000000000001'
                    ? '1e-13'
                    : amount,
            },
          },
        ],
      ]
      for (const [path, body] of bodies) {
        // A quantity of usage may be written as a plain number's text only; null means that there is none.
        const { status } = await admin.call('POST', `/api/v1${path}`, body)
        expect([path, amount, status]).toEqual([path, amount, 400])
      }
    }
    expect(await bench.gateway.admin.ok('GET', `/api/v1/billing/accounts/${bench.a.accountId}`)).toEqual(
      before,
    )
  })

  test('has no route to write usage, and leaves books that balance', async () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'])
      for (const path of [
        'usage',
        'usage/use_00000000000000000000000001',
        'usage/summary',
        'cost/current',
        `accounts/${bench.a.accountId}/ledger`,
      ])
        expect([
          method,
          path,
          (await bench.gateway.admin.call(method, `/api/v1/billing/${path}`, {})).status,
        ]).toEqual([method, path, 405])
    const verified = await bench.gateway.admin.ok('GET', '/api/v1/billing/verify')
    expect(verified).toMatchObject({ ok: true, differenceCount: 0 })
    expect(verified.checked).toBeGreaterThan(20)
  })
})
