// A gateway behind a trusted proxy: what the proxy says of a client counts, what the client says of itself does not.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { ApiCaller } from '../harness/gateway.ts'
import { until } from '../harness/until.ts'
import { eras, modernMeta, send, startBench, toolCall, type Bench } from './bench.ts'

let bench: Bench
let url: string
beforeAll(async () => {
  bench = await startBench({ env: { TOLLBRIDGE_HTTP_TRUSTED_PROXIES: 'loopback,192.0.2.0/24' } })
  url = bench.gateway.url
})
afterAll(() => bench.stop())

/** What the proxy adds, right of what came from the client. */
const via = (client: string, written = '127.0.0.1, 198.51.100.1'): Record<string, string> => ({
  'x-forwarded-for': `${written}, ${client}, 192.0.2.5`,
  'x-real-ip': '198.51.100.2',
  forwarded: 'for=198.51.100.3',
})

const usageOf = (callId: string) => bench.gateway.admin.ok('GET', `/api/v1/billing/usage/${callId}`)

describe('a client', () => {
  test.each(eras)('is told apart by what the proxy says, not by what it says of itself, %s', async (era) => {
    const client = bench.client(bench.a)
    if (era === 'legacy') await client.open(via('203.0.113.7'))
    const called = await client.ask(era, toolCall('work'), via('203.0.113.7'))
    expect((await usageOf(String(called.headers['tollbridge-call-id']))).clientIp).toBe('203.0.113.7')
    const refused = await client.post('{}', { 'content-type': 'application/json', ...via('203.0.113.8') })
    expect(refused.status).toBeGreaterThanOrEqual(400)
    const nobody = await send(url, { method: 'POST', path: '/mcp/stub', headers: via('203.0.113.9') })
    expect(nobody.status).toBe(401)
    const event = await until(async () => {
      const items = await bench.gateway.admin.all('/api/v1/audit?action=mcp.connect')
      return items.find(({ ip }) => ip === '203.0.113.9')
    }, 'the refusal in the audit log')
    expect(event.outcome).toBe('refused')
  })

  test('over a WebSocket is who the proxy says, too', async () => {
    const headers = { ...via('2001:db8::7'), authorization: `Bearer ${bench.a.credential}` }
    const socket = new WebSocket(`${url.replace('http', 'ws')}/mcp/stub/ws`, 'mcp', { headers })
    await new Promise((done, fail) => socket.once('open', done).once('error', fail))
    const message = toolCall('work')
    const params = { ...message.params, _meta: modernMeta }
    socket.send(JSON.stringify({ jsonrpc: '2.0', id: 1, ...message, params }))
    await new Promise((done) => socket.once('message', done))
    const items = await until(async () => {
      const found = await bench.a.all('/api/v1/billing/usage?method=tools/call')
      return found[0]?.transport === 'websocket' ? found : undefined
    }, 'the record of the call')
    expect(items[0].clientIp).toBe('2001:db8::7')
    socket.terminate()
  })

  test('is locked out alone, and cannot escape by another address', async () => {
    await bench.gateway.member('victor')
    const right = 'Member-passw0rd-victor'
    const logIn = async (password: string, headers: Record<string, string>) =>
      (
        await new ApiCaller(url).call(
          'POST',
          '/api/v1/auth/authenticate',
          { username: 'victor', password },
          headers,
        )
      ).status
    for (let n = 0; n < 10; n++)
      expect(await logIn(`wrong-${n}`, via('203.0.113.20', `198.51.100.${n}`))).toBe(401)
    expect(await logIn(right, via('203.0.113.20'))).toBe(429)
    expect(await logIn(right, via('203.0.113.20', '203.0.113.21'))).toBe(429)
    expect(await logIn(right, via('203.0.113.21'))).toBe(200)
  })
})

test('a proxy opens no metrics, though the gateway is on loopback', async () => {
  expect((await send(url, { path: '/metrics', headers: via('203.0.113.7') })).status).toBeGreaterThanOrEqual(
    401,
  )
  expect((await send(url, { path: '/metrics' })).status).toBeGreaterThanOrEqual(401)
})
