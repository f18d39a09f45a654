// The open questions of one round of input: asked of the client, answered one by one, or taken back.
import type { Question } from '../../eras/input-round.ts'
import type { Json } from '../../eras/json-object.ts'
import type { JsonRpcMessage } from '../../wire/json-rpc.ts'

/** Gives out the ids of questions, each of which can be answered once. */
export interface QuestionIds {
  take(): string
  free(id: string): void
}

/** One round; `result` is the server's that asked. */
export class Questions {
  readonly result: Json
  readonly #ids: QuestionIds
  readonly #open = new Map<string, Question>()
  readonly #answers = new Map<string, unknown>()

  constructor(result: Json, questions: readonly Question[], ids: QuestionIds) {
    this.result = result
    this.#ids = ids
    for (const question of questions) this.#open.set(ids.take(), question)
  }

  get complete(): boolean {
    return this.#open.size === 0
  }

  /** The answers by the server's keys; undefined where nothing was asked. */
  get answers(): Json | undefined {
    return this.#answers.size > 0 ? Object.fromEntries(this.#answers) : undefined
  }

  /** The requests for the client, as JSON-RPC texts. */
  requests(): string[] {
    return [...this.#open].map(([id, { method, params }]) =>
      JSON.stringify({ jsonrpc: '2.0', id, method, ...(params && { params }) }),
    )
  }

  /** Takes an answer; returns a sentence where it is an error. `exact` is the same message, for writing it. */
  take(id: string, message: JsonRpcMessage, exact: JsonRpcMessage): string | undefined {
    const question = this.#open.get(id)
    if (!question) return undefined
    this.#open.delete(id)
    this.#ids.free(id)
    if (message.error)
      return `The client did not answer the MCP server's ${question.method}: ${message.error.message.slice(0, 200)}`
    this.#answers.set(question.key, exact.result)
    return undefined
  }

  /** Notifications that take the open questions back, as JSON-RPC texts. */
  withdrawals(): string[] {
    return [...this.#open.keys()].map((requestId) => {
      const params = { requestId, reason: 'The call that asked has failed.' }
      return JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params })
    })
  }

  /** Answers that come from now on belong to nobody. */
  close(): void {
    for (const id of this.#open.keys()) this.#ids.free(id)
    this.#open.clear()
  }
}
