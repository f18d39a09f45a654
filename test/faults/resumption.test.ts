// F14, F15 and A62: a legacy stream that drops goes on where it was, or its client is told that it cannot.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import type { TestGateway } from '../harness/gateway.ts'
import { newKey } from './callers.ts'
import { startCountingHttp, type CountingHttp } from './counting-http.ts'
import { countTo, DroppingClient, type DroppingStream } from './dropping-client.ts'
import {
  cleanUp,
  costOf,
  countFrom,
  expectBalance,
  expectClean,
  furnish,
  nano,
  newFolder,
  onEnd,
  price,
  printedSeed,
  seeded,
  startGateway,
  toolCalls,
} from './rig.ts'
import { until } from '../harness/until.ts'

afterEach(cleanUp)

const streams = countFrom('TOLLBRIDGE_TEST_STREAMS', 50)
const drops = 20
const grant = '100000'
const range = (to: number): number[] => Array.from({ length: to }, (_, index) => index + 1)
const environment = {
  TOLLBRIDGE_STDIO_ALLOW: process.execPath,
  TOLLBRIDGE_RESUMPTION_MAX_EVENTS: '100000',
  TOLLBRIDGE_RESUMPTION_RETRY_MS: '10',
  TOLLBRIDGE_SHUTDOWN_DRAIN_MS: '5000',
}

const kinds = {
  'a child': undefined,
  'an HTTP server without event ids': { ids: false },
  'an HTTP server that keeps events itself': { ids: true },
} as const
type Kind = keyof typeof kinds
/** Whether the gateway keeps the events of calls; a server that does is asked for them again. */
const isKept = (kind: Kind): boolean => kind !== 'an HTTP server that keeps events itself'

interface Stage {
  gateway: TestGateway
  readonly data: string
  readonly key: string
  readonly accountId: string
  readonly upstream: CountingHttp | undefined
  open(): Promise<DroppingClient>
  /** Ends the gateway and starts another on the same folder. */
  restart(signal: NodeJS.Signals): Promise<void>
}

async function setStage(kind: Kind, env: Record<string, string> = {}): Promise<Stage> {
  const http = kinds[kind]
  const upstream = http && (await startCountingHttp(http))
  if (upstream) onEnd(() => upstream.stop())
  const data = newFolder()
  const gateway = await startGateway({ data, env: { ...environment, ...env } })
  const args = [join(import.meta.dirname, 'counting-child.ts')]
  const child = { transport: { type: 'stdio', command: process.execPath, args } }
  const { key, accountId } = await furnish(gateway, upstream?.url ?? '', {
    grant,
    more: upstream ? {} : child,
  })
  const clients: DroppingClient[] = []
  const stage: Stage = {
    gateway,
    data,
    key,
    accountId,
    upstream,
    open: async () => {
      const client = await new DroppingClient(`${stage.gateway.url}/mcp/stub`, key).open()
      clients.push(client)
      return client
    },
    restart: async (signal) => {
      await stage.gateway.stop(signal)
      stage.gateway = await startGateway({ data, env: { ...environment, ...env } })
      for (const client of clients) client.url = `${stage.gateway.url}/mcp/stub`
    },
  }
  return stage
}

/** Reads a stream to its end, with a drop after a random number of messages each time. */
async function readDropping(
  stream: DroppingStream,
  call: object,
  random: (min: number, max: number) => number,
): Promise<void> {
  let dropped = 0
  let stretch = await stream.post(call, { dropAfter: random(1, 12) })
  for (let drop = 1; !stretch.whole; drop++) {
    expect(stream.lastEventId).toBeDefined()
    stretch = await stream.resume(drop < drops ? { dropAfter: random(0, 12) } : {})
    expect(stretch.status).toBe(200)
    dropped = drop
  }
  expect(dropped).toBe(drops)
}

describe.each(Object.keys(kinds) as Kind[])('over %s', (kind) => {
  test(
    `each of ${streams} streams dropped ${drops} times: every event once and in order, every call billed once`,
    async () => {
      const random = seeded(printedSeed(`drops over ${kind}`))
      const stage = await setStage(kind)
      const clients = await Promise.all(Array.from({ length: Math.ceil(streams / 10) }, () => stage.open()))
      const to = 300
      await Promise.all(
        Array.from({ length: streams }, async (_, n) => {
          const stream = clients[n % clients.length]?.stream() as DroppingStream
          await readDropping(stream, countTo(`call-${n}`, to), random)
          const { numbers, answers } = stream.counted
          expect(numbers).toEqual(range(to))
          expect(answers).toMatchObject([
            { id: `call-${n}`, result: { content: [{ text: `counted to ${to}` }] } },
          ])
          expect(new Set(stream.ids).size).toBe(stream.ids.length)
        }),
      )
      const records = await toolCalls(stage.gateway)
      expect(records).toHaveLength(streams)
      expect(costOf(records)).toBe(BigInt(streams) * nano(price))
      await expectClean(stage.gateway)
      await expectBalance(stage.gateway, stage.accountId, grant)
    },
    60_000 + streams * 1000,
  )

  test.each(['SIGKILL', 'SIGTERM'] as const)(
    'across a restart by %s the session goes on, and each stream says all that there is to say, once',
    async (signal) => {
      const random = seeded(printedSeed(`${signal} over ${kind}`))
      const stage = await setStage(kind)
      const clients = await Promise.all([stage.open(), stage.open(), stage.open()])
      const to = 1500
      const open = Array.from({ length: 30 }, (_, n) => ({
        name: `call-${n}`,
        stream: clients[n % clients.length]?.stream() as DroppingStream,
      }))
      const restart = { begun: false }
      await Promise.all(
        open.map(({ name, stream }) => stream.post(countTo(name, to), { dropAfter: random(1, 20) })),
      )
      const before = open.map(async ({ stream }) => {
        while (!restart.begun) await stream.resume({ dropAfter: random(0, 20), dropAfterMs: 200 })
      })
      // A stream of which nothing is on the disk yet cannot go on behind a kill.
      if (isKept(kind))
        await until(() => kept(stage.data).streams >= open.length, 'rows of every stream', 60_000)
      else await sleep(500)
      restart.begun = true
      await Promise.all([stage.restart(signal), ...before])

      const seen = { ...stage.upstream?.seen }
      for (const { name, stream } of open) {
        let stretch = await stream.resume()
        // A stream whose answer had come before says so by its end.
        for (let tries = 0; stream.counted.answers.length === 0 && tries < 20; tries++)
          stretch = await stream.resume()
        expect(stretch.status).toBe(200)
        const { numbers, answers } = stream.counted
        expect(numbers).toEqual(range(numbers.length))
        expect(answers).toHaveLength(1)
        expect(answers[0].id).toBe(name)
        // Only what the gateway itself has to hear to the end is cut short, and only by a kill.
        const isCut = signal === 'SIGKILL' && isKept(kind)
        if (isCut)
          expect(answers[0].error.data).toMatchObject({ code: 'interrupted', callId: expect.any(String) })
        else expect([numbers.length, answers[0].result]).toMatchObject([to, {}])
      }
      const again = clients[0]?.stream()
      await again?.post(countTo('again', 5))
      expect(again?.counted).toMatchObject({ numbers: range(5), answers: [{ id: 'again', result: {} }] })
      expect({ ...stage.upstream?.seen }).toEqual(
        stage.upstream ? { ...seen, calls: (seen.calls ?? 0) + 1, sessions: clients.length, deletes: 0 } : {},
      )
      const records = await toolCalls(stage.gateway)
      expect(new Set(records.map(({ id }) => id)).size).toBe(records.length)
      expect(records).toHaveLength(signal === 'SIGTERM' ? open.length + 1 : 1)
      await expectClean(stage.gateway)
      await expectBalance(stage.gateway, stage.accountId, grant)
    },
    120_000,
  )

  test('an answer that nobody has heard waits for its client, also across a kill, and is billed once', async () => {
    const stage = await setStage(kind)
    const client = await stage.open()
    const stream = client.stream()
    await stream.post(countTo('lost', 50), { dropAfter: 3 })
    await until(async () => (await toolCalls(stage.gateway)).length === 1, 'the record')
    // An answer is on the disk a moment after its record: behind 50 numbers, and with the answer of initialize.
    if (isKept(kind))
      await until(() => kept(stage.data).lasts > 0 && kept(stage.data).rows >= 51, 'the answer')
    await stage.restart('SIGKILL')
    for (let times = 0; times < 3; times++) {
      const from = stream.lastEventId
      await stream.resume()
      expect(stream.counted.numbers).toEqual(range(50))
      expect(stream.counted.answers).toMatchObject([{ id: 'lost', result: {} }])
      if (times === 0) expect(stream.lastEventId).not.toBe(from)
    }
    expect(costOf(await toolCalls(stage.gateway))).toBe(nano(price))
    await expectClean(stage.gateway)
  })
})

describe("the session's own stream", () => {
  const speak = (to: number, everyMs = 1): object => ({
    id: 'say',
    method: 'tools/call',
    params: { name: 'say', arguments: { to, everyMs } },
  })

  test('dropped again and again says everything once and in order, and its client never speaks of a gap', async () => {
    const random = seeded(printedSeed('own stream'))
    const stage = await setStage('a child')
    const client = await stage.open()
    const own = client.stream()
    const first = own.resume({ dropAfter: 5 })
    await until(() => own.lastEventId !== undefined, 'the priming event')
    await client.stream().post(speak(500, 2))
    await first
    while (own.messages.length < 500) {
      const stretch = await own.resume({ dropAfter: random(0, 40), dropAfterMs: 300 })
      expect(stretch.status).toBe(200)
      await sleep(random(0, 20))
    }
    expect(own.counted.numbers).toEqual(range(500))
  })

  test('that nobody reads at the moment of a kill goes on after it, without a repeat', async () => {
    const stage = await setStage('a child')
    const client = await stage.open()
    const own = client.stream()
    const first = own.resume({ dropAfter: 10 })
    await until(() => own.lastEventId !== undefined, 'the priming event')
    await client.stream().post(speak(100))
    await first
    // What was said meanwhile is kept.
    await until(() => kept(stage.data).rows >= 100, 'rows')
    await stage.restart('SIGKILL')
    await own.resume({ dropAfter: 40 })
    expect(own.counted.numbers).toEqual(range(50))
    const last = own.resume({ dropAfter: 50 + 20 })
    await until(() => own.messages.length >= 100, 'the rest')
    await client.stream().post(speak(20))
    await last
    expect(own.counted.numbers).toEqual([...range(100), ...range(20)])
  })

  test('is resumed after a quiet restart, with nothing to say', async () => {
    const stage = await setStage('a child')
    const client = await stage.open()
    const own = client.stream()
    await own.resume({ dropAfterMs: 300 })
    expect(own.lastEventId).toBeDefined()
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      await stage.restart(signal)
      expect((await own.resume({ dropAfterMs: 300 })).status).toBe(200)
    }
    const last = own.resume({ dropAfter: 3 })
    await client.stream().post(speak(3))
    await last
    expect(own.counted.numbers).toEqual(range(3))
  })

  test('that has more to say than is kept tells its client so', async () => {
    const stage = await setStage('a child', { TOLLBRIDGE_RESUMPTION_MAX_EVENTS: '50' })
    const client = await stage.open()
    const own = client.stream()
    const first = own.resume({ dropAfter: 10 })
    await until(() => own.lastEventId !== undefined, 'the priming event')
    await client.stream().post(speak(300))
    await first
    await until(() => kept(stage.data).newest >= 300, 'all that was said')
    expect(gapIn(await own.resume())).toBe('events_gone')
  })
})

/** The code of the refusal. */
function gapIn({ status, text }: { status: number; text: string }): string {
  expect(status).toBe(404)
  const { error } = JSON.parse(text)
  expect(error.message).toContain('send initialize')
  return error.data.code
}

describe('a stream is resumed', () => {
  test('by nobody else and in no other session, and gives no byte of another stream', async () => {
    const stage = await setStage('a child')
    const [client, other] = [await stage.open(), await stage.open()]
    const [stream, beside] = [client.stream(), client.stream()]
    await Promise.all([
      stream.post(countTo('mine', 200), { dropAfter: 5 }),
      beside.post(countTo('beside', 200), { dropAfter: 5 }),
    ])
    const bob = await stage.gateway.member('bob', { grant })
    const thief = new DroppingClient(client.url, await newKey(bob))
    thief.headers['mcp-session-id'] = client.headers['mcp-session-id'] ?? ''
    for (const [stranger, code] of [
      [thief, 'session_not_found'],
      [other, 'events_gone'],
    ] as const) {
      const stolen = stranger.stream()
      stolen.lastEventId = stream.lastEventId
      const { status, text } = await stolen.resume()
      expect([status, JSON.parse(text).error.data.code]).toEqual([404, code])
      expect(stolen.messages).toEqual([])
    }
    await Promise.all([stream.resume(), beside.resume()])
    expect(
      stream.messages.every((message) => JSON.stringify(message).includes('mine') || message.id === 'mine'),
    ).toBe(true)
    expect(stream.counted.numbers).toEqual(range(200))
    expect(beside.counted.numbers).toEqual(range(200))
  })

  test('by the newest of several connections alone', async () => {
    const stage = await setStage('a child')
    const client = await stage.open()
    const stream = client.stream()
    await stream.post(countTo('one', 1000, { everyMs: 2 }), { dropAfter: 3 })
    const copies = Array.from({ length: 5 }, () => {
      const copy = client.stream()
      copy.lastEventId = stream.lastEventId
      return copy
    })
    const ends: Promise<{ whole: boolean }>[] = []
    for (const copy of copies) {
      ends.push(copy.resume())
      await until(() => copy.messages.length > 5, 'its first event')
    }
    expect((await Promise.all(ends)).every(({ whole }) => whole)).toBe(true)
    expect(copies.map((copy) => copy.counted.answers.length)).toEqual([0, 0, 0, 0, 1])
    expect(copies.at(-1)?.counted.numbers).toEqual(range(1000).slice(3))
  })

  test('no more once its session is closed, and nothing of it is left on the disk', async () => {
    const stage = await setStage('a child')
    const client = await stage.open()
    const stream = client.stream()
    await stream.post(countTo('gone', 50), { dropAfter: 3 })
    await until(() => kept(stage.data).rows > 10, 'rows')
    await fetch(client.url, { method: 'DELETE', headers: client.headers })
    expect((await stream.resume()).status).toBe(404)
    await until(() => kept(stage.data).rows === 0, 'no rows')
  })
})

/** What is kept of events in the store of a running gateway: rows, streams, ends of streams, and the highest number. */
function kept(data: string): Record<'rows' | 'streams' | 'lasts' | 'newest', number> {
  const db = new DatabaseSync(join(data, 'tollbridge.db'), { readOnly: true })
  try {
    const row = db
      .prepare(
        `SELECT count(*) AS rows, count(DISTINCT session_id || ' ' || stream) AS streams,
          coalesce(sum(last), 0) AS lasts, coalesce(max(seq), 0) AS newest FROM kept_event`,
      )
      .get()
    const of = (name: string): number => Number(row?.[name])
    return { rows: of('rows'), streams: of('streams'), lasts: of('lasts'), newest: of('newest') }
  } finally {
    db.close()
  }
}

const flood = countFrom('TOLLBRIDGE_TEST_FLOOD', 50_000)
const maxEvents = 500

test(
  `${flood} events to a client that is away: ${maxEvents} are kept, and who comes back too late is told`,
  async () => {
    const stage = await setStage('a child', { TOLLBRIDGE_RESUMPTION_MAX_EVENTS: String(maxEvents) })
    const client = await stage.open()
    const stream = client.stream()
    const largest = { rows: 0, bytes: 0 }
    const memory = (): number =>
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${stage.gateway.process.pid}/status`, 'utf8'))?.[1]) *
      1024
    await stream.post(countTo('warm', flood / 10, { everyMs: 0, size: 200 }), { dropAfter: 3 })
    await until(async () => (await toolCalls(stage.gateway)).length === 1, 'the first record', 60_000)
    const before = memory()
    const away = client.stream()
    await away.post(countTo('away', flood, { everyMs: 0, size: 200 }), { dropAfter: 3 })
    const watch = setInterval(() => {
      largest.rows = Math.max(largest.rows, kept(stage.data).rows)
      largest.bytes = Math.max(largest.bytes, memory())
    }, 50)
    await until(async () => (await toolCalls(stage.gateway)).length === 2, 'the record', 60_000 + flood / 5)
    clearInterval(watch)
    console.log(
      `kept rows at most ${largest.rows}, memory grew by ${Math.round((largest.bytes - before) / 1e6)} MB`,
    )
    expect(gapIn(await away.resume())).toBe('events_gone')
    expect(gapIn(await stream.resume())).toBe('events_gone')
    await until(() => kept(stage.data).rows <= maxEvents, 'rows within the bound')
    expect(largest.rows).toBeLessThan(20 * maxEvents)
    // What is collected late; it does not grow with the number of events.
    expect(largest.bytes - before).toBeLessThan(400e6)
    // The last of it is there for whoever has seen that much.
    const latest = client.stream()
    latest.lastEventId = away.lastEventId?.replace(/\d+$/, String(flood - 10))
    await latest.resume()
    expect(latest.counted.numbers).toEqual(range(flood).slice(-10))
    await expectClean(stage.gateway)
  },
  120_000 + flood,
)
