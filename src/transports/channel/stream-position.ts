// How far a server's event stream has been read, for opening it again behind that place.

/** Reads `id` and `retry` of the events that pass. */
export class StreamPosition {
  /** The id of the last event that had one. */
  lastEventId: string | undefined
  /** What the server wants to be waited before the stream is opened again. */
  retryMs: number | undefined

  /** Notes a whole event as it came; nothing where the transport has no events. */
  note(frame: Uint8Array | undefined): void {
    if (!frame) return
    const text = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength)
    // Most events have neither field in front of their data, and data may be large.
    const head = text.toString('utf8', 0, Math.min(text.length, 512))
    const id = /^id: ?([^\r\n\0]*)/m.exec(head)?.[1]
    if (id !== undefined) this.lastEventId = id
    const retry = /^retry: ?(\d{1,6})\r?$/m.exec(head)?.[1]
    if (retry !== undefined) this.retryMs = Number(retry)
  }
}
