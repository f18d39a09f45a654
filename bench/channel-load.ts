// A cheap load generator over HTTP+SSE or WebSocket: one call in flight a connection, every answer checked in full.
import { setTimeout as sleep } from 'node:timers/promises'
import { Latencies } from './latencies.ts'
import type { LoadResult } from './load.ts'
import { callOf, isRight } from './messages.ts'
import type { Era } from './messages.ts'
import { greet, openChannel, Poster } from './raw-channel.ts'
import type { ChannelKind, ChannelTarget, RawChannel } from './raw-channel.ts'

/** What to drive, as JSON in the first argument. */
export interface ChannelLoadSpec {
  readonly kind: ChannelKind
  readonly target: ChannelTarget
  readonly era: Era
  readonly connections: number
  readonly warmUpMs: number
  readonly durationMs: number
}

class Load {
  readonly latencies = new Latencies()
  answered = 0
  errors = 0
  measuring = false
  #going = true
  readonly #era: Era

  constructor(era: Era) {
    this.#era = era
  }

  stop(): void {
    this.#going = false
    this.measuring = false
  }

  /** Calls over the channel, one after the other; resolves after the last answer. */
  drive(channel: RawChannel): Promise<void> {
    return new Promise((resolve) => {
      let id = 0
      let sentMs = 0
      /** The answer and, over HTTP+SSE, the 202 are both there before the next call. */
      let pending = 0
      const part = () => {
        if (--pending > 0) return
        if (this.#going) call()
        else resolve()
      }
      const call = () => {
        pending = 2
        id++
        sentMs = performance.now()
        channel.send(callOf(id, this.#era), part)
      }
      channel.onMessage = (text) => {
        const ms = performance.now() - sentMs
        if (!isRight(text, id)) this.errors++
        else if (this.measuring) {
          this.answered++
          this.latencies.add(ms)
        }
        part()
      }
      channel.onClose = () => {
        this.errors++
        resolve()
      }
      call()
    })
  }
}

async function run(spec: ChannelLoadSpec): Promise<LoadResult> {
  const load = new Load(spec.era)
  const open = async () => {
    const poster = new Poster(spec.target, () => load.errors++)
    const channel = await openChannel(spec.kind, spec.target, poster)
    if (spec.era === 'legacy') await greet(channel)
    return channel
  }
  const channels = await Promise.all(Array.from({ length: spec.connections }, open))
  const driven = channels.map((channel) => load.drive(channel))
  await sleep(spec.warmUpMs)
  // Whoever started this reads the clocks of the other processes now and at the result.
  console.log('go')
  const startedMs = performance.now()
  load.measuring = true
  await sleep(spec.durationMs)
  const durationMs = performance.now() - startedMs
  load.stop()
  const { answered } = load
  console.log('over')
  // Answers that never come must not keep the run open.
  await Promise.race([Promise.all(driven), sleep(5000).then(() => load.errors++)])
  return { answered, durationMs, ...load.latencies.summary, errors: load.errors }
}

if (import.meta.main) {
  const result = await run(JSON.parse(process.argv[2] ?? '') as ChannelLoadSpec)
  console.log(`result ${JSON.stringify(result)}`)
  process.exit(0)
}
