// The chain: each row's hash covers the row and the hash before it, and marks are signed with a key that is not in the store.
import { createHash, timingSafeEqual } from 'node:crypto'
import type { AuditEvent, AuditFacts, ChainedEvent } from './event.ts'

/** A row as it is stored; the hash covers every other column. */
export interface AuditRow {
  readonly seq: bigint
  readonly id: string
  readonly at: bigint
  readonly action: string
  readonly actor_id: string | null
  readonly resource_type: string | null
  readonly resource_id: string | null
  /** JSON of everything else. */
  readonly detail: string
  readonly hash: string
}

/** A place in the chain: the last row's number and hash. */
export interface ChainPlace {
  readonly seq: bigint
  readonly hash: string
}

/** `head`: the last row. `checkpoint`: a row on the way. `anchor`: the last row that was dropped for its age. */
type MarkKind = 'head' | 'checkpoint' | 'anchor'

export interface Mark extends ChainPlace {
  /** `head`, `anchor`, or `checkpoint-` and the row's number in 19 digits. */
  readonly name: string
  readonly at: bigint
  readonly mac: string
}

/** Signs text with a key that whoever writes to the store does not have. */
export type AuditMac = (text: string) => Uint8Array

/** Before the first row. */
export const genesis: ChainPlace = { seq: 0n, hash: '' }

/** `SEQ:HASH`, to be kept elsewhere and compared later. */
export const formatPlace = ({ seq, hash }: ChainPlace): string => `${seq}:${hash}`

/** What `formatPlace` wrote; undefined for any other text. */
export function parsePlace(text: string): ChainPlace | undefined {
  const [, seq, hash] = /^(\d{1,18}):([\w-]{43})$/.exec(text) ?? []
  return seq === undefined || hash === undefined ? undefined : { seq: BigInt(seq), hash }
}

/** The row of an event that follows `before`. */
export function chainRow(event: AuditEvent, before: ChainPlace): AuditRow {
  const { id, timeMs, action, actor, resource, ...rest } = event
  const { userId, ...shown } = actor
  const row = {
    seq: before.seq + 1n,
    id,
    at: BigInt(timeMs),
    action,
    actor_id: userId ?? null,
    resource_type: resource?.type ?? null,
    resource_id: resource?.id ?? null,
    detail: JSON.stringify({ actor: shown, ...rest }),
  }
  return { ...row, hash: hashOf(row, before.hash) }
}

/**
 * The hash that a row has after one with the hash `before`: SHA-256 of a JSON array of that hash and the columns, in
 * base64url. JSON keeps the columns apart, so that no two rows have one encoding.
 */
export function hashOf(row: Omit<AuditRow, 'hash'>, before: string): string {
  const { seq, id, at, action, actor_id, resource_type, resource_id, detail } = row
  const columns = [before, String(seq), id, String(at), action, actor_id, resource_type, resource_id, detail]
  return createHash('sha256').update(JSON.stringify(columns)).digest('base64url')
}

/** The event that a row holds. */
export function eventOf(row: AuditRow): ChainedEvent {
  const { actor, ...rest } = readDetail(row.detail)
  return {
    seq: row.seq,
    hash: row.hash,
    id: row.id,
    timeMs: Number(row.at),
    action: row.action,
    actor: { ...(row.actor_id !== null && { userId: row.actor_id }), ...actor },
    ...(row.resource_type !== null && {
      resource: { type: row.resource_type, id: row.resource_id ?? '' },
    }),
    ...rest,
  }
}

type Detail = Omit<AuditFacts, 'action' | 'resource'>

/** Somebody may have written anything into it; to say so is for `verifyAudit`. */
function readDetail(text: string): Detail {
  try {
    return JSON.parse(text) as Detail
  } catch {
    return { actor: {}, outcome: 'failed', note: 'This event was changed and cannot be read.' }
  }
}

const kindOf = (name: string): string => name.replace(/-.*/, '')

/** A signed mark of a place. */
export function makeMark(kind: MarkKind, place: ChainPlace, made: { atMs: number; mac: AuditMac }): Mark {
  const name = kind === 'checkpoint' ? `checkpoint-${String(place.seq).padStart(19, '0')}` : kind
  const mark = { name, seq: place.seq, hash: place.hash, at: BigInt(made.atMs) }
  return { ...mark, mac: Buffer.from(made.mac(signedText(mark))).toString('base64url') }
}

/** Whether we made this mark, and nobody changed it. */
export function isSigned(mark: Mark, mac: AuditMac): boolean {
  const given = Buffer.from(mark.mac, 'base64url')
  const right = Buffer.from(mac(signedText(mark)))
  return given.length === right.length && timingSafeEqual(given, right)
}

const signedText = ({ name, seq, hash, at }: Omit<Mark, 'mac'>): string =>
  JSON.stringify(['audit', kindOf(name), String(seq), hash, String(at)])
