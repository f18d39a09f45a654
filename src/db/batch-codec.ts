// The bytes of a hot batch between the event loop and the store's thread: one buffer, no objects.
import { assert } from '../base/errors.ts'
import type { HotBatch, HotColumnType, HotTable, HotValue } from './batch.ts'
import { maxInt64, minInt64, storableText, unfit } from './parameters.ts'

// A row is its table's number (uint16) and its values; a value is a tag and its payload, little endian:
// nothing for null · float64 for a number · int64 for a bigint · uint32 length and bytes for text and blobs.
const tag = { null: 0, number: 1, bigint: 2, text: 3, blob: 4 } as const

const maxTables = 1024

export interface EncodedBatch {
  /** Exactly the rows; to be transferred. */
  readonly buffer: ArrayBuffer
  /** Tables that this encoder meets for the first time; their numbers follow those sent before. */
  readonly newTables: readonly HotTable[]
}

/** Encodes batches for one receiver, which must get every result in order. Tables are told apart by identity. */
export class BatchEncoder {
  readonly #tables = new Map<HotTable, TableShape>()
  #scratch = Buffer.allocUnsafeSlow(64 * 1024)
  #view = new DataView(this.#scratch.buffer)
  #length = 0

  /** Rejects values that do not fit their column as `internal`; nothing of the batch is sent then. */
  encode(batch: HotBatch): EncodedBatch {
    this.#length = 0
    const known = this.#tables.size
    try {
      for (const { table, values } of batch.rows) this.#row(this.#shapeOf(table), values)
    } catch (error) {
      // This batch is not sent, so the receiver does not hear of its new tables.
      for (const table of [...this.#tables.keys()].slice(known)) this.#tables.delete(table)
      throw error
    }
    const { buffer, byteOffset } = this.#scratch
    return {
      buffer: buffer.slice(byteOffset, byteOffset + this.#length),
      newTables: known === this.#tables.size ? [] : [...this.#tables.keys()].slice(known),
    }
  }

  /** Starts anew, for a receiver that knows no table yet. */
  reset(): void {
    this.#tables.clear()
  }

  #shapeOf(table: HotTable): TableShape {
    const known = this.#tables.get(table)
    if (known) return known
    assert(this.#tables.size < maxTables, 'hot tables are constants, not made per batch')
    const shape = shapeOf(table, this.#tables.size)
    this.#tables.set(table, shape)
    return shape
  }

  #row(shape: TableShape, values: readonly HotValue[]): void {
    const { types, required } = shape
    if (values.length !== types.length) throw unfit(`a row of ${values.length} values for ${shape.name}`)
    this.#reserve(2 + values.length * 9)
    this.#view.setUint16(this.#length, shape.number, true)
    this.#length += 2
    for (let i = 0; i < types.length; i++) {
      const value = values[i]
      if (value === null && !required) this.#scratch[this.#length++] = tag.null
      else if (types[i] === 'integer') this.#integer(value, shape)
      else if (types[i] === 'text') this.#text(value, shape)
      else this.#blob(value, shape)
    }
  }

  #integer(value: HotValue | undefined, shape: TableShape): void {
    this.#reserve(9)
    if (typeof value === 'number' && Number.isSafeInteger(value)) {
      this.#scratch[this.#length] = tag.number
      this.#view.setFloat64(this.#length + 1, value, true)
    } else if (typeof value === 'bigint' && value >= minInt64 && value <= maxInt64) {
      this.#scratch[this.#length] = tag.bigint
      this.#view.setBigInt64(this.#length + 1, value, true)
    } else throw unfit(`a ${typeof value} as an integer of ${shape.name}`)
    this.#length += 9
  }

  #text(value: HotValue | undefined, shape: TableShape): void {
    if (typeof value !== 'string') throw unfit(`a ${typeof value} as a text of ${shape.name}`)
    const text = storableText(value)
    this.#reserve(5 + text.length * 3)
    const bytes = this.#scratch.write(text, this.#length + 5, 'utf8')
    this.#head(tag.text, bytes)
  }

  #blob(value: HotValue | undefined, shape: TableShape): void {
    if (!(value instanceof Uint8Array)) throw unfit(`a ${typeof value} as a blob of ${shape.name}`)
    this.#reserve(5 + value.byteLength)
    this.#scratch.set(value, this.#length + 5)
    this.#head(tag.blob, value.byteLength)
  }

  #head(kind: number, bytes: number): void {
    this.#scratch[this.#length] = kind
    this.#view.setUint32(this.#length + 1, bytes, true)
    this.#length += 5 + bytes
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#scratch.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#scratch.length * 2, this.#length + bytes))
    this.#scratch.copy(larger, 0, 0, this.#length)
    this.#scratch = larger
    this.#view = new DataView(larger.buffer)
  }
}

interface TableShape {
  readonly name: string
  readonly number: number
  readonly types: readonly HotColumnType[]
  /** In `add` mode no value may be null: a null key meets no row, a null sum would erase one. */
  readonly required: boolean
}

function shapeOf(table: HotTable, number: number): TableShape {
  const required = table.mode === 'add'
  if (required)
    for (const [column, type] of Object.entries(table.columns))
      assert(table.keys.includes(column) || type === 'integer', 'an add table sums integers')
  return { name: table.name, number, types: Object.values(table.columns), required }
}

/**
 * Calls `apply` for each row in order. `values` is reused for the next row of the same table.
 * `columnCounts[n]` is how many columns table number n has.
 */
export function decodeBatch(
  buffer: ArrayBuffer,
  columnCounts: readonly number[],
  apply: (tableNumber: number, values: HotValue[]) => void,
): void {
  const bytes = Buffer.from(buffer)
  const view = new DataView(buffer)
  const rows = columnCounts.map((count) => Array.from<HotValue>({ length: count }).fill(null))
  let at = 0
  while (at < bytes.length) {
    const number = view.getUint16(at, true)
    at += 2
    const values = rows[number]
    assert(values, 'the batch names a table that was sent')
    for (let i = 0; i < values.length; i++) {
      const kind = bytes[at++]
      if (kind === tag.null) values[i] = null
      else if (kind === tag.number) {
        values[i] = view.getFloat64(at, true)
        at += 8
      } else if (kind === tag.bigint) {
        values[i] = view.getBigInt64(at, true)
        at += 8
      } else {
        const start = at + 4
        at = start + view.getUint32(at, true)
        values[i] = kind === tag.text ? bytes.toString('utf8', start, at) : bytes.subarray(start, at)
      }
    }
    apply(number, values)
  }
}
