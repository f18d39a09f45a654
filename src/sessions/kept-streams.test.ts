// What kept events promise: every one in order and once, within bounds, and a gap is never silent.
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest'
import { ManualClock } from '../base/clock.ts'
import {
  closeStore,
  FakeReply,
  startCalls,
  toolCall,
  type Calls,
  type CallsOptions,
} from '../../test/harness/calls.ts'
import { until } from '../../test/harness/until.ts'
import { KeptEventStore } from './kept-event-store.ts'
import { KeptStreams } from './kept-streams.ts'
import type { KeptStream } from './kept-stream.ts'
import { silentLog } from '../base/log.ts'
import type { Session } from './session.ts'

let calls: Calls
const start = async (options: CallsOptions = {}): Promise<Calls> => (calls = await startCalls(options))
afterEach(() => calls.stop())
afterAll(closeStore)

const callId = 'use_0000000000abc'
const bytesOf = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value))
const say = (stream: KeptStream, from: number, to: number): void => {
  for (let n = from; n <= to; n++) stream.append({ bytes: bytesOf({ n }) })
}
const heard = (reply: FakeReply): number[] =>
  reply.messages.filter((event) => event.includes('"n"')).map((event) => Number(/"n":(\d+)/.exec(event)?.[1]))
const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index)
const idIn = (event: string | undefined): string => /^id: (.*)$/m.exec(event ?? '')?.[1] ?? ''

/** A stream that has said `count` events to a client that then went away. */
async function said(count: number, options: CallsOptions = {}) {
  await start(options)
  const session = await calls.connect()
  const stream = calls.streams.open(session, callId, 1)
  const reply = new FakeReply()
  stream.follow(reply, 0)
  say(stream, 1, count)
  reply.leave()
  return { session, stream, reply }
}

/** The events after an id, or undefined where there is a gap. */
function resume(session: Session, id: string, streams = calls.streams): FakeReply | undefined {
  const point = streams.findPoint(session, id)
  if (!point) return undefined
  const reply = new FakeReply()
  point.stream.follow(reply, point.seq)
  return reply
}

describe('a stream', () => {
  test('that was lost goes on behind the event that its client names, live, and ends with its answer', async () => {
    const { session, stream, reply } = await said(5)
    say(stream, 6, 8)
    expect(heard(reply)).toEqual(range(1, 5))
    const again = resume(session, idIn(reply.messages[2]))
    expect(again && heard(again)).toEqual(range(4, 8))
    say(stream, 9, 9)
    stream.append({ bytes: bytesOf({ n: 10 }), last: true })
    expect(again && heard(again)).toEqual(range(4, 10))
    expect(again?.events).toEqual(['end'])
    const ids = again?.messages.map(idIn) ?? []
    expect(new Set(ids).size).toBe(ids.length)
    expect(heard(resume(session, ids.at(-2) ?? '') as FakeReply)).toEqual([10])
    expect(resume(session, ids.at(-1) ?? '')?.events).toEqual(['end'])
  })

  test('has one reader: the newest; the one before is ended', async () => {
    const { session, stream, reply } = await said(2)
    const [one, two] = [0, 1].map(() => resume(session, idIn(reply.messages[0])) as FakeReply)
    say(stream, 3, 4)
    expect([one?.events, heard(one as FakeReply)]).toEqual([['end'], [2]])
    expect([two?.events, heard(two as FakeReply)]).toEqual([[], [2, 3, 4]])
  })

  test('waits for a slow reader, and forgets nothing of what it has not read', async () => {
    const { session, stream } = await said(3, { kept: { maxEvents: 5 } })
    const slow = new FakeReply()
    slow.slow = true
    stream.follow(slow, 0)
    expect([heard(slow), stream.append({ bytes: bytesOf({ n: 4 }) })]).toEqual([[1], false])
    let resumed = 0
    stream.onDrain(() => resumed++)
    // What gives way to the bound is given to the reader after all: its own buffer is the better one.
    say(stream, 5, 9)
    slow.drain()
    expect([heard(slow), resumed]).toEqual([range(1, 9), 1])
    say(stream, 10, 10)
    expect(heard(slow)).toEqual(range(1, 10))
    expect(resume(session, idIn(slow.messages[2]))).toBeUndefined()
  })

  test('is neither found in another session nor by an id that was made up', async () => {
    const { session, reply } = await said(2)
    const other = await calls.connect('up-2')
    const id = idIn(reply.messages[0])
    expect([calls.streams.isOwnId(session, id), calls.streams.isOwnId(other, id)]).toEqual([true, false])
    expect(resume(other, id)).toBeUndefined()
    for (const wrong of [`${id}x`, id.replace(/-\d+$/, '-'), id.replace('0abc', '0abd'), 'own-1', ''])
      expect(resume(session, wrong), wrong).toBeUndefined()
  })
})

describe('what is kept is bounded', () => {
  test.each([
    ['by count', { maxEvents: 10 }],
    ['by bytes', { maxBytes: 2100 }],
    ['by the bytes of all', { maxTotalBytes: 2100 }],
  ])('%s: the oldest gives way, and who has not read it is told', async (_, kept) => {
    const { session, stream, reply } = await said(10, { kept })
    say(stream, 11, 100)
    const { events, bytes } = calls.streams.counts
    expect(events).toBeLessThanOrEqual(12)
    expect(events).toBeGreaterThan(5)
    expect(bytes).toBeLessThanOrEqual(2100)
    expect(resume(session, idIn(reply.messages[4]))).toBeUndefined()
    const newest = stream.idOf(100 - events)
    expect(heard(resume(session, newest) as FakeReply)).toEqual(range(101 - events, 100))
    expect(resume(session, stream.idOf(99 - events))).toBeUndefined()
  })

  test('by age', async () => {
    const clock = new ManualClock()
    const { session, stream } = await said(5, { clock, kept: { maxAgeMs: 1000 } })
    clock.advance(600)
    say(stream, 6, 8)
    clock.advance(600)
    calls.streams.sweep()
    expect(calls.streams.counts.events).toBe(3)
    expect(resume(session, stream.idOf(4))).toBeUndefined()
    expect(heard(resume(session, stream.idOf(5)) as FakeReply)).toEqual([6, 7, 8])
  })

  test('fairly: a session that says much takes nothing from another', async () => {
    const { stream } = await said(5, { kept: { maxEvents: 10 } })
    const other = await calls.connect('up-2')
    const quiet = calls.streams.open(other, 'use_0000000000abd', 1)
    say(quiet, 1, 3)
    say(stream, 6, 500)
    expect(heard(resume(other, quiet.idOf(0)) as FakeReply)).toEqual([1, 2, 3])
  })

  test('an event that is larger than the bound still reaches the client that is there', async () => {
    const { session, stream } = await said(1, { kept: { maxBytes: 1024 } })
    const reply = resume(session, stream.idOf(1)) as FakeReply
    stream.append({ bytes: bytesOf({ n: 2, padding: 'x'.repeat(5000) }), last: true })
    expect([heard(reply), reply.events]).toEqual([[2], ['end']])
    expect(calls.streams.counts).toMatchObject({ events: 0, bytes: 0 })
    expect(resume(session, stream.idOf(1))).toBeUndefined()
  })

  test('by its session: with it everything ends', async () => {
    const { session, stream, reply } = await said(20)
    await calls.sessions.close(session)
    say(stream, 21, 30)
    expect(calls.streams.counts).toEqual({ events: 0, bytes: 0, sessions: 0 })
    expect(resume(session, idIn(reply.messages[4]))).toBeUndefined()
    await calls.streams.stop()
    expect(await new KeptEventStore(calls.db).listSessions()).toEqual([])
  })
})

describe('in the next process', () => {
  /** What another process finds; the session in it has the same id. */
  async function next(session: Session): Promise<{ streams: KeptStreams; again: Session }> {
    await calls.streams.stop()
    const streams = new KeptStreams({
      store: new KeptEventStore(calls.db),
      clock: { now: () => Date.now() + 5, monotonicMs: () => 0 },
      log: silentLog,
      limits: calls.streams.limits,
    })
    await streams.start()
    const again = Object.assign(Object.create(session) as Session, { restored: true })
    Object.defineProperty(again, 'open', { value: true })
    await streams.load(again)
    return { streams, again }
  }

  test('a finished stream is there as it was', async () => {
    const { session, stream, reply } = await said(3)
    say(stream, 4, 6)
    stream.append({ bytes: bytesOf({ n: 7 }), last: true })
    const { streams, again } = await next(session)
    const resumed = resume(again, idIn(reply.messages[1]), streams)
    expect([resumed && heard(resumed), resumed?.events]).toEqual([range(3, 7), ['end']])
    await streams.stop()
  })

  test('a stream whose call was cut ends with an error under its id, which says that the call may have run', async () => {
    const { session, reply } = await said(3)
    const { streams, again } = await next(session)
    for (let times = 0; times < 2; times++) {
      const resumed = resume(again, idIn(reply.messages[1]), streams)
      expect(resumed && heard(resumed)).toEqual([3])
      const data = /data: (.*)/.exec(resumed?.messages.at(-1) ?? '')?.[1] ?? ''
      expect(JSON.parse(data)).toMatchObject({ id: 1, error: { data: { code: 'interrupted', callId } } })
      expect(data).toContain('may have run')
      expect(resumed?.events).toEqual(['end'])
    }
    await streams.stop()
  })

  test('a gap from before is still one, and an id that was given out is never given again', async () => {
    await start({ kept: { maxEvents: 5 } })
    const session = await calls.connect()
    const own = calls.streams.own(session)
    say(own, 1, 20)
    const { streams, again } = await next(session)
    expect(streams.findPoint(again, own.idOf(3))).toBeUndefined()
    const point = streams.findPoint(again, own.idOf(17))
    expect(point?.stream.size).toBeLessThanOrEqual(5)
    // The former process may have sent more than it had written down.
    expect(streams.findPoint(again, own.idOf(25))).toBeDefined()
    point?.stream.append({ bytes: bytesOf({ n: 21 }) })
    expect(heard(resume(again, own.idOf(25), streams) as FakeReply)).toEqual([21])
    expect(point?.stream.lastSeq).toBeGreaterThan(1e9)
    await streams.stop()
  })

  test('what was lost while nobody listened is lost for good', async () => {
    await start()
    const session = await calls.connect()
    const own = calls.streams.own(session)
    say(own, 1, 2)
    own.lose()
    say(own, 3, 4)
    expect(calls.streams.findPoint(session, own.idOf(2))).toBeUndefined()
    const { streams, again } = await next(session)
    expect(streams.findPoint(again, own.idOf(2))).toBeUndefined()
    expect(heard(resume(again, own.idOf(3), streams) as FakeReply)).toEqual([3, 4])
    await streams.stop()
  })
})

describe('the disk', () => {
  /** Counts the commits of kept events. */
  const countInserts = () => vi.spyOn(KeptEventStore.prototype, 'insert')
  afterEach(() => void vi.restoreAllMocks())

  test('is written in groups, not for each event', async () => {
    const { stream } = await said(1)
    await calls.streams.stop()
    const counted = countInserts()
    for (let n = 2; n <= 101; n++) {
      say(stream, n, n)
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    await calls.streams.stop()
    expect(counted.mock.calls.reduce((rows, [group]) => rows + group.length, 0)).toBe(100)
    expect(counted.mock.calls.length).toBeLessThan(30)
  })

  test('hears nothing of a call that is answered at once, in a body or in a stream', async () => {
    await start()
    const session = await calls.connect()
    const counted = countInserts()
    const ask = (id: number): FakeReply => {
      const reply = new FakeReply()
      const request = { jsonrpc: '2.0', ...toolCall(id) } as Parameters<Calls['resumption']['keep']>[2]
      calls.ask(request, { session }, calls.resumption.keep(reply, session, request))
      return reply
    }
    const replies = [ask(1), ask(2)]
    const [body, stream] = calls.upstream.of('tools/call')
    body?.succeed()
    stream?.head({ contentType: 'event-stream' }).event({ jsonrpc: '2.0', id: 2, result: {} }).end()
    for (const reply of replies) await reply.done()
    await calls.streams.stop()
    expect([counted.mock.calls.length, calls.streams.counts.sessions]).toEqual([0, 0])
    expect(replies.map(({ events }) => events)).toEqual([['final'], ['final']])
  })

  test('that is away loses what is kept, and nothing else', async () => {
    const { session, stream, reply } = await said(1)
    calls.fault.commit = true
    say(stream, 2, 5)
    await calls.streams.stop()
    expect(heard(resume(session, idIn(reply.messages[0])) as FakeReply)).toEqual(range(2, 5))
    calls.fault.commit = false
    await until(() => calls.writer.accepting, 'the store')
  })
})
