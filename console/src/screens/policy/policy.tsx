// Who may use what, and how much at once: access rules in their order, and limits.
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { call } from '../../api/client.ts'
import type { Schemas } from '../../api/types.ts'
import { has, useUser } from '../../app/session.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { bytes } from '../../parts/format.tsx'
import { PagedTable } from '../../parts/paged-table.tsx'
import { Empty, Failure } from '../../parts/states.tsx'
import type { Column } from '../../parts/table.tsx'
import { words } from '../../parts/words.ts'
import { AccessRuleForm } from './access-rule-form.tsx'
import { LimitForm } from './limit-form.tsx'

const ruleColumns: readonly Column<Schemas['AccessRule']>[] = [
  { title: 'Name', cell: ({ name }) => name },
  { title: 'Asked', isNumber: true, cell: ({ priority }) => priority },
  { title: 'Effect', cell: ({ effect }) => effect },
  { title: 'Who', cell: ({ who }) => (who ? words(who) : 'everybody') },
  { title: 'Server', cell: ({ server }) => <code>{server}</code> },
  { title: 'What', cell: ({ kind, item }) => <code>{kind === undefined ? item : `${kind} ${item}`}</code> },
  { title: 'Arguments', cell: ({ arguments: schema }) => schema && <code>{JSON.stringify(schema)}</code> },
  { title: 'State', cell: ({ active }) => (active ? 'in force' : 'resting') },
]

const limitColumns: readonly Column<Schemas['Limit']>[] = [
  { title: 'Name', cell: ({ name }) => name },
  { title: 'For', cell: ({ match }) => words(match) || 'every call' },
  { title: 'Each', cell: ({ per }) => (per.length === 0 ? 'all together' : per.join(' and ')) },
  { title: 'Calls', cell: ({ rate }) => (rate ? `${rate.calls} in ${rate.seconds} s` : '') },
  {
    title: 'Bytes',
    cell: ({ bandwidth }) => (bandwidth ? `${bytes(bandwidth.bytes)} in ${bandwidth.seconds} s` : ''),
  },
  { title: 'At once', isNumber: true, cell: ({ concurrent }) => concurrent ?? '' },
  { title: 'State', cell: ({ active }) => (active ? 'in force' : 'resting') },
]

export function Policy() {
  const mayChange = has(useUser(), 'admin')
  return (
    <>
      <div className="head">
        <h1>Policy</h1>
        <Link to="/policy/explain" className="button">
          May they?
        </Link>
      </div>
      <AccessRules mayChange={mayChange} />
      <Limits mayChange={mayChange} />
    </>
  )
}

interface PartProps {
  readonly mayChange: boolean
}

function AccessRules({ mayChange }: PartProps) {
  const { change, actions } = useActions<Schemas['AccessRule']>('access-rules', {
    toggle: ({ id, active }) =>
      call('PATCH /access-rules/{id}', { params: { id }, body: { active: !active } }),
    remove: ({ id }) => call('DELETE /access-rules/{id}', { params: { id } }),
  })
  return (
    <section>
      <h2>Access rules</h2>
      {mayChange && <AccessRuleForm />}
      <Failure error={change.error} />
      <PagedTable
        name="Access rules"
        of={['access-rules']}
        fetchPage={() => call('GET /access-rules')}
        columns={mayChange ? [...ruleColumns, actions] : ruleColumns}
        idOf={({ id }) => id}
        empty={
          <Empty title="No access rules">
            <p>Whoever may use a server may use all of it, until a rule narrows that.</p>
          </Empty>
        }
      />
    </section>
  )
}

function Limits({ mayChange }: PartProps) {
  const { change, actions } = useActions<Schemas['Limit']>('limits', {
    toggle: ({ id, active }) => call('PATCH /limits/{id}', { params: { id }, body: { active: !active } }),
    remove: ({ id }) => call('DELETE /limits/{id}', { params: { id } }),
  })
  return (
    <section>
      <h2>Limits</h2>
      {mayChange && <LimitForm />}
      <Failure error={change.error} />
      <PagedTable
        name="Limits"
        of={['limits']}
        fetchPage={(query) => call('GET /limits', { query })}
        columns={mayChange ? [...limitColumns, actions] : limitColumns}
        idOf={({ id }) => id}
        empty={
          <Empty title="No limits">
            <p>A limit bounds calls, bytes and streams in a time, and how many run at once.</p>
          </Empty>
        }
      />
    </section>
  )
}

interface Switchable {
  readonly id: string
  readonly name: string
  readonly active: boolean
}

/** A column with a switch and a way to remove the row. */
function useActions<Row extends Switchable>(
  list: string,
  work: { readonly toggle: (row: Row) => Promise<unknown>; readonly remove: (row: Row) => Promise<unknown> },
) {
  const queries = useQueryClient()
  const change = useMutation({
    mutationFn: (act: () => Promise<unknown>) => act(),
    onSettled: () => queries.invalidateQueries({ queryKey: [list] }),
  })
  const actions: Column<Row> = {
    title: '',
    cell: (row) => (
      <span className="row">
        <button
          type="button"
          disabled={change.isPending}
          onClick={() => change.mutate(() => work.toggle(row))}
        >
          {row.active ? 'Let it rest' : 'Put it in force'}
        </button>
        <Confirm verb="Remove" what={row.name} onConfirm={() => change.mutate(() => work.remove(row))} />
      </span>
    ),
  }
  return { change, actions }
}
