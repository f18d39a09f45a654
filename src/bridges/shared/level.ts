// The log level of a shared session: the most verbose that a tenant asked for at the server, its own for each tenant.
import type { Json } from '../../eras/json-object.ts'
import {
  isLogFor,
  isLogLevel,
  lowestLevel,
  type LogLevel,
} from '../../eras/modern-client-legacy-server/logs.ts'
import type { JsonRpcMessage } from '../../wire/json-rpc.ts'
import type { Caller } from './exchange.ts'
import { done, isDone, refusal, type OwnAnswer } from './answer.ts'

export class SharedLevel {
  readonly #ask: (method: string, params: Json) => Promise<OwnAnswer>
  readonly #levels = new Map<Caller, LogLevel>()
  /** What the server was told last, in the session that is open now. */
  #told: LogLevel | undefined
  /** The server's answer to that. */
  #answer: Promise<OwnAnswer> = Promise.resolve(done)

  /** `ask` asks the server as the gateway itself. */
  constructor(ask: (method: string, params: Json) => Promise<OwnAnswer>) {
    this.#ask = ask
  }

  get size(): number {
    return this.#levels.size
  }

  async set(caller: Caller, params: Json): Promise<OwnAnswer> {
    const { level } = params
    if (!isLogLevel(level)) return refusal(-32602, 'params.level must be one of the levels of RFC 5424.')
    const before = this.#levels.get(caller)
    this.#levels.set(caller, level)
    const answer = await this.#tell(params)
    if (isDone(answer) || this.#levels.get(caller) !== level) return answer
    if (before) this.#levels.set(caller, before)
    else this.#levels.delete(caller)
    return answer
  }

  /** A tenant that asked for no level hears what the server sends. */
  lets(caller: Caller, message: JsonRpcMessage): boolean {
    const level = this.#levels.get(caller)
    return level === undefined || isLogFor(message, level)
  }

  drop(caller: Caller): void {
    // A session that is not open is told when it is opened.
    if (this.#levels.delete(caller) && this.#told !== undefined) void this.#tell({})
  }

  lost(): void {
    this.#told = undefined
  }

  renew(): void {
    void this.#tell({})
  }

  async #tell(params: Json): Promise<OwnAnswer> {
    const level = lowestLevel(this.#levels.values())
    if (level === undefined) return done
    if (level === this.#told) return this.#answer
    this.#told = level
    this.#answer = this.#ask('logging/setLevel', { ...params, level })
    const answer = await this.#answer
    if (!isDone(answer) && this.#told === level) this.#told = undefined
    return answer
  }
}
