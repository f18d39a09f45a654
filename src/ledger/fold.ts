// Wallets out of the store: what each account owes and what its grants have left, by the running totals of their transfers.
import { assert } from '../base/errors.ts'
import type { LedgerAccountRow, LedgerStore } from './store.ts'
import { Wallet } from './wallet.ts'

export interface Folded {
  readonly wallets: readonly { readonly wallet: Wallet; readonly breakage: number }[]
  /** Ledger accounts that stand once per currency. */
  readonly system: readonly LedgerAccountRow[]
  readonly lastLedgerAccount: number
}

/** Reads running totals alone, so that it takes as long as there are accounts and grants, however many transfers. */
export async function foldWallets(store: LedgerStore): Promise<Folded> {
  const [accounts, rows, grants] = await Promise.all([
    store.listAccounts(),
    store.listLedgerAccounts(),
    store.listGrants(),
  ])
  const byId = new Map(rows.map((row) => [row.id, row]))
  const rowOf = new Map(rows.map((row) => [`${row.kind}:${row.accountId ?? row.currency}`, row]))
  const returned = await store.listReturned(rows.filter(({ kind }) => kind === 'funding').map(({ id }) => id))
  const paid = await store.listPaid()
  const grantsOf = Map.groupBy(grants, (grant) => grant.accountId)
  const wallets = accounts.map((account) => {
    const receivable = rowOf.get(`receivable:${account.id}`)
    const breakage = rowOf.get(`breakage:${account.id}`)
    assert(receivable && breakage, 'every account has its ledger accounts')
    const loads = (grantsOf.get(account.id) ?? []).map((grant) => ({
      grant,
      remaining: grant.amount - (byId.get(grant.ledgerAccount)?.debits ?? 0n),
    }))
    const wallet = new Wallet({
      account,
      receivable: receivable.id,
      paid: (paid.get(receivable.id) ?? 0n) - (returned.get(receivable.id) ?? 0n),
      owed: receivable.debits - receivable.credits,
      expired: breakage.credits,
      voided: loads.reduce((sum, { grant }) => sum + (returned.get(grant.ledgerAccount) ?? 0n), 0n),
      grants: loads,
    })
    return { wallet, breakage: breakage.id }
  })
  return {
    wallets,
    system: rows.filter(({ accountId }) => accountId === null),
    lastLedgerAccount: rows.reduce((last, { id }) => Math.max(last, id), 0),
  }
}
