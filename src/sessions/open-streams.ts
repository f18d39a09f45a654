// The streams to clients that stay open until somebody ends them: those of sessions, and subscriptions.
import type { Charge } from './charge.ts'

/** One such stream. Its record, priced by the time that it was open, is made when it ends. */
export interface OpenStream {
  readonly charge: Charge
  /** Ends it as somebody's wish, not as a fault: what it brought until then counts. */
  stop(): void
}

/** What has some of them open. */
export interface StreamSource {
  openStreams(): Iterable<OpenStream>
}

/** Those of this node. Nobody keeps a list of its own: they are looked up where they run. */
export class OpenStreams {
  readonly #sources: readonly StreamSource[]

  constructor(sources: readonly StreamSource[]) {
    this.#sources = sources
  }

  get count(): number {
    return this.list().length
  }

  /** Newest first. */
  list(): OpenStream[] {
    const all = this.#sources.flatMap((source) => [...source.openStreams()])
    return all.sort((one, other) => (one.charge.id > other.charge.id ? -1 : 1))
  }

  /** The one that will have this record. */
  find(callId: bigint): OpenStream | undefined {
    return this.list().find(({ charge }) => charge.id === callId)
  }
}
