// Which user started which task: a task id is no secret that opens it to whoever has it.
import type { Clock } from '../../base/clock.ts'
import { isObject } from '../../base/is-object.ts'
import type { Principal } from '../../identity/principal.ts'
import type { Server } from '../../registry/server.ts'
import type { JsonRpcMessage, JsonRpcRequest } from '../../wire/json-rpc.ts'
import type { TaskOwner, TaskOwnerStore } from './store.ts'

interface TaskOwnersOptions {
  readonly store: TaskOwnerStore
  readonly clock: Clock
  /** Tasks of one user that are remembered; the oldest is forgotten first. Default 10,000. */
  readonly maxPerUser?: number
}

type Asker = Pick<Principal, 'userId'>
type At = Pick<Server, 'id' | 'auth'>

const maxIdLength = 1024
/** Whatever its server says of its life: results are fetched later than a task is thought to live. */
const keptMs = 30 * 86_400_000

/**
 * Tasks of the extension (SEP-2663) and of 2025-11-25 alike. At a server that the gateway shows one credential of its own
 * nothing but the gateway tells users apart; where each has a token of their own, the server does.
 */
export class TaskOwners {
  readonly #options: TaskOwnersOptions
  /** By server and task. */
  readonly #owners = new Map<string, TaskOwner>()
  /** Keys of `#owners`, oldest first. */
  readonly #byUser = new Map<string, Set<string>>()

  private constructor(options: TaskOwnersOptions) {
    this.#options = options
  }

  static async open(options: TaskOwnersOptions): Promise<TaskOwners> {
    const owners = new TaskOwners(options)
    for (const owner of await options.store.list(options.clock.now() - keptMs)) owners.#keep(owner)
    return owners
  }

  /** Takes note of a task that an answer says was started; what has to commit with its record. */
  started(
    server: At,
    { userId }: Asker,
    { params }: JsonRpcRequest,
    answer: JsonRpcMessage,
  ): TaskOwner | undefined {
    const taskId = startedTask(params, answer.result)
    if (taskId === undefined || !this.#tellsApart(server)) return undefined
    const key = keyOf(server, taskId)
    // Whoever started it first keeps it.
    if (this.#owners.has(key)) return undefined
    const owner = { serverId: server.id, taskId, userId, startedAtMs: this.#options.clock.now() }
    this.#keep(owner)
    return owner
  }

  /** The first task that a request names and that this caller has not started. */
  findForeign(server: At, { userId }: Asker, message: JsonRpcRequest): string | undefined {
    const named = tasksIn(message)
    if (named.length === 0 || !this.#tellsApart(server)) return undefined
    return named.find((taskId) => this.#owners.get(keyOf(server, taskId))?.userId !== userId)
  }

  /** Forgets what is too old; call it now and then. */
  async purge(): Promise<void> {
    const before = this.#options.clock.now() - keptMs
    for (const [key, { startedAtMs, userId }] of this.#owners) {
      if (startedAtMs >= before) break
      this.#forget(key, userId)
    }
    await this.#options.store.dropBefore(before)
  }

  #tellsApart({ auth }: At): boolean {
    return auth.type !== 'oauth2' || auth.grant === 'client-credentials'
  }

  #keep(owner: TaskOwner): void {
    const { userId, taskId } = owner
    const key = keyOf({ id: owner.serverId }, taskId)
    const own = this.#byUser.get(userId) ?? new Set()
    this.#byUser.set(userId, own.add(key))
    this.#owners.set(key, owner)
    const [oldest] = own
    if (own.size > (this.#options.maxPerUser ?? 10_000) && oldest !== undefined) this.#forget(oldest, userId)
  }

  #forget(key: string, userId: string): void {
    this.#owners.delete(key)
    const own = this.#byUser.get(userId)
    own?.delete(key)
    if (own?.size === 0) this.#byUser.delete(userId)
  }
}

const keyOf = ({ id }: Pick<Server, 'id'>, taskId: string): string => `${id} ${taskId}`

/** By `resultType` in the modern era; by what was asked for in the legacy one. */
function startedTask(params: JsonRpcRequest['params'], result: JsonRpcMessage['result']): string | undefined {
  const task = result?.['resultType'] === 'task' ? result : params?.['task'] && result?.['task']
  const taskId = isObject(task) ? task['taskId'] : undefined
  // Nobody comes back with an id that no header holds.
  return typeof taskId === 'string' && taskId.length <= maxIdLength ? taskId : undefined
}

function tasksIn({ method, params }: JsonRpcRequest): string[] {
  if (method === 'subscriptions/listen') {
    const wanted = params?.['notifications']
    const named = isObject(wanted) ? wanted['taskIds'] : undefined
    return Array.isArray(named) ? named.filter((taskId) => typeof taskId === 'string') : []
  }
  const taskId = method.startsWith('tasks/') ? params?.['taskId'] : undefined
  return typeof taskId === 'string' ? [taskId] : []
}
