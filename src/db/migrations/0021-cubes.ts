// Tables of usage/: rollups summed further, which of those sums are out of date, and the sums of dropped records.
import type { Migration } from '../migration.ts'

const latencyColumns = Array.from({ length: 26 }, (_, index) => `l${index}`)
const dimensions = ['account', 'caller', 'api_key', 'server', 'method', 'tool', 'outcome', 'currency']
const sums = [
  'calls',
  'failed',
  'unpriced',
  'cost',
  'request_bytes',
  'response_bytes',
  'duration_us',
  ...latencyColumns,
]

/** `span` counts quarter-hours; a dimension that a cube does not tell apart is 0. See usage/cubes.ts. */
export const cubeTables: Migration = {
  name: '0021-cubes',
  statements: ({ engine, integer, strict }) => {
    const columns = (names: readonly string[]) =>
      names.map((name) => `${name} ${integer} NOT NULL`).join(', ')
    const clustered = engine === 'sqlite' ? ' STRICT, WITHOUT ROWID' : ''
    return [
      `CREATE TABLE usage_cube (
        cube ${integer} NOT NULL, span ${integer} NOT NULL, bucket ${integer} NOT NULL, ${columns(dimensions)},
        ${columns(sums)}, PRIMARY KEY (cube, span, bucket, ${dimensions.join(', ')}))${clustered}`,
      // A dimension that is asked for alone is found without reading the others.
      ...['account', 'caller', 'api_key', 'tool'].map(
        (name) =>
          `CREATE INDEX usage_cube_${name} ON usage_cube (${name}, cube, span, bucket) WHERE ${name} <> 0`,
      ),
      `CREATE TABLE usage_stale (
        span ${integer} NOT NULL, bucket ${integer} NOT NULL, marks ${integer} NOT NULL,
        PRIMARY KEY (span, bucket))${strict}`,
      `INSERT INTO usage_stale SELECT DISTINCT 4, bucket / 4 * 4, 1 FROM usage_rollup`,
      `CREATE TABLE usage_dropped (
        day ${integer} NOT NULL, currency TEXT NOT NULL, calls ${integer} NOT NULL, cost ${integer} NOT NULL,
        PRIMARY KEY (day, currency))${strict}`,
    ]
  },
}
