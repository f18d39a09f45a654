// What one subject of a budget has spent and holds, by bucket of its window. In memory; no clock, no store.
import { assert } from '../../base/errors.ts'
import { slicesPerWindow, type Frame } from './window.ts'

/** One bucket. Money counts in the bucket in which its call arrived, whenever that ends. */
export interface Cell {
  readonly bucket: number
  spent: bigint
  held: bigint
  /** Calls that hold something here. */
  holds: number
}

/**
 * Invariants: held is the sum of the live holds; `used` of a cell is the most that any window with that cell in it
 * has. So what is allowed against it never takes a window over its limit, also not one that has gone by meanwhile.
 */
export class Count {
  readonly subject: string
  readonly #frame: Frame
  readonly #cells = new Map<number, Cell>()
  /** The newest bucket, and what the window that ends with it has: most calls ask for no other. */
  #latest = -Infinity
  #spent = 0n
  #held = 0n
  /** Events that were raised, by window; those of earlier windows are forgotten. */
  readonly #raised = new Map<number, Set<string>>()

  constructor(subject: string, frame: Frame) {
    this.subject = subject
    this.#frame = frame
  }

  /** The cell of a moment, made where there is none. */
  cellAt(atMs: number): Cell {
    const bucket = this.#frame.bucketOf(atMs)
    return this.#cells.get(bucket) ?? this.#open(bucket)
  }

  /** The most that any window with this cell in it has spent and holds. */
  used(cell: Cell): bigint {
    const { sliceMs } = this.#frame
    if (sliceMs === undefined) return cell.spent + cell.held
    if (cell.bucket === this.#latest) return this.#spent + this.#held
    let sum = this.#sumUntil(cell.bucket, sliceMs)
    let most = sum
    const last = Math.min(cell.bucket + slicesPerWindow * sliceMs, this.#latest)
    for (let end = cell.bucket + sliceMs; end <= last; end += sliceMs) {
      sum += this.#usedIn(end) - this.#usedIn(end - (slicesPerWindow + 1) * sliceMs)
      if (sum > most) most = sum
    }
    return most
  }

  /** What the window that ends with this cell has settled; with a calendar window, the cell itself. */
  spent(cell: Cell): bigint {
    const { sliceMs } = this.#frame
    if (sliceMs === undefined) return cell.spent
    if (cell.bucket === this.#latest) return this.#spent
    return this.#window(cell.bucket, sliceMs).reduce((sum, each) => sum + each.spent, 0n)
  }

  /** Sums of the window that a moment lies in, and its oldest bucket with anything in it. Makes no cell. */
  figures(atMs: number): { spent: bigint; held: bigint; oldest: number | undefined } {
    const bucket = this.#frame.bucketOf(atMs)
    const { sliceMs } = this.#frame
    const own = this.#cells.get(bucket)
    const cells = sliceMs === undefined ? (own ? [own] : []) : this.#window(bucket, sliceMs)
    let [spent, held] = [0n, 0n]
    let oldest: number | undefined
    for (const cell of cells) {
      spent += cell.spent
      held += cell.held
      if (oldest === undefined && cell.spent + cell.held > 0n) oldest = cell.bucket
    }
    return { spent, held, oldest }
  }

  /** When `needed` of what counts at a moment will have left the window, oldest first; undefined where it never does. */
  freesAt(atMs: number, needed: bigint): number | undefined {
    const { sliceMs } = this.#frame
    const bucket = this.#frame.bucketOf(atMs)
    if (sliceMs === undefined) return this.#frame.endOf(bucket)
    let left = needed
    for (const cell of this.#window(bucket, sliceMs)) {
      left -= cell.spent + cell.held
      if (left <= 0n) return this.#frame.endOf(cell.bucket)
    }
    return undefined
  }

  hold(cell: Cell, amount: bigint): void {
    cell.holds++
    this.grow(cell, amount)
  }

  grow(cell: Cell, more: bigint): void {
    cell.held += more
    if (this.#isInLatest(cell)) this.#held += more
  }

  /** Ends a hold of `held`, of which `cost` was spent. */
  settle(cell: Cell, held: bigint, cost: bigint): void {
    cell.holds--
    this.grow(cell, -held)
    assert(cell.held >= 0n && cell.holds >= 0, 'a budget never holds less than nothing')
    if (cost !== 0n) this.add(cell, cost)
  }

  /** Adds what was spent without a hold. */
  add(cell: Cell, amount: bigint): void {
    cell.spent += amount
    if (this.#isInLatest(cell)) this.#spent += amount
  }

  /** Forgets all that was spent, and which events were raised; holds stay. The store says anew what was spent. */
  clearSpent(): void {
    for (const cell of this.#cells.values()) cell.spent = 0n
    this.#spent = 0n
    this.#raised.clear()
  }

  /** Whether an event of this name is the first of its window. */
  raise(label: number, name: string): boolean {
    let names = this.#raised.get(label)
    if (!names) {
      names = new Set()
      this.#raised.set(label, names)
      const [oldest] = this.#raised.keys()
      if (this.#raised.size > 2 && oldest !== undefined) this.#raised.delete(oldest)
    }
    if (names.has(name)) return false
    names.add(name)
    return true
  }

  /** Whether nothing here can matter any more. */
  isOver(nowMs: number): boolean {
    for (const { bucket, holds } of this.#cells.values())
      if (holds > 0 || (this.#frame.endOf(bucket) ?? Infinity) > nowMs) return false
    return true
  }

  get isIdle(): boolean {
    for (const { holds } of this.#cells.values()) if (holds > 0) return false
    return true
  }

  #open(bucket: number): Cell {
    const cell = { bucket, spent: 0n, held: 0n, holds: 0 }
    this.#cells.set(bucket, cell)
    if (bucket > this.#latest) this.#advance(bucket)
    return cell
  }

  #advance(bucket: number): void {
    this.#latest = bucket
    const { sliceMs } = this.#frame
    let oldest = bucket
    for (const cell of this.#cells.values()) if (cell.holds > 0) oldest = Math.min(oldest, cell.bucket)
    const keptFrom = sliceMs === undefined ? oldest : oldest - slicesPerWindow * sliceMs
    for (const [each, { holds }] of this.#cells) if (holds === 0 && each < keptFrom) this.#cells.delete(each)
    if (sliceMs === undefined) return
    ;[this.#spent, this.#held] = [0n, 0n]
    for (const { spent, held } of this.#window(bucket, sliceMs)) {
      this.#spent += spent
      this.#held += held
    }
  }

  #isInLatest({ bucket }: Cell): boolean {
    const { sliceMs } = this.#frame
    return sliceMs !== undefined && bucket >= this.#latest - slicesPerWindow * sliceMs
  }

  /** The cells of the window that ends with a bucket, oldest first. */
  #window(bucket: number, sliceMs: number): Cell[] {
    const cells: Cell[] = []
    for (let at = bucket - slicesPerWindow * sliceMs; at <= bucket; at += sliceMs) {
      const cell = this.#cells.get(at)
      if (cell) cells.push(cell)
    }
    return cells
  }

  #sumUntil(bucket: number, sliceMs: number): bigint {
    return this.#window(bucket, sliceMs).reduce((sum, { spent, held }) => sum + spent + held, 0n)
  }

  #usedIn(bucket: number): bigint {
    const cell = this.#cells.get(bucket)
    return cell ? cell.spent + cell.held : 0n
  }
}
