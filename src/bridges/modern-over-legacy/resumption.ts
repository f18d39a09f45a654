// Going on with a legacy answer whose stream ended before the answer: the rest comes on a GET stream.

const defaultRetryMs = 500
const maxRetryMs = 5000
/** Attempts in a row that brought nothing new. */
const maxAttempts = 5

/** The id of an SSE event (MCP 2025-11-25, "Resumability and Redelivery"); undefined where it has none. */
export function eventIdOf(frame: Uint8Array): string | undefined {
  const text = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength).toString()
  const id = /^id: ?([^\r\n]*)$/m.exec(text)?.[1]
  return id === undefined || id === '' ? undefined : id
}

function retryMsOf(frame: Uint8Array): number | undefined {
  const text = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength).toString('latin1')
  const digits = /^retry: ?(\d{1,9})\r?$/m.exec(text)?.[1]
  return digits === undefined ? undefined : Math.min(Number(digits), maxRetryMs)
}

/** Remembers where one answer's stream stands, and opens it again after a pause. */
export class Resumption {
  readonly #listen: (lastEventId: string) => void
  #lastEventId: string | undefined
  #retryMs = defaultRetryMs
  #attempts = 0
  #timer: NodeJS.Timeout | undefined
  #resumed = false

  constructor(listen: (lastEventId: string) => void) {
    this.#listen = listen
  }

  /** Whether the stream is no longer the answer's own. */
  get resumed(): boolean {
    return this.#resumed
  }

  note(frame: Uint8Array): void {
    this.#retryMs = retryMsOf(frame) ?? this.#retryMs
    const id = eventIdOf(frame)
    if (id === undefined || id === this.#lastEventId) return
    this.#lastEventId = id
    this.#attempts = 0
  }

  /** The stream has ended; false where it cannot be gone on with. */
  resume(): boolean {
    const id = this.#lastEventId
    if (id === undefined || this.#attempts >= maxAttempts) return false
    this.#attempts++
    this.#resumed = true
    this.#timer = setTimeout(() => this.#listen(id), this.#retryMs).unref()
    return true
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}
