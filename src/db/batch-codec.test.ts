// What goes into a batch's buffer comes out of it, value for value, and what fits no column never gets in.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HotBatch, type HotTable, type HotValue } from './batch.ts'
import { BatchEncoder, decodeBatch } from './batch-codec.ts'
import { storableText } from './parameters.ts'
import { runs } from '../../test/harness/fuzz.ts'

const seed = Number(process.hrtime.bigint() % 2_147_483_647n)

const insertTable: HotTable = {
  name: 'item',
  mode: 'insert',
  keys: ['id'],
  columns: { id: 'integer', name: 'text', bytes: 'blob', amount: 'integer' },
}
const addTable: HotTable = {
  name: 'total',
  mode: 'add',
  keys: ['day', 'kind'],
  columns: { day: 'integer', kind: 'text', cost: 'integer' },
}

const integer = fc.oneof(fc.maxSafeInteger(), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }))
const text = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ maxLength: 500 }))
const blob = fc.uint8Array({ maxLength: 300 })
const row = fc.oneof(
  fc.tuple(integer, fc.option(text), fc.option(blob), fc.option(integer)).map((values) => ({
    table: insertTable,
    values: values as HotValue[],
  })),
  fc.tuple(integer, text, integer).map((values) => ({ table: addTable, values: values as HotValue[] })),
)

function batchOf(rows: readonly { table: HotTable; values: readonly HotValue[] }[]): HotBatch {
  const batch = new HotBatch()
  for (const { table, values } of rows) batch.add(table, values)
  return batch
}

/** A receiver as the store's thread is one: it learns tables as they come. */
class Receiver {
  readonly tables: HotTable[] = []

  take({ buffer, newTables }: { buffer: ArrayBuffer; newTables: readonly HotTable[] }) {
    this.tables.push(...newTables)
    const rows: { table: string; values: HotValue[] }[] = []
    const counts = this.tables.map((table) => Object.keys(table.columns).length)
    decodeBatch(buffer, counts, (number, values) => {
      rows.push({ table: this.tables[number]?.name ?? '?', values: values.map(plain) })
    })
    return rows
  }
}

const plain = (value: HotValue): HotValue => (value instanceof Uint8Array ? new Uint8Array(value) : value)
const expected = (value: HotValue): HotValue =>
  typeof value === 'string' ? storableText(value) : Object.is(value, -0) ? 0 : plain(value)

describe('a batch', () => {
  test(`comes out as it went in, batch after batch (seed ${seed})`, () => {
    fc.assert(
      fc.property(fc.array(fc.array(row, { maxLength: 60 }), { maxLength: 4 }), (batches) => {
        const encoder = new BatchEncoder()
        const receiver = new Receiver()
        for (const rows of batches) {
          const wanted = rows.map(({ table, values }) => ({
            table: table.name,
            values: values.map(expected),
          }))
          expect(receiver.take(encoder.encode(batchOf(rows)))).toEqual(wanted)
        }
      }),
      { seed, numRuns: runs(300) },
    )
  })

  test('outgrows its first buffer', () => {
    const values = [1, 'ü'.repeat(100_000), new Uint8Array(300_000).fill(7), 2n ** 62n]
    const [decoded] = new Receiver().take(
      new BatchEncoder().encode(batchOf([{ table: insertTable, values }])),
    )
    expect(decoded?.values).toEqual(values)
  })

  test('describes each table once', () => {
    const encoder = new BatchEncoder()
    const one = batchOf([{ table: insertTable, values: [1, null, null, null] }])
    expect(encoder.encode(one).newTables).toEqual([insertTable])
    expect(encoder.encode(one).newTables).toEqual([])
    encoder.reset()
    expect(encoder.encode(one).newTables).toEqual([insertTable])
  })

  test('that is refused leaves no table behind that the receiver never hears of', () => {
    const encoder = new BatchEncoder()
    const bad = batchOf([{ table: addTable, values: [1, 'a', null] }])
    expect(() => encoder.encode(bad)).toThrow()
    const good = encoder.encode(batchOf([{ table: insertTable, values: [1, null, null, null] }]))
    expect(good.newTables).toEqual([insertTable])
    expect(new Receiver().take(good)).toEqual([{ table: 'item', values: [1, null, null, null] }])
  })

  test.each<[string, HotTable, unknown[]]>([
    ['a fraction', insertTable, [1.5, null, null, null]],
    ['an unsafe number', insertTable, [2 ** 53, null, null, null]],
    ['a bigint beyond 64 bits', insertTable, [2n ** 63n, null, null, null]],
    ['a number as text', insertTable, [1, 5, null, null]],
    ['text as a blob', insertTable, [1, null, 'x', null]],
    ['a boolean', insertTable, [true, null, null, null]],
    ['undefined', insertTable, [1, undefined, null, null]],
    ['too few values', insertTable, [1]],
    ['a null key of an add table', addTable, [null, 'a', 1]],
    ['a null sum of an add table', addTable, [1, 'a', null]],
  ])('refuses %s as a mistake of this program', (_what, table, values) => {
    expect(() => new BatchEncoder().encode(batchOf([{ table, values: values as HotValue[] }]))).toThrow(
      expect.objectContaining({ code: 'internal' }),
    )
  })

  test('keeps characters that PostgreSQL or UTF-8 cannot hold as U+FFFD', () => {
    expect(storableText('a\0b\ud800c')).toBe('a\uFFFDb\uFFFDc')
    expect(storableText('plain 😀')).toBe('plain 😀')
  })
})
