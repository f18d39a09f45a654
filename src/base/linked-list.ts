// A collection for what comes and goes thousands of times a second.

export interface ListNode<T> {
  value: T | undefined
  previous: ListNode<T> | undefined
  next: ListNode<T> | undefined
}

/**
 * A doubly linked list. Where members live for milliseconds it replaces Set and Map: V8's hash tables leave the old
 * table behind at each rehash, with its members and a link to the next table; once one such table has grown old, the
 * chain keeps every later member alive until the next full collection. Measured at 20,000 calls a second, that cost a
 * fifth of the CPU. Here a removed node lets go of everything.
 */
export class LinkedList<T> implements Iterable<T> {
  #first: ListNode<T> | undefined
  #last: ListNode<T> | undefined
  #size = 0

  get size(): number {
    return this.#size
  }

  /** The oldest, which stays. */
  get first(): T | undefined {
    return this.#first?.value
  }

  /** Appends; keep the node, it is what `remove` takes. */
  add(value: T): ListNode<T> {
    const node: ListNode<T> = { value, previous: this.#last, next: undefined }
    if (this.#last) this.#last.next = node
    else this.#first = node
    this.#last = node
    this.#size++
    return node
  }

  /** Takes a node out; a node that is out already changes nothing. */
  remove(node: ListNode<T>): void {
    if (node.value === undefined) return
    if (node.previous) node.previous.next = node.next
    else this.#first = node.next
    if (node.next) node.next.previous = node.previous
    else this.#last = node.previous
    node.value = undefined
    node.previous = undefined
    node.next = undefined
    this.#size--
  }

  /** Takes out the oldest; undefined where there is none. */
  takeFirst(): T | undefined {
    const first = this.#first
    const value = first?.value
    if (first) this.remove(first)
    return value
  }

  /** The members as they are now, oldest first; changes meanwhile do not matter. */
  [Symbol.iterator](): Iterator<T> {
    const members: T[] = []
    for (let node = this.#first; node; node = node.next)
      if (node.value !== undefined) members.push(node.value)
    return members[Symbol.iterator]()
  }
}
