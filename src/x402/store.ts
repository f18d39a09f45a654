// The rows of payments for single calls: taken before their call is sent, charged with its record, ended once.
import type { HotRow, HotTable } from '../db/batch.ts'
import type { Compilable, Database } from '../db/database.ts'
import type { SealedColumn } from '../db/sealed-column.ts'

/** `released`: nothing was charged. `unclear`: refused, though an earlier try may have settled it. */
export type EndState = 'released' | 'settled' | 'refused' | 'unclear'

interface Tables {
  x402_payment: {
    name: string
    record: bigint
    account_id: string
    sealed: string
    state: 'taken' | EndState
    settlement: string | null
    at: bigint
    ended_at: bigint | null
  }
  x402_charge: { record: bigint; units: string; amount: bigint; at: bigint }
}

export interface TakenRow {
  /** See `paymentKey`. */
  readonly name: string
  /** Of the call that it pays for. */
  readonly record: bigint
  readonly accountId: string
  /** The payment and what was verified, sealed. */
  readonly sealed: string
  readonly atMs: number
}

/** What is to be settled of a payment; commits with the record of its call. */
export interface PaymentCharge {
  /** Of the call. */
  readonly settles: bigint
  /** In the asset's smallest units. */
  readonly units: bigint
  /** In nano-units. */
  readonly amount: bigint
  readonly atMs: number
}

/** A payment whose call is on record and that was not settled yet. */
export interface PendingPayment extends Pick<TakenRow, 'record' | 'accountId' | 'sealed'> {
  readonly units: bigint
  readonly amount: bigint
}

const chargeTable: HotTable = {
  name: 'x402_charge',
  mode: 'insert',
  keys: ['record'],
  columns: { record: 'integer', units: 'text', amount: 'integer', at: 'integer' },
}

export const paymentChargeRow = ({ settles, units, amount, atMs }: PaymentCharge): HotRow => ({
  table: chargeTable,
  values: [settles, units.toString(), amount, atMs],
})

export class PaymentStore {
  readonly #db: Database
  readonly #sql

  constructor(db: Database) {
    this.#db = db
    this.#sql = db.builder<Tables>()
  }

  async isTaken(name: string): Promise<boolean> {
    const query = this.#sql.selectFrom('x402_payment').select('record').where('name', '=', name)
    return (await this.#db.read(query)).length > 0
  }

  /** Durable when it resolves; rejects with `conflict` where the payment was taken before. */
  async take({ name, record, accountId, sealed, atMs }: TakenRow): Promise<void> {
    await this.#db.write(
      this.#sql.insertInto('x402_payment').values({
        name,
        record,
        account_id: accountId,
        sealed,
        state: 'taken',
        settlement: null,
        at: BigInt(atMs),
        ended_at: null,
      }),
    )
  }

  /** Ends a payment, and runs `also` in the same transaction. What was signed is forgotten. */
  async end(
    record: bigint,
    end: { readonly state: EndState; readonly settlement?: string; readonly atMs: number },
    also: readonly Compilable[] = [],
  ): Promise<void> {
    const query = this.#sql
      .updateTable('x402_payment')
      .set({ state: end.state, settlement: end.settlement ?? null, sealed: '', ended_at: BigInt(end.atMs) })
      .where('record', '=', record)
      .where('state', '=', 'taken')
    await this.#db.write(query, ...also)
  }

  /** Oldest first, after a record. */
  async listPending(after: bigint, limit: number): Promise<PendingPayment[]> {
    const query = this.#sql
      .selectFrom('x402_payment as p')
      .innerJoin('x402_charge as c', 'c.record', 'p.record')
      .select(['p.record', 'p.account_id', 'p.sealed', 'c.units', 'c.amount'])
      .where('p.state', '=', 'taken')
      .where('p.record', '>', after)
      .orderBy('p.record')
      .limit(limit)
    return (await this.#db.read(query)).map((row) => ({
      record: row.record,
      accountId: row.account_id,
      sealed: row.sealed,
      units: BigInt(row.units),
      amount: row.amount,
    }))
  }

  /** Ends what was taken before this time for calls that left no record: they did not end while a gateway ran. */
  async releaseLeft(beforeMs: number, nowMs: number): Promise<void> {
    const charged = this.#sql.selectFrom('x402_charge').select('record')
    await this.#db.write(
      this.#sql
        .updateTable('x402_payment')
        .set({ state: 'released', sealed: '', ended_at: BigInt(nowMs) })
        .where('state', '=', 'taken')
        .where('at', '<', BigInt(beforeMs))
        .where('record', 'not in', charged),
    )
  }
}

export const takenPayments: SealedColumn = {
  holds: 'payments that are not settled',
  table: 'x402_payment',
  column: 'sealed',
  id: ['name'],
  contextOf: () => 'x402-payment',
}
