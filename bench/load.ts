// A cheap load generator on bare sockets: one request in flight a connection, every answer checked, one line of JSON out.
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { Latencies } from './latencies.ts'

/** What to send, read from the JSON file named in the first argument. */
export interface LoadSpec {
  readonly host: string
  readonly port: number
  readonly connections: number
  readonly durationMs: number
  /** Whole HTTP requests, head and body, sent in turn. */
  readonly requests: readonly string[]
}

export interface LoadResult {
  /** Answers that were right. */
  readonly answered: number
  readonly durationMs: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Answers that were not 200 or carried no result, and connections that broke. */
  readonly errors: number
}

const endOfHead = Buffer.from('\r\n\r\n')
const endOfChunks = Buffer.from('0\r\n\r\n')
const goodMark = Buffer.from('"result"')
const badMark = Buffer.from('"isError":true')

/** Whether `answer`, read so far from its first byte, is complete. */
function isComplete(answer: Buffer, headEnd: number): boolean {
  const head = answer.toString('latin1', 0, headEnd).toLowerCase()
  const at = head.indexOf('content-length:')
  if (at === -1) return answer.subarray(-endOfChunks.length).equals(endOfChunks)
  return answer.length >= headEnd + endOfHead.length + Number.parseInt(head.slice(at + 15), 10)
}

const isGood = (answer: Buffer, headEnd: number): boolean =>
  answer.toString('latin1', 9, 12) === '200' &&
  answer.indexOf(goodMark, headEnd) !== -1 &&
  answer.subarray(0, headEnd + 2048).indexOf(badMark, headEnd) === -1

async function run(spec: LoadSpec): Promise<LoadResult> {
  const buffers = spec.requests.map((request) => Buffer.from(request))
  const latencies = new Latencies()
  let turn = 0
  let answered = 0
  let errors = 0
  const startedMs = performance.now()
  const endMs = startedMs + spec.durationMs
  const open = new Set<Socket>()
  await new Promise<void>((resolve) => {
    const connectOne = () => {
      const socket = connect(spec.port, spec.host)
      socket.setNoDelay(true)
      open.add(socket)
      let sentMs = 0
      let parts: Buffer | undefined
      const send = () => {
        parts = undefined
        sentMs = performance.now()
        socket.write(buffers[turn++ % buffers.length] ?? '')
      }
      socket.on('connect', send)
      socket.on('data', (chunk) => {
        const answer = parts ? Buffer.concat([parts, chunk]) : chunk
        const headEnd = answer.indexOf(endOfHead)
        if (headEnd === -1 || !isComplete(answer, headEnd)) {
          parts = answer
          return
        }
        const nowMs = performance.now()
        if (isGood(answer, headEnd)) {
          answered++
          latencies.add(nowMs - sentMs)
        } else errors++
        if (nowMs < endMs) send()
        else socket.destroy()
      })
      socket.on('error', () => undefined)
      socket.on('close', () => {
        open.delete(socket)
        if (performance.now() < endMs) {
          errors++
          setTimeout(connectOne, 1)
        } else if (open.size === 0) resolve()
      })
    }
    for (let index = 0; index < spec.connections; index++) connectOne()
    // Answers that never come must not keep the run open.
    setTimeout(() => {
      errors += open.size
      for (const socket of open) socket.destroy()
      resolve()
    }, spec.durationMs + 2000).unref()
  })
  const durationMs = performance.now() - startedMs
  return { answered, durationMs, ...latencies.summary, errors }
}

if (import.meta.main) {
  const spec = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as LoadSpec
  console.log(JSON.stringify(await run(spec)))
  process.exit(0)
}
