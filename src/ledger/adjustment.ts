// What a correction moves: out of the account's grants and what it owes, or back to it. Pure.
import type { AdjustmentInput } from './account.ts'
import type { Draw, Wallet } from './wallet.ts'

/** One transfer of a correction: what leaves where, and the ledger account at which it arrives. */
interface Movement {
  readonly draw: Draw
  readonly credit: number
}

/** The movements of a correction. What is taken is out of the wallet at once; `undo` puts it back. */
export function adjustWallet(
  wallet: Wallet,
  { amount }: AdjustmentInput,
  { revenue, now }: { readonly revenue: number; readonly now: number },
): { movements: Movement[]; undo: () => void } {
  if (amount > 0n) {
    const draw = { ledgerAccount: revenue, amount }
    return { movements: [{ draw, credit: wallet.receivable }], undo: () => {} }
  }
  const draws = wallet.charge(-amount, now)
  return {
    movements: draws.map((draw) => ({ draw, credit: revenue })),
    undo: () => wallet.takeBack(draws),
  }
}
