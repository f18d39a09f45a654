// One message of a bridge's own to a modern server, from its id to its end.
import { cancelAt } from '../../upstreams/tell.ts'
import type { RequestId } from '../../wire/json-rpc.ts'
import type { Upstream, UpstreamExchange, UpstreamRequest, UpstreamSink } from '../../upstreams/upstream.ts'

/** Where a leg goes: the way as it stands now, and ids that are free there. */
export interface LegHost {
  /** Throws where there is no way. */
  reach(): Upstream
  /** An id for one message to the server: the wanted one, unless it is in use there. */
  takeId(wanted?: RequestId): RequestId
  freeId(id: RequestId): void
}

/** A request in flight. Ending it before its answer tells the server that nobody waits any more. */
export class ModernLeg {
  readonly id: RequestId
  readonly #way: Upstream
  readonly #host: LegHost
  #exchange: UpstreamExchange | undefined
  #open = true
  status = 200
  answered = false
  /** The exchange is over: nothing more comes, and nothing is left to cancel. */
  ended = false

  /** Throws where there is no way. */
  constructor(host: LegHost, wantedId?: RequestId) {
    this.#host = host
    this.#way = host.reach()
    this.id = host.takeId(wantedId)
  }

  /** False once `end` was called: what the sink still hears is nobody's. */
  get open(): boolean {
    return this.#open
  }

  send(request: UpstreamRequest, sink: UpstreamSink): void {
    this.#exchange = this.#way.send(request, sink)
  }

  setPaused(paused: boolean): void {
    if (paused) this.#exchange?.pause()
    else this.#exchange?.resume()
  }

  end(): void {
    if (!this.#open) return
    this.#open = false
    this.#host.freeId(this.id)
    if (this.ended) return
    this.#exchange?.abort()
    if (!this.answered) cancelAt(this.#way, this.id)
  }
}

/** Whether an SSE block has nothing but comments; fields such as an event id mean nothing in the modern era. */
export const isComment = (frame: Uint8Array): boolean =>
  !/^[^:\r\n]/m.test(Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength).toString('latin1'))
