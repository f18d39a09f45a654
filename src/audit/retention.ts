// Drops events that are old enough, and signs where the log begins since then.
import type { Clock } from '../base/clock.ts'
import { makeMark, type AuditMac } from './chain.ts'
import type { AuditStore } from './store.ts'

export interface AuditRetentionOptions {
  readonly store: Pick<AuditStore, 'findLastBefore' | 'dropThrough'>
  readonly mac: AuditMac
  readonly clock: Clock
  /** Whole days that an event is kept; absent means for ever. */
  readonly days: number | undefined
}

const dayMs = 86_400_000

/** Drops what is older; call it now and then. */
export async function dropOldEvents({ store, mac, clock, days }: AuditRetentionOptions): Promise<void> {
  if (days === undefined) return
  const atMs = clock.now()
  const last = await store.findLastBefore(atMs - days * dayMs)
  if (last) await store.dropThrough(makeMark('anchor', last, { atMs, mac }))
}
