// What an audit found wrong: a bounded list, and the count of all.

export const differenceKinds = [
  'record',
  'charge',
  'transfer',
  'rollup',
  'balance',
  'total',
  'grant',
  'budget',
  'meter',
  'invoice',
] as const

export type DifferenceKind = (typeof differenceKinds)[number]

/** One thing that is not as it should be; `id` names it, the other two are amounts or short sentences. */
export interface Difference {
  readonly kind: DifferenceKind
  readonly id: string
  readonly expected: string
  readonly actual: string
}

export class Differences {
  readonly list: Difference[] = []
  readonly #max: number
  count = 0

  constructor(max: number) {
    this.#max = max
  }

  add(kind: DifferenceKind, id: string, { expected, actual }: { expected: string; actual: string }): void {
    this.count++
    if (this.list.length < this.#max) this.list.push({ kind, id, expected, actual })
  }
}
