// Checks what stands for records: cubes against what they are made of, and the sums of dropped days.
import { formatAmount } from '../base/money.ts'
import { cubes, daySpan, hourSpan, StaleSpans, startOf } from '../usage/cubes.ts'
import { rollupMs } from '../usage/record.ts'
import { dayMs } from '../usage/retention-store.ts'
import type { Differences } from './differences.ts'
import type { SumAuditStore } from './sum-audit-store.ts'

interface SumCheck {
  readonly store: SumAuditStore
  readonly differences: Differences
  readonly limit: number
  readonly signal?: AbortSignal | undefined
}

const timeOf = (bucket: number): string => new Date(bucket * rollupMs).toISOString()

/** Compares every cube with its next shorter stretches, where any of these quarter-hours is summed up in it. */
export async function checkCubes(
  { store, differences, limit, signal }: SumCheck,
  buckets: readonly number[],
) {
  const stale = new StaleSpans(await store.marks())
  for (const cube of cubes) {
    for (const span of cube.spans) {
      const source = span <= hourSpan ? 0 : (cube.spans[cube.spans.indexOf(span) - 1] ?? 0)
      const step = Math.max(span, daySpan)
      const summed = buckets.filter((bucket) => !stale.has(span, startOf(bucket, span)))
      for (const first of new Set(summed.map((bucket) => startOf(bucket, step)))) {
        signal?.throwIfAborted()
        const stretch = { cube, span, source, first, end: first + step }
        for (const start of await store.cubeDifferences(stretch, limit))
          differences.add('rollup', `${timeOf(start)} cube ${cube.id}, ${span} quarter-hours`, {
            expected: 'the sum of its parts',
            actual: 'something else',
          })
      }
    }
  }
}

/** Charges that were seen, by day and currency of their records. */
export class DailyCharges {
  readonly #sums = new Map<string, bigint>()

  add(record: number, currency: string, amount: bigint): void {
    const name = `${Math.floor(record / dayMs)} ${currency}`
    this.#sums.set(name, (this.#sums.get(name) ?? 0n) + amount)
  }

  of(day: number, currency: string): bigint {
    return this.#sums.get(`${day} ${currency}`) ?? 0n
  }
}

/** What was written down of dropped records must be what their rollups and their charges come to. */
export async function checkDropped({ store, differences, signal }: SumCheck, charges: DailyCharges) {
  for (const dropped of await store.dropped()) {
    signal?.throwIfAborted()
    const id = `records of ${new Date(dropped.day * dayMs).toISOString().slice(0, 10)} ${dropped.currency}`
    const { kept, summed } = await store.droppedRollups(dropped)
    if (kept.calls !== summed.calls || kept.cost !== summed.cost)
      differences.add('rollup', id, {
        expected: `${kept.calls} calls, ${formatAmount(kept.cost)}`,
        actual: `${summed.calls} calls, ${formatAmount(summed.cost)}`,
      })
    if (kept.cost === charges.of(dropped.day, dropped.currency)) continue
    // Something may have been written meanwhile: look again, at one moment.
    const { cost, charged } = await store.droppedCharges(dropped)
    if (cost !== charged)
      differences.add('charge', id, { expected: formatAmount(cost), actual: formatAmount(charged) })
  }
}
