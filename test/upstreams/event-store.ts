// A bounded in-memory store of SSE events, so that a legacy client can resume a stream with Last-Event-ID.
import type { EventId, EventStore, JSONRPCMessage, StreamId } from '@modelcontextprotocol/server'

interface StoredEvent {
  readonly streamId: StreamId
  readonly order: number
  readonly message: JSONRPCMessage
}

/** Keeps the newest `maxEvents` events of all streams, in the order in which they were stored. */
export class MemoryEventStore implements EventStore {
  readonly #events = new Map<EventId, StoredEvent>()
  readonly #maxEvents: number
  #order = 0

  constructor(maxEvents = 10_000) {
    this.#maxEvents = maxEvents
  }

  storeEvent(streamId: StreamId, message: JSONRPCMessage): Promise<EventId> {
    const order = ++this.#order
    const id = `${streamId}~${order}`
    this.#events.set(id, { streamId, order, message })
    const oldest = this.#events.keys().next()
    if (this.#events.size > this.#maxEvents && !oldest.done) this.#events.delete(oldest.value)
    return Promise.resolve(id)
  }

  /** Sends again what came after `lastEventId` on its stream; priming events carry no message and are left out. */
  async replayEventsAfter(
    lastEventId: EventId,
    { send }: { send: (eventId: EventId, message: JSONRPCMessage) => Promise<void> },
  ): Promise<StreamId> {
    const cut = lastEventId.lastIndexOf('~')
    const streamId = cut === -1 ? lastEventId : lastEventId.slice(0, cut)
    const after = cut === -1 ? 0 : Number(lastEventId.slice(cut + 1))
    for (const [id, event] of this.#events) {
      if (event.streamId !== streamId || event.order <= after) continue
      if (Object.keys(event.message).length > 0) await send(id, event.message)
    }
    return streamId
  }
}
