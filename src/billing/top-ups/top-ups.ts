// Credits payments: one grant for each, whatever is told twice, at the same time, or after a restart.
import type { Clock } from '../../base/clock.ts'
import { GatewayError } from '../../base/errors.ts'
import { formatAmount } from '../../base/money.ts'
import type { Ledger } from '../../ledger/ledger.ts'
import type { KnownTopUp, TopUpStore } from './store.ts'
import type { Credited, Payment, Provider } from './top-up.ts'

export interface TopUpsOptions {
  readonly store: TopUpStore
  readonly ledger: Pick<Ledger, 'findAccount' | 'grant' | 'settleDoubt'>
  readonly clock: Clock
}

/** As the largest grant; the sum of very many still fits a column. */
const maxAmount = 10n ** 17n

export class TopUps {
  readonly #options: TopUpsOptions
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: TopUpsOptions) {
    this.#options = options
  }

  /**
   * Puts a payment on its account, or says which grant it became before. Rejects with `unprocessable` where the account
   * is not there or kept in another currency, `conflict` where the same event told something else before.
   */
  credit(payment: Payment, provider: Provider): Promise<Credited> {
    const turn = this.#turn.then(() => this.#creditOnce(payment, provider))
    this.#turn = turn.catch(() => {})
    return turn
  }

  async #creditOnce(payment: Payment, provider: Provider): Promise<Credited> {
    const { store } = this.#options
    const known = await store.find(payment.reference)
    if (known) return this.#repeated(known, payment)
    this.#check(payment)
    try {
      return await this.#grant(payment, provider)
    } catch (error) {
      // Another node was first.
      const isConflict = error instanceof GatewayError && error.code === 'conflict'
      const first = isConflict ? await store.find(payment.reference) : undefined
      if (!first) throw error
      return this.#repeated(first, payment)
    }
  }

  async #grant(payment: Payment, provider: Provider): Promise<Credited> {
    const { ledger, store } = this.#options
    const { accountId, amount, expiresAtMs, event, reason = `Top-up ${event}` } = payment
    let grantId = ''
    const input = {
      amount,
      priority: 0,
      reason: reason.slice(0, 500),
      createdBy: `top-up:${provider}`,
      ...(expiresAtMs !== undefined && { expiresAtMs }),
    }
    await ledger.grant(accountId, input, (grant) => {
      grantId = grant.id
      return [store.statement(payment, grant)]
    })
    return { grantId, repeated: false }
  }

  /** A commit that seemed to fail may have reached the disk: then the grant becomes spendable now. */
  async #repeated(known: KnownTopUp, payment: Payment): Promise<Credited> {
    const isSame = known.accountId === payment.accountId
    if (!isSame || (known.event === payment.event && known.amount !== payment.amount))
      throw new GatewayError('conflict', {
        detail: 'This event was credited before with another account or amount; send a new event.',
      })
    await this.#options.ledger.settleDoubt(known.grantId)
    return { grantId: known.grantId, repeated: true }
  }

  #check({ accountId, amount, currency, expiresAtMs }: Payment): void {
    const { ledger, clock } = this.#options
    const account = ledger.findAccount(accountId)
    if (!account) throw refused('There is no account with this id; correct the account of the payment.')
    if (account.currency !== currency)
      throw refused(`The account is kept in ${account.currency} and the payment is in ${currency}.`)
    if (amount <= 0n || amount > maxAmount)
      throw refused(`The amount must be above 0 and at most ${formatAmount(maxAmount)}.`)
    if (expiresAtMs !== undefined && expiresAtMs <= clock.now())
      throw refused('The credit would have expired already; send a later expiresAt, or none.')
  }
}

const refused = (detail: string): GatewayError => new GatewayError('unprocessable', { detail })
