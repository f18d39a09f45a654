// The servers' streams behind a channel: the session's standing one, and those on which broken-off answers are resumed.
import type { Reply } from '../../sessions/reply.ts'
import type { Session } from '../../sessions/session.ts'
import { isRequest } from '../../wire/json-rpc.ts'
import type { ChannelReply } from './reply.ts'
import { ChannelStream } from './stream.ts'

interface Outlet {
  send(bytes: Uint8Array): boolean
  onDrain(listener: () => void): void
}

type Open = (session: Session, reply: Reply, lastEventId: string | undefined) => void

export class ChannelStreams {
  readonly #outlet: Outlet
  readonly #open: Open
  readonly #resuming = new Map<ChannelReply, ChannelStream>()
  #standing: ChannelStream | undefined
  #stopped = false

  constructor(outlet: Outlet, open: Open) {
    this.#outlet = outlet
    this.#open = open
  }

  /** Opens the session's own stream, if its server has one; once is enough. */
  openStanding(session: Session): void {
    if (this.#standing || this.#stopped) return
    this.#standing = new ChannelStream({
      ...this.#parts(session),
      wanted: () => session.open && !this.#stopped,
      finished: () => {},
    })
    this.#standing.start()
  }

  /** The client has sent something. */
  nudge(): void {
    this.#standing?.nudge()
  }

  stopStanding(): void {
    this.#stopped = true
    this.#standing?.stop()
  }

  /**
   * A server may close the stream of an answer on purpose and give the answer on the next one (MCP 2025-11-25,
   * "Resumability and Redelivery"). False where the call is not waiting for such a stream.
   */
  resume(session: Session, reply: ChannelReply): boolean {
    const { about, position } = reply
    if (!isRequest(about) || position.lastEventId === undefined) return false
    const waits = (): boolean => session.open && session.findCall(about.id) !== undefined
    if (!waits()) return false
    const stream = new ChannelStream(
      { ...this.#parts(session), wanted: waits, finished: () => this.#resuming.delete(reply) },
      position,
    )
    this.#resuming.set(reply, stream)
    stream.start(true)
    return true
  }

  /** The call has its answer, or needs none. */
  resumed(reply: ChannelReply): void {
    const stream = this.#resuming.get(reply)
    // The answer itself is handed over on that stream, right after its call has ended.
    if (stream) queueMicrotask(() => stream.stop())
  }

  #parts(session: Session) {
    return {
      open: (reply: Reply, lastEventId: string | undefined) => this.#open(session, reply, lastEventId),
      send: (bytes: Uint8Array) => this.#outlet.send(bytes),
      onDrain: (listener: () => void) => this.#outlet.onDrain(listener),
    }
  }
}
