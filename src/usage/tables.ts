// The hot tables of usage/, as the batch writes them.
import { latencyBoundsUs } from './record.ts'
import type { HotTable } from './store.ts'

const integers = (...names: string[]): Record<string, 'integer'> =>
  Object.fromEntries(names.map((name) => [name, 'integer']))

export const latencyColumns: readonly string[] = Array.from(
  { length: latencyBoundsUs.length + 1 },
  (_, index) => `l${index}`,
)

export const dimensionTable: HotTable = {
  name: 'dimension',
  mode: 'insert',
  keys: ['id'],
  columns: { id: 'integer', kind: 'text', value: 'text' },
}

export const recordTable: HotTable = {
  name: 'usage_record',
  mode: 'insert',
  keys: ['id'],
  columns: {
    ...integers(
      'id',
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
    ),
    ...integers(
      'status',
      'request_bytes',
      'response_bytes',
      'duration_us',
      'cost',
      'currency',
      'rule',
      'rule_version',
    ),
    error: 'text',
    idempotency_key: 'text',
    ...integers('tokens', 'upstream_cost', 'counted_before'),
  },
}

export const meterTable: HotTable = {
  name: 'usage_meter',
  mode: 'add',
  keys: ['rule_id', 'unit', 'subject', 'period'],
  columns: { rule_id: 'text', unit: 'text', subject: 'text', ...integers('period', 'quantity') },
}

export const rollupTable: HotTable = {
  name: 'usage_rollup',
  mode: 'add',
  keys: ['bucket', 'account', 'caller', 'api_key', 'server', 'method', 'tool', 'outcome', 'currency'],
  columns: {
    ...integers('bucket', 'account', 'caller', 'api_key', 'server', 'method', 'tool', 'outcome', 'currency'),
    ...integers('calls', 'unpriced', 'cost', 'request_bytes', 'response_bytes', 'duration_us'),
    ...integers(...latencyColumns),
  },
}

/** How often a stretch of cubes went out of date; see cubes.ts. */
export const staleTable: HotTable = {
  name: 'usage_stale',
  mode: 'add',
  keys: ['span', 'bucket'],
  columns: integers('span', 'bucket', 'marks'),
}

export const sumColumns: readonly string[] = [
  'calls',
  'unpriced',
  'cost',
  'request_bytes',
  'response_bytes',
  'duration_us',
  ...latencyColumns,
]

/** Calls of a rollup that failed, in SQL: all but those with the outcome `success`. */
const failedCalls =
  "case when outcome in (select id from dimension where kind = 'outcome' and value = 'success') then 0 else calls end"

/** What cubes add up, in SQL: `failed`, then the columns of rollups. */
export const cubeSums = (ofRollups: boolean): string[] => [ofRollups ? failedCalls : 'failed', ...sumColumns]
