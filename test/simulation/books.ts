// What the disk of a simulation says, read with SQL of its own.
import { partSeparator } from '../../src/usage/batch.ts'
import type { Disk } from './store.ts'

export interface BookedRecord {
  readonly id: bigint
  readonly accountId: string
  readonly tool: string
  readonly outcome: string
  readonly cost: bigint
  readonly requestBytes: number
  readonly responseBytes: number
  readonly durationUs: number
  readonly key: string | null
  /** The number of the call in the simulation. */
  readonly number: number
  readonly error: string | null
}

interface Row {
  id: bigint
  account: string
  tool: string
  outcome: string
  client: string
  cost: bigint
  request_bytes: bigint
  response_bytes: bigint
  duration_us: bigint
  idempotency_key: string | null
  error: string | null
}

export function readRecords(disk: Disk): BookedRecord[] {
  const text = (column: string) => `(SELECT value FROM dimension WHERE id = r.${column}) AS ${column}`
  const rows = disk.all<Row>(
    `SELECT r.id, ${text('account')}, ${text('tool')}, ${text('outcome')}, ${text('client')}, cost, request_bytes,
     response_bytes, duration_us, idempotency_key, error FROM usage_record r ORDER BY r.id`,
  )
  return rows.map((row) => ({
    id: row.id,
    accountId: row.account,
    tool: row.tool,
    outcome: row.outcome,
    cost: row.cost,
    requestBytes: Number(row.request_bytes),
    responseBytes: Number(row.response_bytes),
    durationUs: Number(row.duration_us),
    key: row.idempotency_key,
    number: Number(row.client.split(partSeparator)[1]?.replace('ask-', '')),
    error: row.error,
  }))
}

interface Sums {
  granted: bigint
  charged: bigint
  expired: bigint
}

/** What each account was granted, with corrections, and what left it by charges and expiries, by account id. */
export function readTransfers(disk: Disk): Map<string, Sums> {
  const rows = disk.all<{ account: string; kind: string; amount: bigint }>(
    `SELECT a.account_id AS account, t.kind AS kind, sum(t.amount) AS amount FROM transfer t
     JOIN ledger_account a ON a.id = CASE WHEN t.kind IN ('grant', 'reprice', 'credit-note') THEN t.credit ELSE t.debit END
     GROUP BY a.account_id, t.kind`,
  )
  const sums = new Map<string, Sums>()
  const of = (account: string): Sums => sums.get(account) ?? { granted: 0n, charged: 0n, expired: 0n }
  for (const { account, kind, amount } of rows) {
    const sum = of(account)
    if (kind === 'grant' || kind === 'credit-note') sum.granted += amount
    else if (kind === 'charge') sum.charged += amount
    else if (kind === 'reprice') sum.charged -= amount
    else if (kind === 'expiry' || kind === 'void') sum.expired += amount
    sums.set(account, sum)
  }
  const adjusted = disk.all<{ account: string; amount: bigint }>(
    `SELECT a.account_id AS account, sum(CASE WHEN a.id = t.credit THEN t.amount ELSE -t.amount END) AS amount
     FROM transfer t JOIN ledger_account a ON a.id IN (t.debit, t.credit)
     WHERE t.kind = 'adjustment' AND a.account_id IS NOT NULL GROUP BY a.account_id`,
  )
  for (const { account, amount } of adjusted) {
    const sum = of(account)
    sums.set(account, { ...sum, granted: sum.granted + amount })
  }
  return sums
}
