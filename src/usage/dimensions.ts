// Texts that repeat on every record (users, servers, tools, methods…) as small integers.

export const dimensionKinds = [
  'account',
  'caller',
  'api_key',
  'session',
  'server',
  'method',
  'tool',
  'client',
  'route',
  'outcome',
  'currency',
  'rule',
] as const
export type DimensionKind = (typeof dimensionKinds)[number]

export interface Dimension {
  readonly id: number
  readonly kind: DimensionKind
  readonly value: string
}

/**
 * A bounded cache from text to its integer. A text that is not in it gets a fresh integer, whose row the caller commits
 * with the record; so one text may have several integers (after it was evicted, or on another node), and queries
 * always go by text. Nothing is ever looked up in the store on the way of a call.
 */
export class Dimensions {
  /** One map a kind: the texts are mostly the same string objects, so a hit costs no new string. */
  readonly #ids: Readonly<Record<DimensionKind, Map<string, number>>>
  /** Texts of each kind. */
  readonly #capacity: number
  #next: number

  constructor(options: { known: readonly Dimension[]; next: number; capacity: number }) {
    this.#capacity = options.capacity
    this.#next = options.next
    const maps = dimensionKinds.map((kind) => [kind, new Map<string, number>()] as const)
    this.#ids = Object.fromEntries(maps) as Record<DimensionKind, Map<string, number>>
    for (const { id, kind, value } of options.known) this.#ids[kind].set(value, id)
  }

  /** The integer of a text; `onNew` is called with the row to write where it is a fresh one. */
  idOf(kind: DimensionKind, value: string, onNew: (dimension: Dimension) => void): number {
    const ids = this.#ids[kind]
    const known = ids.get(value)
    if (known !== undefined) return known
    const id = this.#next++
    if (ids.size >= this.#capacity) evictOldest(ids)
    ids.set(value, id)
    onNew({ id, kind, value })
    return id
  }

  /** Forgets everything: after a failed commit, rows that were thought written may not be. */
  clear(): void {
    for (const kind of dimensionKinds) this.#ids[kind].clear()
  }
}

function evictOldest(ids: Map<string, number>): void {
  const [oldest] = ids.keys()
  if (oldest !== undefined) ids.delete(oldest)
}
