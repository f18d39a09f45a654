// SQLite's result codes as the gateway's codes.
import { GatewayError } from '../base/errors.ts'
import type { SqliteFault } from './sqlite-protocol.ts'

const constraint = 19

/** Primary result codes (sqlite.org/rescode.html) that are the store's state, not a mistake in a query. */
const unavailable = new Set([
  5, // BUSY
  6, // LOCKED
  7, // NOMEM
  8, // READONLY
  10, // IOERR
  11, // CORRUPT
  13, // FULL
  14, // CANTOPEN
  15, // PROTOCOL
  22, // NOLFS
  26, // NOTADB
])

/** After these the connection's view of its files is in doubt, so it is opened anew. */
const inDoubt = new Set([8, 10, 11, 14, 26])

/** The primary code within an extended one; 0 where it is no SQLite fault. */
export function primaryCode(errcode: number | undefined): number {
  return (errcode ?? 0) & 0xff
}

export function needsReopen(errcode: number | undefined): boolean {
  return inDoubt.has(primaryCode(errcode))
}

/** A thrown value as it can cross threads. node:sqlite's errors carry `errcode`; their messages hold no values. */
export function faultOf(thrown: unknown): SqliteFault {
  if (!(thrown instanceof Error)) return { message: 'a value that is no error was thrown' }
  const { errcode, refusal } = thrown as { errcode?: unknown; refusal?: unknown }
  return {
    message: thrown.message,
    ...(typeof errcode === 'number' && { errcode }),
    ...(typeof refusal === 'string' && { refusal }),
  }
}

/** Constraint → `conflict`; disk, lock and corruption → `store_unavailable`; the rest is a mistake → `internal`. */
export function sqliteError(fault: SqliteFault): GatewayError {
  if (fault.refusal !== undefined)
    return new GatewayError('store_refused', { detail: fault.refusal, cause: new Error(fault.message) })
  const code = primaryCode(fault.errcode)
  const cause = new Error(`SQLite ${fault.errcode ?? 'fault'}: ${fault.message}`)
  if (code === constraint) return new GatewayError('conflict', { cause })
  return new GatewayError(unavailable.has(code) ? 'store_unavailable' : 'internal', { cause })
}
