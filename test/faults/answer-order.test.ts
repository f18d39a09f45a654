// F3: no answer of a billed call leaves before the disk has confirmed its record.
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { streamed } from '../upstreams/replies.ts'
import { eras, isAnswered } from './callers.ts'
import { cleanUp, client, furnish, newFolder, startGateway, startUpstream, turn } from './rig.ts'
import { until } from '../harness/until.ts'
import { isEnded, readTrace, requireStrace, straceTo } from './strace.ts'

afterEach(cleanUp)

const rounds = 12
const parallel = 4

const syncs = new Set(['fdatasync', 'fsync'])
const toFile = new Set(['pwrite64', 'pwritev', 'write'])
const toSocket = new Set(['write', 'writev', 'sendto', 'sendmsg'])

test('every answer follows an fdatasync of the write-ahead log that holds its record', async () => {
  requireStrace()
  const upstream = await startUpstream()
  const file = join(newFolder(), 'trace')
  const gateway = await startGateway({
    wrap: straceTo(file, `trace=${[...syncs, ...toFile, ...toSocket].join()}`),
  })
  const { key } = await furnish(gateway, upstream.url)
  const clients = await Promise.all(eras.map((era) => client(gateway, key, era).open()))
  const answers = new Map<string, string>()
  for (let round = 0; round < rounds; round++) {
    // Some answers are streams; their last event is the answer.
    if (round === rounds / 2) upstream.reply(streamed({ steps: 1, everyMs: 1 }))
    await Promise.all(
      Array.from({ length: parallel }, async (_, n) => {
        const tool = `proof-${round}-${n}-end`
        const answer = await turn(clients, n).call({ tool, arguments: { tool } })
        if (!isAnswered(answer) || answer.callId === undefined) throw new Error(`${tool}: ${answer.text}`)
        answers.set(tool, answer.callId)
      }),
    )
  }
  expect(await gateway.stop()).toEqual({ code: 0, signal: null })

  const { pid = 0 } = gateway.process
  await until(() => isEnded(file, pid), 'the trace is complete')

  const calls = readTrace(file)
  const log = calls.filter(({ text }) => /^\d+<[^>]*tollbridge\.db-wal>/.test(text))
  const confirmed = log.filter(({ name, result }) => syncs.has(name) && result === '0')
  const sent = calls.filter(({ name, text }) => toSocket.has(name) && /^\d+<(TCP|socket)/.test(text))
  for (const [tool, callId] of answers) {
    const written = log.find(({ name, text }) => toFile.has(name) && text.includes(tool))
    if (!written) throw new Error(`the record of ${tool} was never written to the log`)
    const durable = confirmed.find(({ begun }) => begun >= written.ended)
    if (!durable) throw new Error(`nothing made the record of ${tool} durable`)
    // The head of a JSON answer names the record, the head of a stream leaves early; the result is the answer.
    const answered = sent.find(
      ({ text }) =>
        (text.includes(callId) && !text.includes('text/event-stream')) ||
        (text.includes(tool) && text.includes('\\"result\\"')),
    )
    if (!answered) throw new Error(`the answer of ${tool} was not seen`)
    expect(answered.begun, `${tool} was answered before its record was durable`).toBeGreaterThan(
      durable.ended,
    )
  }
}, 60_000)
