// Price rules in the order in which they are asked, what is odd about them, and a form for one more.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { call } from '../../api/client.ts'
import { allPages } from '../../api/pages.ts'
import type { Schemas } from '../../api/types.ts'
import { has, useUser } from '../../app/session.ts'
import { priceText } from '../../parts/price.ts'
import { Empty, Failure, Loaded } from '../../parts/states.tsx'
import { Table, type Column } from '../../parts/table.tsx'
import { words } from '../../parts/words.ts'
import { AddRule } from './add-rule.tsx'

type Rule = Schemas['Rule']

export function Prices() {
  const user = useUser()
  const rules = useQuery({
    queryKey: ['rules', 'all'],
    queryFn: () => allPages((query) => call('GET /billing/rules', { query })),
  })
  return (
    <>
      <PriceHead />
      {has(user, 'admin') && <AddRule />}
      <Findings />
      <Loaded query={rules}>
        {(items) =>
          items.length === 0 ? (
            <Empty title="No prices yet">
              <p>
                Until a rule is for a call, it costs nothing. Of all rules for a call the one that is asked
                first counts.
              </p>
            </Empty>
          ) : (
            booksOf(items).map(({ title, rules: own }) => <RuleTable key={title} title={title} rules={own} />)
          )
        }
      </Loaded>
    </>
  )
}

/** The heading of all views of prices, and the way between them. */
export function PriceHead() {
  const views = [
    ['/prices', 'Rules'],
    ['/prices/drafts', 'Drafts'],
    ['/prices/explain', 'Explain'],
    ['/prices/simulate', 'Simulate'],
  ] as const
  return (
    <>
      <h1>Prices</h1>
      <p className="tabs">
        {views.map(([to, title]) => (
          <Link key={to} to={to} activeOptions={{ exact: true, includeSearch: false }}>
            {title}
          </Link>
        ))}
      </p>
    </>
  )
}

/** Those of each book in the order in which they are asked; books come before what is for everybody. */
function booksOf(
  rules: readonly Rule[],
): readonly { readonly title: string; readonly rules: readonly Rule[] }[] {
  const byBook = Map.groupBy(
    rules.toSorted((one, other) => (one.rank ?? 0) - (other.rank ?? 0)),
    ({ book }) => book ?? '',
  )
  return [...byBook]
    .toSorted(([one], [other]) => Number(one === '') - Number(other === ''))
    .map(([book, own]) => ({ title: book === '' ? 'For every account' : `In the book ${book}`, rules: own }))
}

function RuleTable({ title, rules }: { readonly title: string; readonly rules: readonly Rule[] }) {
  const user = useUser()
  const queries = useQueryClient()
  const change = useMutation({
    mutationFn: ({ id, active }: Rule) =>
      call('PATCH /billing/rules/{id}', { params: { id }, body: { active: !active } }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['rules'] }),
  })
  const columns: readonly Column<Rule>[] = [
    { title: 'Asked', isNumber: true, cell: ({ rank }) => rank },
    {
      title: 'Name',
      cell: ({ id, name }) => (
        <Link to="/prices/$id" params={{ id }}>
          {name}
        </Link>
      ),
    },
    { title: 'For', cell: ({ match }) => words(match) || 'every call' },
    { title: 'Priority', isNumber: true, cell: ({ priority }) => priority },
    { title: 'Price', cell: ({ price, currency }) => priceText({ price, currency }) },
    { title: 'Version', isNumber: true, cell: ({ version }) => version },
    {
      title: 'State',
      cell: ({ active, state }) => (
        <span className={`badge ${active ? 'active' : 'quiet'}`}>
          {state === 'retired' ? 'retired' : active ? 'in force' : 'resting'}
        </span>
      ),
    },
  ]
  const switchColumn: Column<Rule> = {
    title: '',
    cell: (rule) =>
      rule.state === 'published' && (
        <button type="button" onClick={() => change.mutate(rule)} disabled={change.isPending}>
          {rule.active ? 'Let it rest' : 'Put it in force'}
        </button>
      ),
  }
  return (
    <section>
      <h2>{title}</h2>
      <Failure error={change.error} />
      <Table
        name={`Prices: ${title}`}
        columns={has(user, 'admin') ? [...columns, switchColumn] : columns}
        rows={rules}
        idOf={({ id }) => id}
      />
    </section>
  )
}

/** What the gateway finds odd about the rules: calls without a price, rules that never count. */
function Findings() {
  const lint = useQuery({
    queryKey: ['rules', 'lint'],
    queryFn: () => call('POST /billing/lint', { body: { tools: false } }),
  })
  if (!lint.data || lint.data.findings.length === 0) return null
  return (
    <section>
      <h2>What is odd about them</h2>
      <ul className="attention">
        {lint.data.findings.map(({ sentence }) => (
          <li key={sentence}>{sentence}</li>
        ))}
      </ul>
    </section>
  )
}
