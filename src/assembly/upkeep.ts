// What is done now and then for usage: cubes are summed up, and records that are old enough go.
import type { Clock } from '../base/clock.ts'
import type { Keyring } from '../base/keyring.ts'
import type { Lifecycle } from '../base/lifecycle.ts'
import type { Log } from '../base/log.ts'
import type { RunnableConfig } from '../commands/settings.ts'
import type { Database } from '../db/database.ts'
import { PayloadStore } from '../payloads/store.ts'
import { KeptAnswerStore } from '../sessions/kept-store.ts'
import { CubeWriter } from '../usage/cube-writer.ts'
import { CubeStore } from '../usage/cube-store.ts'
import { Retention } from '../usage/retention.ts'
import { RetentionStore } from '../usage/retention-store.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs

interface UpkeepParts {
  readonly config: Pick<RunnableConfig, 'retention'>
  readonly db: Database
  readonly keyring: Keyring
  readonly clock: Clock
  readonly log: Log
  readonly lifecycle: Lifecycle
}

export async function buildUpkeep({
  config,
  db,
  keyring,
  clock,
  log,
  lifecycle,
}: UpkeepParts): Promise<Retention> {
  const kept = new KeptAnswerStore(db)
  const payloads = new PayloadStore(db, keyring)
  const retention = new Retention({
    store: new RetentionStore(db),
    clock,
    recordDays: config.retention.recordDays,
    dropWith: async (before) => {
      await kept.dropBefore(before)
      await payloads.deleteBefore(before)
    },
  })
  await retention.load()
  const cubes = new CubeWriter(new CubeStore(db), clock)
  const ending = new AbortController()
  const running = new Set<Promise<unknown>>()
  const every = (ms: number, what: string, work: () => Promise<unknown>) => {
    const run = () => {
      const done = work().catch((err: unknown) => log.warn({ err }, what))
      running.add(done)
      void done.finally(() => running.delete(done))
    }
    const timer = setInterval(run, ms)
    ending.signal.addEventListener('abort', () => clearInterval(timer))
  }
  const { signal } = ending
  every(minuteMs, 'usage could not be summed up', () => cubes.run({ onlySeen: true, signal }))
  every(hourMs, 'old records could not be dropped', () => retention.run(signal))
  every(minuteMs, 'payloads could not be deleted', () => payloads.deleteExpired(clock.now(), signal))
  lifecycle.onStop('upkeep', async () => {
    ending.abort()
    await Promise.all(running)
  })
  return retention
}
