// The event loop's end of a SQLite thread: requests in order, a bounded queue, and a new thread when one dies.
import { Worker } from 'node:worker_threads'
import { assert, GatewayError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { HotBatch } from './batch.ts'
import { BatchEncoder } from './batch-codec.ts'
import { sqliteError } from './sqlite-errors.ts'
import type { SqliteAnswer, SqliteMessage, SqliteRequest, SqliteThreadOptions } from './sqlite-protocol.ts'

interface Waiting {
  readonly id: number
  resolve(result: unknown): void
  reject(error: GatewayError): void
}

/** One worker with one connection. A thread that dies fails what is waiting; the next request starts another. */
export class SqliteThread {
  readonly #options: SqliteThreadOptions
  readonly #log: Log
  readonly #maxWaiting: number
  readonly #encoder = new BatchEncoder()
  /** In the order sent, which is the order of the answers. A list and no Map: see base/linked-list.ts. */
  #waiting: Waiting[] = []
  #worker: Worker | undefined
  #lastId = 0
  #closed = false

  constructor(options: SqliteThreadOptions & { log: Log; maxWaiting: number }) {
    const { log, maxWaiting, ...threadOptions } = options
    this.#options = threadOptions
    this.#log = log
    this.#maxWaiting = maxWaiting
  }

  /** Rejects with `overloaded` when too many requests wait, else as the thread answers. */
  request(request: SqliteRequest): Promise<unknown> {
    if (this.#closed) return Promise.reject(closedError())
    if (this.#waiting.length >= this.#maxWaiting) return Promise.reject(new GatewayError('overloaded'))
    return this.#send(request)
  }

  /** One hot batch, encoded here; rejects as `request` does, and as `internal` where a value fits no column. */
  async commit(batch: HotBatch): Promise<void> {
    if (this.#closed) throw closedError()
    if (this.#waiting.length >= this.#maxWaiting) throw new GatewayError('overloaded')
    this.#live()
    await this.#send({ kind: 'commit', ...this.#encoder.encode(batch) })
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    const worker = this.#worker
    if (!worker) return
    await this.#send({ kind: 'close' }).catch(() => {})
    await worker.terminate()
  }

  #send(request: SqliteRequest): Promise<unknown> {
    const worker = this.#live()
    const message: SqliteMessage = { id: ++this.#lastId, request }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ id: message.id, resolve, reject })
      worker.postMessage(message, request.kind === 'commit' ? [request.buffer] : [])
    })
  }

  #live(): Worker {
    if (this.#worker) return this.#worker
    this.#encoder.reset()
    const worker = new Worker(new URL('./sqlite-worker.ts', import.meta.url), {
      workerData: this.#options,
      name: `sqlite-${this.#options.role}`,
      execArgv: [],
    })
    worker.on('message', (answer: SqliteAnswer) => this.#settle(answer))
    worker.on('error', (error) => this.#lose(worker, error))
    worker.on('exit', (code) => this.#lose(worker, new Error(`the thread ended with ${code}`)))
    this.#worker = worker
    return worker
  }

  #settle(answer: SqliteAnswer): void {
    const waiting = this.#waiting.shift()
    assert(waiting?.id === answer.id, 'a thread answers in order')
    if ('fault' in answer) waiting.reject(sqliteError(answer.fault))
    else waiting.resolve(answer.result)
  }

  #lose(worker: Worker, cause: Error): void {
    if (this.#worker !== worker) return
    this.#worker = undefined
    if (!this.#closed) this.#log.error({ err: cause, role: this.#options.role }, 'a store thread ended')
    const waiting = this.#waiting
    this.#waiting = []
    for (const request of waiting) request.reject(new GatewayError('store_unavailable', { cause }))
  }
}

function closedError(): GatewayError {
  return new GatewayError('store_unavailable', { cause: new Error('the database is closed') })
}
