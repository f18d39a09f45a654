// Which tenant of a shared session started which task: nobody else finds it (MCP 2025-11-25, "Tasks").
import { isObject } from '../../base/is-object.ts'
import type { Json } from '../../eras/json-object.ts'
import type { JsonRpcMessage } from '../../wire/json-rpc.ts'
import type { Caller, SharedExchange } from './exchange.ts'

/** Bounded for each tenant: its oldest task is forgotten first. */
export class TaskOwners {
  readonly #maxPerCaller: number
  readonly #owners = new Map<string, Caller>()
  readonly #tasks = new Map<Caller, Set<string>>()

  constructor(maxPerCaller: number) {
    this.#maxPerCaller = maxPerCaller
  }

  get size(): number {
    return this.#owners.size
  }

  /** Whether a request names a task of somebody else, or one that nobody here has started. */
  isForeign(caller: Caller, { method, params }: JsonRpcMessage): boolean {
    const taskId = params?.['taskId']
    return method?.startsWith('tasks/') === true && taskId !== undefined && !this.#isOwn(caller, taskId)
  }

  findOwner(taskId: unknown): Caller | undefined {
    return typeof taskId === 'string' ? this.#owners.get(taskId) : undefined
  }

  /** Notes a task that was just started. Gives the result itself, and of a list of tasks only the caller's own. */
  onAnswer({ caller, request: { message } }: SharedExchange, result: Json | undefined): Json | undefined {
    if (message.method === 'tasks/list' && Array.isArray(result?.['tasks'])) {
      const tasks = result['tasks'].filter((task) => isObject(task) && this.#isOwn(caller, task['taskId']))
      return { ...result, tasks }
    }
    const task = message.params?.['task'] === undefined ? undefined : result?.['task']
    if (isObject(task) && typeof task['taskId'] === 'string') this.#note(caller, task['taskId'])
    return result
  }

  drop(caller: Caller): void {
    for (const taskId of this.#tasks.get(caller) ?? []) this.#owners.delete(taskId)
    this.#tasks.delete(caller)
  }

  #isOwn(caller: Caller, taskId: unknown): boolean {
    return this.findOwner(taskId) === caller
  }

  #note(caller: Caller, taskId: string): void {
    // Whoever started it first keeps it.
    if (this.#owners.has(taskId)) return
    const own = this.#tasks.get(caller) ?? new Set()
    this.#tasks.set(caller, own.add(taskId))
    this.#owners.set(taskId, caller)
    const [oldest] = own
    if (own.size <= this.#maxPerCaller || oldest === undefined) return
    own.delete(oldest)
    this.#owners.delete(oldest)
  }
}
