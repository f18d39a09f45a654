// What a declaration can hold: for each kind of thing where the API keeps it, what names it, and which members are declared.
import { accountKind } from './account-kind.ts'
import { budgetKind } from './budget-kind.ts'
import type { Item, Kind } from './kind.ts'
import { accessRuleKind, limitKind } from './policy-kinds.ts'

const named = (item: Item): string => String(item['name'])

const bookKind: Kind = {
  name: 'books',
  path: '/billing/books',
  nameOf: named,
  idOf: named,
  members: { name: undefined, description: undefined },
}

const ruleKind: Kind = {
  name: 'rules',
  path: '/billing/rules',
  nameOf: named,
  idOf: (item) => String(item['id']),
  members: {
    name: undefined,
    priority: 0,
    active: true,
    currency: undefined,
    book: undefined,
    match: {},
    price: undefined,
    billOn: ['success'],
    effectiveTo: undefined,
  },
}

/** In the order in which they are made; they are removed the other way round. */
export const kinds: readonly Kind[] = [bookKind, ruleKind, accountKind, budgetKind, accessRuleKind, limitKind]
