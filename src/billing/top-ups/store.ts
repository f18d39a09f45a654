// The rows of credited payments; each is written in the transaction of its grant.
import type { Compilable, Database } from '../../db/database.ts'
import type { Payment } from './top-up.ts'

interface Tables {
  top_up: {
    reference: string
    event: string
    account_id: string
    grant_id: string
    amount: bigint
    currency: string
    at: bigint
  }
}

export interface KnownTopUp extends Pick<Payment, 'event' | 'accountId' | 'amount'> {
  readonly grantId: string
}

export class TopUpStore {
  readonly #db: Database
  readonly #sql

  constructor(db: Database) {
    this.#db = db
    this.#sql = db.builder<Tables>()
  }

  async find(reference: string): Promise<KnownTopUp | undefined> {
    const query = this.#sql.selectFrom('top_up').selectAll().where('reference', '=', reference)
    const [row] = await this.#db.read(query)
    return row && { event: row.event, accountId: row.account_id, amount: row.amount, grantId: row.grant_id }
  }

  /** Fails with `conflict`, and everything in its transaction with it, where the payment was credited before. */
  statement(payment: Payment, grant: { readonly id: string; readonly createdAtMs: number }): Compilable {
    return this.#sql.insertInto('top_up').values({
      reference: payment.reference,
      event: payment.event,
      account_id: payment.accountId,
      grant_id: grant.id,
      amount: payment.amount,
      currency: payment.currency,
      at: BigInt(grant.createdAtMs),
    })
  }
}
