// The table of billing details: who is billed for an account.
import type { Database } from '../db/database.ts'
import type { Profile } from './profile.ts'

interface Tables {
  billing_profile: {
    account_id: string
    name: string | null
    address: string | null
    country: string | null
    tax_id: string | null
    email: string | null
    updated_at: bigint
  }
}

export class ProfileStore {
  readonly #db: Database
  readonly #sql

  constructor(db: Database) {
    this.#db = db
    this.#sql = db.builder<Tables>()
  }

  /** An account's details; empty where nobody has set any. */
  async read(accountId: string): Promise<Profile> {
    const query = this.#sql.selectFrom('billing_profile').selectAll().where('account_id', '=', accountId)
    const [row] = await this.#db.read(query)
    if (!row) return {}
    const { name, address, country, tax_id: taxId, email } = row
    const members = Object.entries({ name, address, country, taxId, email })
    return Object.fromEntries(members.filter(([, value]) => value !== null)) as Profile
  }

  async put(accountId: string, profile: Profile, nowMs: number): Promise<void> {
    const { name = null, address = null, country = null, taxId = null, email = null } = profile
    const values = { name, address, country, tax_id: taxId, email, updated_at: BigInt(nowMs) }
    await this.#db.write(
      this.#sql
        .insertInto('billing_profile')
        .values({ account_id: accountId, ...values })
        .onConflict((c) => c.column('account_id').doUpdateSet(values)),
    )
  }
}
