// The hot batch: rows for narrow tables, packed into one buffer that crosses to the store's thread by transfer.

/** `integer` takes a safe number or a bigint; everything may be null. */
export type HotColumnType = 'integer' | 'text' | 'blob'

/**
 * A table of the hot path. `insert` appends rows; `once` leaves the row with the same key as it is; `add` adds the value
 * columns onto it (INSERT … ON CONFLICT (keys) DO UPDATE SET c = c + excluded.c). Engines prepare their SQL from this
 * description.
 */
export interface HotTable {
  readonly name: string
  readonly mode: 'insert' | 'once' | 'add'
  /** Key columns first; in `add` mode all others are summed and must be integers. */
  readonly keys: readonly string[]
  readonly columns: Readonly<Record<string, HotColumnType>>
}

export type HotValue = number | bigint | string | Uint8Array | null

/** One row of a hot table: values in the order of its columns. */
export interface HotRow {
  readonly table: HotTable
  readonly values: readonly HotValue[]
}

/** Rows in order of arrival. Encoded by `BatchEncoder` for a thread. */
export class HotBatch {
  readonly rows: HotRow[]

  /** Takes over `rows`; the caller adds nothing to them afterwards. */
  constructor(rows: HotRow[] = []) {
    this.rows = rows
  }

  add(table: HotTable, values: readonly HotValue[]): void {
    this.rows.push({ table, values })
  }

  get size(): number {
    return this.rows.length
  }
}
