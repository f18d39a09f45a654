// Keeps the cubes up to date: sums stretches up that are over and have changed, shortest first.
import type { Clock } from '../base/clock.ts'
import type { CubeStore, Mark } from './cube-store.ts'
import { cubes, hourSpan, markedSpans, startOf } from './cubes.ts'
import { rollupMs } from './record.ts'

/** A day of rollups is much to read at once. */
const slices = 16
/** A stretch is over when no call that arrived in it is likely to end any more; one that does marks it again. */
const graceMs = 30_000
/** Of one length, in one run. */
const maxStretches = 100_000

interface RunOptions {
  /**
   * Stretches that were not seen changed by the run before are left for the next: so no query that began while its sums
   * were up to date is still running.
   */
  readonly onlySeen?: boolean
  readonly signal?: AbortSignal
}

/**
 * A batch of records marks its hours; here each marked hour that is over is summed up and marks its day, and so on.
 * Whoever reads sums leaves out what is marked, so nothing is ever counted twice or missed, whatever fails in between.
 */
export class CubeWriter {
  readonly #store: CubeStore
  readonly #clock: Clock
  #seen = new Set<string>()
  #running: Promise<number> | undefined

  constructor(store: CubeStore, clock: Clock) {
    this.#store = store
    this.#clock = clock
  }

  /** Sums up what is due; returns how many stretches were. One at a time. */
  run(options: RunOptions = {}): Promise<number> {
    this.#running ??= this.#run(options).finally(() => (this.#running = undefined))
    return this.#running
  }

  async #run({ onlySeen = false, signal }: RunOptions): Promise<number> {
    let done = 0
    const seen = new Set<string>()
    for (const span of markedSpans) {
      const marks = await this.#store.marks()
      for (const mark of marks) seen.add(nameOf(mark))
      // Nothing shorter inside it may be out of date.
      const open = new Set(
        marks.filter((mark) => mark.span < span).map(({ bucket }) => startOf(bucket, span)),
      )
      const due = marks.filter((mark) => mark.span === span && !open.has(mark.bucket) && this.#isOver(mark))
      for (const mark of due.slice(0, maxStretches)) {
        if (onlySeen && span === hourSpan && !this.#seen.has(nameOf(mark))) continue
        if (signal?.aborted) return done
        await this.#sumUp(mark)
        done++
      }
    }
    this.#seen = seen
    return done
  }

  #isOver({ span, bucket }: Mark): boolean {
    return (bucket + span) * rollupMs + graceMs <= this.#clock.now()
  }

  async #sumUp(mark: Mark): Promise<void> {
    const { span, bucket } = mark
    const shorter = markedSpans[markedSpans.indexOf(span) - 1]
    const around = markedSpans[markedSpans.indexOf(span) + 1]
    const range = { first: bucket, end: bucket + span }
    for (const cube of cubes) {
      if (span === hourSpan && cube.spans.includes(1))
        await this.#store.replace({ cube, source: 0, span: 1, ...range })
      if (!cube.spans.includes(span)) continue
      const source = shorter !== undefined && cube.spans.includes(shorter) ? shorter : 0
      const wanted = { cube, source, span, ...range }
      if (source > 0 || span === hourSpan) await this.#store.replace(wanted)
      else
        for (let number = 0; number < slices; number++)
          await this.#store.replace({ ...wanted, slice: { number, of: slices } })
    }
    await this.#store.settle(
      mark,
      around === undefined ? undefined : { span: around, bucket: startOf(bucket, around) },
    )
  }
}

const nameOf = ({ span, bucket }: Mark): string => `${span} ${bucket}`
