// The deadlines of all calls in flight, kept by one timer.
import { LinkedList, type ListNode } from '../base/linked-list.ts'

/** Something that is given up at `deadlineMs` of the monotonic clock. */
export interface Expiring {
  readonly deadlineMs: number
  expire(): void
}

export type Deadline = ListNode<Expiring>

const tickMs = 20

/** One interval looks at everything that is in flight, and runs only while something is: deadlines hold to within a tick. */
export class Deadlines {
  readonly #watched = new LinkedList<Expiring>()
  #interval: NodeJS.Timeout | undefined

  /** Keep what this returns; it is what `delete` takes. */
  add(item: Expiring): Deadline {
    this.#interval ??= setInterval(() => this.#look(), tickMs)
    return this.#watched.add(item)
  }

  delete(deadline: Deadline): void {
    this.#watched.remove(deadline)
  }

  #look(): void {
    const now = performance.now()
    for (const item of this.#watched) if (item.deadlineMs <= now) item.expire()
    if (this.#watched.size > 0) return
    clearInterval(this.#interval)
    this.#interval = undefined
  }
}
