// A60: a thousand connections that send a byte now and then wait for nothing but their own end, and nobody waits for them.
import { readdirSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from '../harness/until.ts'
import { dial, eras, jsonHeaders, startBench, toolCall, type Bench, type Era, type Wire } from './bench.ts'

const each = 500
const headMs = 3000
const bodyMs = 4000

let bench: Bench
beforeAll(async () => {
  bench = await startBench({
    env: {
      TOLLBRIDGE_HTTP_HEADERS_TIMEOUT_MS: String(headMs),
      TOLLBRIDGE_HTTP_REQUEST_TIMEOUT_MS: String(bodyMs),
    },
  })
})
afterAll(() => bench.stop())

/** What nine of ten calls take at most, four at a time, in milliseconds: the rest is other work of a shared machine. */
async function slow(era: Era): Promise<number> {
  const times: number[] = []
  const call = async (): Promise<void> => {
    const client = bench.client(bench.a)
    for (let n = 0; n < 75; n++) {
      const from = performance.now()
      const { status } = await client.ask(era, toolCall('work'))
      expect(status).toBe(200)
      times.push(performance.now() - from)
    }
  }
  await Promise.all([call(), call(), call(), call()])
  return times.sort((a, b) => a - b)[Math.floor(times.length * 0.9)] ?? 0
}

const openFiles = (): number => readdirSync(`/proc/${bench.gateway.process.pid}/fd`).length

test.each(eras)(
  'a thousand connections that trickle are cut, and %s callers do not notice them',
  async (era) => {
    await slow(era)
    const before = await slow(era)
    const files = openFiles()
    const path = '/mcp/stub'
    const head = `POST ${path} HTTP/1.1\r\nhost: ${new URL(bench.gateway.url).host}\r\n`
    const known = {
      ...jsonHeaders,
      authorization: `Bearer ${bench.a.credential}`,
      'content-length': '100000',
    }
    const headers = Object.entries(known).map(([name, value]) => `${name}: ${value}\r\n`)
    const wires: { wire: Wire; drop: string }[] = []
    for (let n = 0; n < each; n++) {
      const [one, other] = await Promise.all([dial(bench.gateway.url), dial(bench.gateway.url)])
      one.socket.write(`${head}x-slow: `)
      other.socket.write(`${head}${headers.join('')}\r\n{`)
      wires.push({ wire: one, drop: 'a' }, { wire: other, drop: ' ' })
    }
    const trickle = setInterval(() => {
      for (const { wire, drop } of wires) if (!wire.isClosed()) wire.socket.write(drop)
    }, 250)
    try {
      expect(wires.filter(({ wire }) => !wire.isClosed()).length).toBeGreaterThan(each)
      const during = await slow(era)
      expect(wires.some(({ wire }) => !wire.isClosed())).toBe(true)
      // Who waited for one of them would wait for seconds.
      expect(during).toBeLessThan(2 * before + 100)
      await until(() => wires.every(({ wire }) => wire.isClosed()), 'the end of all', bodyMs + 6000)
    } finally {
      clearInterval(trickle)
    }
    // Each was told why, unless it had gone already.
    const told = wires.filter(({ wire }) => wire.received().startsWith('HTTP/1.1 408 '))
    expect(told.length).toBeGreaterThan(each)
    await until(() => openFiles() <= files + 5, 'its descriptors')
  },
)
