// Builds the prices: published rules, drafts of rules, and price books.
import type { Clock } from '../base/clock.ts'
import type { Database } from '../db/database.ts'
import { PriceBooks } from '../pricing/books/price-books.ts'
import { PriceBookStore } from '../pricing/books/store.ts'
import { Drafts } from '../pricing/drafts/drafts.ts'
import { DraftStore } from '../pricing/drafts/store.ts'
import { RuleBook } from '../pricing/rules.ts'
import { RuleStore } from '../pricing/store.ts'

/** Loads the rules; drafts and books are read when they are asked for. */
export async function buildPrices(db: Database, clock: Clock) {
  const rules = await RuleBook.open({ store: new RuleStore(db), clock })
  const drafts = new Drafts({ store: new DraftStore(db), rules, clock })
  const books = new PriceBooks({ store: new PriceBookStore(db), rules, clock })
  return { rules, drafts, books }
}
