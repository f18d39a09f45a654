// The demo's prices: one of each kind that people ask for. What they do is in docs/billing.md.
import type { PriceBooks } from '../pricing/books/price-books.ts'
import type { RuleBook } from '../pricing/rules.ts'

/** The book of customers who pay by invoice. */
const partner = { name: 'partner', description: 'Customers who pay by invoice' }

const byTiers = {
  tiers: {
    mode: 'graduated',
    unit: 'call',
    per: 'account',
    period: 'month',
    steps: [
      { upTo: '1000', unitPrice: '0.004' },
      { upTo: '10000', unitPrice: '0.003' },
      { upTo: null, unitPrice: '0.002' },
    ],
  },
}

/** Makes them as of the clock of `rules`. Returns the rule whose price goes up in the middle of the month. */
export async function makePrices(
  { rules, books }: { readonly rules: RuleBook; readonly books: PriceBooks },
  { currency, by }: { readonly currency: string; readonly by: string },
): Promise<string> {
  const all = { active: true, currency }
  await books.create(partner, by)
  const { ruleId } = await rules.create(
    {
      ...all,
      name: 'Maps: routes',
      priority: 20,
      match: { server: 'maps', tool: 'route' },
      price: { perCall: '0.01' },
    },
    by,
  )
  for (const rule of [
    { name: 'Maps', priority: 10, match: { server: 'maps', method: 'tools/call' }, price: byTiers },
    {
      name: 'Maps for partners',
      book: partner.name,
      priority: 30,
      match: { server: 'maps', method: 'tools/call' },
      price: { perCall: '0.0035' },
    },
    {
      name: 'Papers',
      priority: 10,
      match: { server: 'papers', method: 'tools/call' },
      price: { perCall: '0.01', perKb: '0.0015' },
    },
    {
      name: 'Papers: summaries by tokens',
      priority: 20,
      match: { server: 'papers', tool: 'summarize' },
      price: { perToken: '0.000012', minimum: '0.005', maximum: '0.5' },
    },
    {
      name: 'Warehouse: queries by the second',
      priority: 20,
      match: { server: 'warehouse', tool: 'run_query' },
      price: { perSecond: '0.02', minimum: '0.01' },
      billOn: ['success', 'tool_error'],
    },
    {
      name: 'Warehouse: the list of tables is free',
      priority: 20,
      match: { server: 'warehouse', tool: 'list_tables' },
      price: { perCall: '0' },
    },
  ])
    await rules.create({ ...all, ...rule }, by)
  return ruleId
}

/** What `makePrices` returned costs more from now on. */
export async function raisePrice(rules: RuleBook, ruleId: string, by: string): Promise<void> {
  await rules.change(ruleId, { price: { perCall: '0.012' } }, by)
}
