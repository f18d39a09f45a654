// Prices as callers are told them: of one tool, and of every tool in an answer to tools/list.
import type { Clock } from '../base/clock.ts'
import { assert } from '../base/errors.ts'
import { isObject } from '../base/is-object.ts'
import { exactly } from '../eras/exact-json.ts'
import type { Json } from '../eras/json-object.ts'
import { booksOf } from '../ledger/account-books.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { priceTag, type PriceTag } from '../pricing/price-tag.ts'
import type { RuleBook } from '../pricing/rules.ts'
import type { Server } from '../registry/server.ts'
import type { JsonRpcMessage } from '../wire/json-rpc.ts'
import type { Addressed } from './ways.ts'

/** Whose price it is. */
export interface Payer {
  readonly userId: string
  readonly accountId: string
}

export interface PriceTagsOptions {
  readonly rules: Pick<RuleBook, 'findRule'>
  readonly ledger: Pick<Ledger, 'findAccount'>
  readonly clock: Clock
}

/** A tool as the caller of an endpoint knows it → the server that has it, and its own name there. */
export type FindTool = (name: string) => Addressed | undefined

const metaKey = 'tollbridge/price'

/** Tells the price that the relay would choose for a call that arrived now. */
export class PriceTags {
  readonly #options: PriceTagsOptions

  constructor(options: PriceTagsOptions) {
    this.#options = options
  }

  /** `transport` is the caller's, since a rule may name it. */
  of(
    { userId, accountId }: Payer,
    { server, tool, transport }: { server: Pick<Server, 'name'>; tool: string; transport: string },
  ): PriceTag {
    const { rules, ledger, clock } = this.#options
    const account = ledger.findAccount(accountId)
    assert(account, 'every caller has an account')
    const { currency } = account
    const call = { server: server.name, method: 'tools/call', tool, transport }
    const books = booksOf(account, ledger)
    const facts = { ...call, user: userId, account: accountId, currency, books, atMs: clock.now() }
    return priceTag(rules.findRule(facts), currency)
  }

  /**
   * An answer to tools/list with `_meta["tollbridge/price"]` on each tool whose price is to be shown; undefined where
   * that is none, so that the server's bytes may go through as they are. Numbers stay as the server wrote them.
   */
  onList(
    answer: JsonRpcMessage,
    bytes: Uint8Array,
    { payer, transport, find, isShown }: ListPricing,
  ): JsonRpcMessage | undefined {
    if (!Array.isArray(answer.result?.['tools'])) return undefined
    const written = exactly(answer, bytes)
    const tools = written.result?.['tools'] as readonly unknown[]
    let changed = false
    const tagged = tools.map((tool) => {
      if (!isObject(tool) || typeof tool['name'] !== 'string') return tool
      const found = find(tool['name'])
      if (!found || !isShown(found.server)) return tool
      changed = true
      const price = this.of(payer, { ...found, tool: found.tool ?? tool['name'], transport })
      return { ...tool, _meta: { ...metaOf(tool), [metaKey]: price } }
    })
    return changed ? { ...written, result: { ...written.result, tools: tagged } } : undefined
  }
}

export interface ListPricing {
  readonly payer: Payer
  readonly transport: string
  readonly find: FindTool
  /** Whether the prices of a server's tools are to be shown to this caller. */
  readonly isShown: (server: Server) => boolean
}

const metaOf = (tool: Json): Json => (isObject(tool['_meta']) ? tool['_meta'] : {})
