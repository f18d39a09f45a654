// Texts that repeat on every record (users, servers, tools, methods…) as small integers.

export type DimensionKind =
  | 'account'
  | 'caller'
  | 'api_key'
  | 'session'
  | 'server'
  | 'method'
  | 'tool'
  | 'client'
  | 'route'
  | 'outcome'
  | 'currency'
  | 'rule'

export interface Dimension {
  readonly id: number
  readonly kind: DimensionKind
  readonly value: string
}

/**
 * A bounded cache from text to its integer. A text that is not in it gets a fresh integer, whose row the caller commits
 * with the record; so one text may have several integers (after it was evicted, or on another node), and queries
 * always go by text. Nothing is ever looked up on the way of a call.
 */
export class Dimensions {
  readonly #ids = new Map<string, number>()
  readonly #capacity: number
  #next: number

  constructor(options: { known: readonly Dimension[]; next: number; capacity: number }) {
    this.#capacity = options.capacity
    this.#next = options.next
    for (const { id, kind, value } of options.known) this.#ids.set(`${kind} ${value}`, id)
  }

  /** The integer of a text; `onNew` is called with the row to write where it is a fresh one. */
  idOf(kind: DimensionKind, value: string, onNew: (dimension: Dimension) => void): number {
    const key = `${kind} ${value}`
    const known = this.#ids.get(key)
    if (known !== undefined) return known
    const id = this.#next++
    if (this.#ids.size >= this.#capacity) this.#evict()
    this.#ids.set(key, id)
    onNew({ id, kind, value })
    return id
  }

  /** Forgets everything: after a failed commit, rows that were thought written may not be. */
  clear(): void {
    this.#ids.clear()
  }

  #evict(): void {
    const [oldest] = this.#ids.keys()
    if (oldest !== undefined) this.#ids.delete(oldest)
  }
}
