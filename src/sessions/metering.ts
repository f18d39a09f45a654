// Opens the charges of calls against the rules, the ledger and the writer of this node.
import { assert, type GatewayError } from '../base/errors.ts'
import type { UsageReport } from '../registry/server.ts'
import { Charge, type CallOrigin, type MeteringOptions } from './charge.ts'
import type { CallPayment } from './paid-calls.ts'

/** A charge that holds what its call may cost first, or the reason why nothing may be sent. */
export interface Begun {
  readonly charge: Charge
  readonly refusal?: GatewayError
}

/** Opens charges against the rules, the ledger and the writer of this node. */
export class Metering {
  readonly #options: MeteringOptions

  constructor(options: MeteringOptions) {
    this.#options = options
  }

  /**
   * Chooses the rule and holds the worst case of the first stretch. Where the account does not cover it, the charge
   * comes with a `refusal` and must be settled as `denied`; nothing may be sent upstream. `report` bounds what the
   * server may say of its own use.
   */
  begin(origin: CallOrigin, report?: UsageReport): Begun {
    return this.open(this.prepare(origin, report))
  }

  /** A charge that holds nothing yet: `open` or `drop` it. */
  prepare(origin: CallOrigin, report?: UsageReport): Charge {
    return new Charge(origin, report, this.#options)
  }

  /** Holds the worst case of the first stretch, of the account's money or of a payment for this call. */
  open(charge: Charge, payment?: CallPayment): Begun {
    const refusal = charge.open(payment)
    this.#options.writer.announce()
    return refusal ? { charge, refusal } : { charge }
  }

  /** What an account has now, in its own currency. */
  balanceOf(accountId: string): { readonly balance: bigint; readonly currency: string } {
    const { ledger } = this.#options
    const account = ledger.findAccount(accountId)
    assert(account, 'every caller has an account')
    return { balance: ledger.totals(accountId).balance, currency: account.currency }
  }

  /** Whether the store takes records; where it does not, no call is sent upstream. */
  get accepting(): boolean {
    return this.#options.writer.accepting
  }
}
