// What crosses between the event loop and a SQLite thread: requests, answers, and faults without their values.
import type { HotTable } from './batch.ts'
import type { SqlValue } from './database.ts'

export interface SqliteThreadOptions {
  readonly file: string
  /** The writer checks and creates the file; the reader opens what the writer has opened. */
  readonly role: 'writer' | 'reader'
  readonly durability: 'disk' | 'process'
  readonly busyTimeoutMs: number
  /** Prepared statements kept per thread. */
  readonly maxStatements: number
  /** A larger file is opened without reading every page first. */
  readonly maxQuickCheckBytes: number
}

export interface SqlStatement {
  readonly sql: string
  readonly parameters: readonly SqlValue[]
}

export type SqliteRequest =
  | { readonly kind: 'open' }
  | { readonly kind: 'read'; readonly statement: SqlStatement }
  | { readonly kind: 'write'; readonly statements: readonly SqlStatement[] }
  | { readonly kind: 'commit'; readonly buffer: ArrayBuffer; readonly newTables: readonly HotTable[] }
  | { readonly kind: 'close' }

/** Why a request failed. `errcode` is SQLite's extended result code; `refusal` is a sentence for the operator. */
export interface SqliteFault {
  readonly message: string
  readonly errcode?: number
  readonly refusal?: string
}

export interface SqliteMessage {
  readonly id: number
  readonly request: SqliteRequest
}

export type SqliteAnswer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly fault: SqliteFault }
