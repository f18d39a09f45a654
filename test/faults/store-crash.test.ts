// F2: killed before, while or after any one write of the store, the gateway opens again and its books are right.
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { addServer, ApiCaller, startTestGateway, type TestGateway } from '../harness/gateway.ts'
import type { Recorder } from '../upstreams/recorder.ts'
import { isAnswered, McpClient, newKey } from './callers.ts'
import {
  cleanUp,
  countFrom,
  expectClean,
  newFolder,
  price,
  printedSeed,
  seeded,
  server,
  startUpstream,
  toolCalls,
} from './rig.ts'

afterEach(cleanUp)

const program = [join(import.meta.dirname, 'launcher.ts')]
const moments = ['before', 'during', 'after'] as const
/** How many of the crash points are tried; 0 tries each write at each of the three moments. */
const samples = countFrom('TOLLBRIDGE_TEST_CRASH_POINTS', 15)

interface Journal {
  /** Record ids of answered calls. */
  readonly answered: string[]
  readonly sent: number
}

/** First start, user, server, rule, grant, calls of both eras, end of a session, stop. Stops where the gateway does. */
async function playScript(
  data: string,
  upstream: Recorder,
  crash?: string,
): Promise<Journal & { log: string }> {
  const answered: string[] = []
  const before = upstream.calls().length
  let gateway: TestGateway | undefined
  try {
    const env = { TOLLBRIDGE_TEST_CRASH: crash ?? 'never:0' }
    gateway = await startTestGateway({ data, env, program })
    await addServer(gateway, server, upstream.url)
    await gateway.admin.ok('POST', '/api/v1/billing/rules', {
      name: 'calls',
      currency: 'USD',
      match: { method: 'tools/call' },
      price: { perCall: price },
    })
    const key = await newKey(await gateway.member('ada', { grant: '1' }))
    const endpoint = `${gateway.url}/mcp/${server}`
    const legacy = await new McpClient(endpoint, key, 'legacy').open()
    const modern = new McpClient(endpoint, key, 'modern')
    for (const caller of [modern, legacy]) {
      for (const options of [{}, { headers: { 'idempotency-key': `key-${caller.era}` } }]) {
        const answer = await caller.call(options)
        if (isAnswered(answer) && answer.callId !== undefined) answered.push(answer.callId)
      }
    }
    const ended = await legacy.close()
    if (crash === undefined) expect([answered.length, ended.status]).toEqual([4, 200])
  } catch (error) {
    if (crash === undefined) throw error
  } finally {
    await gateway?.stop(crash === undefined ? 'SIGTERM' : 'SIGKILL')
  }
  return { answered, sent: upstream.calls().length - before, log: gateway?.log() ?? '' }
}

/** What must hold after any crash, and that the gateway works: another call is answered and billed. */
async function expectRecovered(data: string, upstream: Recorder, { answered, sent }: Journal): Promise<void> {
  const gateway = await startTestGateway({ data })
  try {
    await expectClean(gateway)
    const records = await toolCalls(gateway)
    const ids = new Set(records.map(({ id }) => id))
    expect(
      answered.filter((id) => !ids.has(id)),
      'every answered call has its record',
    ).toEqual([])
    expect(ids.size).toBe(records.length)
    expect(records.length).toBeLessThanOrEqual(sent)
    const { admin } = gateway
    const known = await admin.call('GET', `/api/v1/servers/${server}`)
    if (known.status === 404) await addServer(gateway, server, upstream.url)
    const caller = new McpClient(`${gateway.url}/mcp/${server}`, await newKey(admin), 'modern')
    const answer = await caller.call()
    expect(isAnswered(answer), answer.text).toBe(true)
    await admin.ok('GET', `/api/v1/billing/usage/${answer.callId}`)
    // The names that the script made or did not make are there as a whole or not at all.
    const users = await admin.all('/api/v1/users')
    if (!users.some(({ username }) => username === 'ada')) await gateway.member('ada')
    else await new ApiCaller(gateway.url).login('ada', 'Member-passw0rd-ada')
    await expectClean(gateway)
  } finally {
    await gateway.stop('SIGKILL')
  }
}

test('killed at any write, before, during or after it: it opens again, and answered ⊆ ledger', async () => {
  const upstream = await startUpstream()
  const { log } = await playScript(newFolder(), upstream)
  const writes = Number(/^writes: (\d+)$/m.exec(log)?.[1])
  expect(writes, log).toBeGreaterThan(20)
  const points = Array.from({ length: writes }, (_, n) =>
    moments.map((moment) => `${moment}:${n + 1}`),
  ).flat()
  const random = seeded(printedSeed(`crash at one of ${writes} writes`))
  const chosen = samples === 0 ? points : pickEvenly(points, samples, random)
  for (const crash of chosen) {
    const data = newFolder()
    try {
      await expectRecovered(data, upstream, await playScript(data, upstream, crash))
    } catch (error) {
      throw new Error(`after TOLLBRIDGE_TEST_CRASH=${crash}`, { cause: error })
    }
  }
}, 600_000)

/** One out of each of `count` equal stretches. */
function pickEvenly(
  points: readonly string[],
  count: number,
  random: (min: number, max: number) => number,
): string[] {
  const width = points.length / count
  return Array.from({ length: count }, (_, n) => {
    const [first, last] = [
      Math.floor(n * width),
      Math.max(Math.floor(n * width), Math.ceil((n + 1) * width) - 1),
    ]
    return points[Math.min(random(first, last), points.length - 1)] ?? ''
  })
}
