// A definition of a tool as it is compared: its text in one canonical order, and the hash of that.
import { createHash } from 'node:crypto'
import { isObject } from '../../base/is-object.ts'

/** Why a definition waits for approval. */
export const holdReasons = ['new', 'changed', 'flagged', 'withdrawn'] as const
export type HoldReason = (typeof holdReasons)[number]

/** One definition that a server has listed under a tool's name, approved or waiting. */
export interface SeenDefinition {
  readonly serverId: string
  readonly tool: string
  /** SHA-256 of the canonical text, in hex. */
  readonly hash: string
  /** Canonical JSON; absent where it is larger than what is kept. */
  readonly text?: string | undefined
  /** Absent: it is approved. */
  readonly waiting?: HoldReason | undefined
  /** Since when it waits, or was approved. Milliseconds since the epoch. */
  readonly atMs: number
  /** The user who approved or withdrew it; absent where it was what was seen first. */
  readonly by?: string | undefined
}

/** What is not nested deeper than `findFlag` lets through. Numbers count by their value as a double. */
export function canonicalText(value: unknown): string {
  if (isRaw(value)) return JSON.stringify(JSON.parse(value.rawJSON))
  if (Array.isArray(value)) return `[${value.map(canonicalText).join(',')}]`
  if (!isObject(value)) return JSON.stringify(value) ?? 'null'
  const members = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalText(value[key])}`)
  return `{${members.join(',')}}`
}

/** A number that is kept as its text, see `exactly`. JSON itself makes no object without a prototype. */
const isRaw = (value: unknown): value is { rawJSON: string } =>
  isObject(value) && Object.getPrototypeOf(value) === null && typeof value['rawJSON'] === 'string'

export const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex')
