// Keeps payloads: what calls to some servers were asked and answered, masked, behind the back of the calls.
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { Capture } from '../registry/capture.ts'
import type { Server } from '../registry/server.ts'
import type { JsonRpcMessage, JsonRpcRequest } from '../wire/json-rpc.ts'
import { Masking } from './masking.ts'
import type { KeptPayload, Payload } from './payload.ts'
import type { PayloadStore } from './store.ts'

/** What may wait to be masked and written; what comes beyond is not kept. */
const maxWaiting = 1000
const maxWaitingBytes = 32 * 1024 * 1024
/** Payloads of one commit: records of calls wait behind it. */
const maxGroup = 50
const dayMs = 86_400_000

/** A call that runs, or waits to be written. */
interface Captured {
  readonly id: bigint
  readonly serverId: string
  readonly capture: Capture
  /** Its arguments. */
  readonly given: unknown
  answer?: JsonRpcMessage
  /** How large call and answer were. */
  bytes: number
  /** Whether it has a record: without one there is no call. */
  isRecorded: boolean
}

/** A call as its charge knows it. */
interface BegunCall {
  readonly id: bigint
  readonly origin: { readonly tool?: string; readonly requestBytes: number }
}

export interface PayloadsOptions {
  readonly store: Pick<PayloadStore, 'insert'>
  readonly clock: Clock
  readonly log: Log
  /** Hears of each that is written, and of each that is not. */
  readonly onDone: (outcome: 'kept' | 'dropped') => void
}

/** No call waits for its payload. A process that is killed loses those that were not written yet. */
export class Payloads {
  readonly #options: PayloadsOptions
  readonly #running = new Map<bigint, Captured>()
  readonly #maskings = new WeakMap<Capture, Masking>()
  #waiting: Captured[] = []
  #waitingBytes = 0
  #dropped = 0
  #working: Promise<void> | undefined

  constructor(options: PayloadsOptions) {
    this.#options = options
  }

  /** Begins with a call, where its server says that calls of this tool are kept. */
  begin({ id, origin }: BegunCall, { id: serverId, capture }: Server, { params }: JsonRpcRequest): void {
    const { tool, requestBytes } = origin
    if (!capture || tool === undefined || !this.#maskingOf(capture).keeps(tool)) return
    const given = params?.['arguments'] ?? {}
    this.#running.set(id, { id, serverId, capture, given, bytes: requestBytes, isRecorded: false })
  }

  /** The server has answered; `bytes` is how large that was. */
  answered(id: bigint, answer: JsonRpcMessage, bytes: number): void {
    const captured = this.#running.get(id)
    if (!captured) return
    captured.answer = answer
    captured.bytes += bytes
  }

  /** The call has a durable record. */
  recorded(id: bigint): void {
    const captured = this.#running.get(id)
    if (captured) captured.isRecorded = true
  }

  /** Whatever became of it, the call is over. */
  finished(id: bigint): void {
    const captured = this.#running.get(id)
    if (!captured) return
    this.#running.delete(id)
    if (!captured.isRecorded) return
    if (this.#waiting.length >= maxWaiting || this.#waitingBytes + captured.bytes > maxWaitingBytes)
      return this.#drop(1)
    this.#waiting.push(captured)
    this.#waitingBytes += captured.bytes
    this.#working ??= this.#work()
  }

  /** Resolves when everything so far is written, or was given up. */
  async flush(): Promise<void> {
    while (this.#working) await this.#working
  }

  async #work(): Promise<void> {
    await turn()
    while (this.#waiting.length > 0) {
      const group: KeptPayload[] = []
      for (const captured of this.#waiting.splice(0, maxGroup)) {
        this.#waitingBytes -= captured.bytes
        try {
          group.push(this.#keep(captured))
        } catch (error) {
          this.#drop(1)
          this.#options.log.error({ err: error }, 'a payload could not be masked, and is not kept')
        }
        // Calls go on between one and the next.
        await turn()
      }
      await this.#write(group)
    }
    this.#working = undefined
  }

  async #write(group: readonly KeptPayload[]): Promise<void> {
    const { store, log, onDone } = this.#options
    try {
      await store.insert(group)
      for (const _ of group) onDone('kept')
    } catch (error) {
      this.#drop(group.length)
      log.warn({ err: error, payloads: group.length }, 'payloads could not be written')
    }
    if (this.#dropped > 0) log.warn({ payloads: this.#dropped }, 'payloads of calls were not kept')
    this.#dropped = 0
  }

  #drop(count: number): void {
    this.#dropped += count
    for (let n = 0; n < count; n++) this.#options.onDone('dropped')
  }

  #keep(captured: Captured): KeptPayload {
    const { id, serverId, capture } = captured
    const expiresAtMs = Math.floor(this.#options.clock.now() + capture.days * dayMs)
    return { id, serverId, expiresAtMs, payload: this.#payloadOf(captured) }
  }

  #payloadOf({ capture, given, answer }: Captured): Payload {
    const masking = this.#maskingOf(capture)
    const asked = capture.arguments ? masking.apply(given) : undefined
    const said = capture.results && answer ? masking.apply(answer.error ?? answer.result ?? null) : undefined
    return {
      ...(asked && { arguments: asked.value }),
      ...(said && (answer?.error ? { error: said.value } : { result: said.value })),
      cut: asked?.cut === true || said?.cut === true,
    }
  }

  #maskingOf(capture: Capture): Masking {
    const known = this.#maskings.get(capture)
    if (known) return known
    const masking = new Masking(capture)
    this.#maskings.set(capture, masking)
    return masking
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
