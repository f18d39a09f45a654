import { defineConfig } from 'vitest/config'
import { SlowFirst } from './test/harness/slow-first.ts'

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    // Random tests run longer where they are told to; see test/harness/fuzz.ts.
    testTimeout: 30_000 * Math.max(1, Number(process.env['TOLLBRIDGE_TEST_FUZZ'] ?? 1)),
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
    sequence: { sequencer: SlowFirst },
  },
})
