// Whether the audit log is as it was written: every row after the one before it, between signed marks.
import {
  eventOf,
  genesis,
  hashOf,
  isSigned,
  type AuditMac,
  type AuditRow,
  type ChainPlace,
  type Mark,
} from './chain.ts'
import { breakAction, endFault } from './log.ts'
import type { AuditStore, ChainEnd } from './store.ts'

/**
 * `changed`: a row is not what was written. `missing`: rows are gone. `inserted`: rows are too many. `mark`: a mark is not
 * ours. `end`: the log does not end as it was signed. `break`: the gateway found it so earlier. `expected`: it lacks what
 * it is known to have held.
 */
export const auditFaults = ['changed', 'missing', 'inserted', 'mark', 'end', 'break', 'expected'] as const

export interface AuditDifference {
  readonly kind: (typeof auditFaults)[number]
  /** Number of the event. */
  readonly seq: bigint
  /** One sentence. */
  readonly what: string
}

export interface AuditVerification {
  readonly ok: boolean
  /** Events that were looked at. */
  readonly events: number
  /** Numbers of the first and the last of them; 0 where there is none. */
  readonly first: bigint
  readonly last: bigint
  /** The last place: keep it elsewhere, and a later verification can be held to it. */
  readonly head: ChainPlace
  readonly differenceCount: number
  /** The first hundred. */
  readonly differences: readonly AuditDifference[]
}

export interface AuditVerifyOptions {
  readonly store: Pick<AuditStore, 'readEnd' | 'listAfter' | 'listCheckpoints' | 'find'>
  readonly mac: AuditMac
  /** Places that the log must hold, known from elsewhere. */
  readonly expected?: readonly ChainPlace[]
  readonly signal?: AbortSignal
}

const pageSize = 1000
const maxDifferences = 100
const lowest = -(2n ** 63n)

/** Reads the whole log. Rejects with the store's error, or the signal's reason. */
export async function verifyAudit(options: AuditVerifyOptions): Promise<AuditVerification> {
  const end = await options.store.readEnd()
  const check = new Check(options, end)
  await check.marks()
  await check.rows()
  // Old rows may have been dropped meanwhile; then what was missing is not.
  const after = await options.store.readEnd()
  if (after.anchor?.seq !== end.anchor?.seq) return verifyAudit(options)
  check.end(after)
  await check.expected()
  return check.result()
}

class Check {
  readonly #options: AuditVerifyOptions
  readonly #end: ChainEnd
  readonly #start: ChainPlace
  readonly #last: ChainPlace
  #checkpoints: readonly Mark[] = []
  #events = 0
  #first = 0n
  #count = 0
  readonly #differences: AuditDifference[] = []

  constructor(options: AuditVerifyOptions, end: ChainEnd) {
    this.#options = options
    this.#end = end
    this.#start = end.anchor ?? genesis
    this.#last = end.last ?? this.#start
  }

  async marks(): Promise<void> {
    const { mac } = this.#options
    const { anchor, last } = this.#end
    const fault = endFault(this.#end, mac)
    if (fault !== undefined) this.#tell('end', last?.seq ?? 0n, fault)
    if (anchor && !isSigned(anchor, mac))
      this.#tell('mark', anchor.seq, 'The anchor behind dropped events was not signed by this gateway.')
    await this.#loadCheckpoints(this.#start.seq)
    const [below] = await this.#options.store.listAfter(lowest, this.#start.seq, 1)
    if (below) this.#tell('inserted', below.seq, `Event ${below.seq} stands before the beginning of the log.`)
  }

  async rows(): Promise<void> {
    const { store, signal } = this.#options
    let before = this.#start
    for (;;) {
      signal?.throwIfAborted()
      const rows = await store.listAfter(before.seq, this.#last.seq, pageSize)
      for (const row of rows) before = await this.#row(row, before)
      if (rows.length < pageSize) break
    }
    if (before.seq < this.#last.seq) this.#missing(before.seq + 1n, this.#last.seq)
  }

  /** What is left of the checkpoints lies behind the last row, unless rows have come meanwhile. */
  end({ last }: ChainEnd): void {
    const behind = this.#checkpoints.find(({ seq }) => seq > (last?.seq ?? this.#start.seq))
    if (!behind) return
    const what = `The log was cut: there is a checkpoint at event ${behind.seq}, which is not there.`
    this.#tell('end', behind.seq, what)
  }

  async expected(): Promise<void> {
    for (const { seq, hash } of this.#options.expected ?? []) {
      if (seq < this.#start.seq || seq === 0n) continue
      const held = seq === this.#start.seq ? this.#start : await this.#options.store.find(seq)
      if (held?.hash !== hash) this.#tell('expected', seq, `Event ${seq} is not the one that was there.`)
    }
  }

  result(): AuditVerification {
    return {
      ok: this.#count === 0,
      events: this.#events,
      first: this.#first,
      last: this.#events === 0 ? 0n : this.#last.seq,
      head: { seq: this.#last.seq, hash: this.#last.hash },
      differenceCount: this.#count,
      differences: this.#differences,
    }
  }

  async #row(row: AuditRow, before: ChainPlace): Promise<ChainPlace> {
    if (this.#events++ === 0) this.#first = row.seq
    const { seq } = row
    if (seq > before.seq + 1n) this.#missing(before.seq + 1n, seq - 1n)
    else if (hashOf(row, before.hash) !== row.hash)
      this.#tell('changed', seq, `Event ${seq} was changed, or the hash of the one before it.`)
    if (row.action === breakAction)
      this.#tell('break', seq, `Event ${seq}: ${eventOf(row).note ?? 'the log was broken here.'}`)
    await this.#compareCheckpoint(row)
    return row
  }

  async #compareCheckpoint({ seq, hash }: AuditRow): Promise<void> {
    while (this.#checkpoints[0] && this.#checkpoints[0].seq <= seq) {
      const [mark, ...rest] = this.#checkpoints
      this.#checkpoints = rest
      if (!isSigned(mark, this.#options.mac))
        this.#tell('mark', mark.seq, `The checkpoint at event ${mark.seq} was not signed by this gateway.`)
      else if (mark.seq === seq && mark.hash !== hash)
        this.#tell('changed', seq, `Event ${seq}, or one before it, is not what the checkpoint has signed.`)
      if (rest.length === 0) await this.#loadCheckpoints(mark.seq + 1n)
    }
  }

  async #loadCheckpoints(from: bigint): Promise<void> {
    this.#checkpoints = await this.#options.store.listCheckpoints(from, pageSize)
  }

  #missing(from: bigint, to: bigint): void {
    const what = from === to ? `Event ${from} is missing.` : `Events ${from} to ${to} are missing.`
    this.#tell('missing', from, what)
  }

  #tell(kind: AuditDifference['kind'], seq: bigint, what: string): void {
    this.#count++
    if (this.#differences.length < maxDifferences) this.#differences.push({ kind, seq, what })
  }
}
