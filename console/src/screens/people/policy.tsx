// Who may use what, and how much at once: access rules in their order, and limits.
import { call } from '../../api/client.ts'
import type { Schemas } from '../../api/types.ts'
import { bytes } from '../../parts/format.tsx'
import { PagedTable } from '../../parts/paged-table.tsx'
import { Empty } from '../../parts/states.tsx'
import type { Column } from '../../parts/table.tsx'
import { words } from '../../parts/words.ts'

const ruleColumns: readonly Column<Schemas['AccessRule']>[] = [
  { title: 'Name', cell: ({ name }) => name },
  { title: 'Asked', isNumber: true, cell: ({ priority }) => priority },
  { title: 'Effect', cell: ({ effect }) => effect },
  { title: 'Who', cell: ({ who }) => (who ? words(who) : 'everybody') },
  { title: 'Server', cell: ({ server }) => <code>{server}</code> },
  { title: 'What', cell: ({ kind, item }) => <code>{kind === undefined ? item : `${kind} ${item}`}</code> },
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
  return (
    <>
      <h1>Policy</h1>
      <h2>Access rules</h2>
      <PagedTable
        name="Access rules"
        of={['access-rules']}
        fetchPage={() => call('GET /access-rules')}
        columns={ruleColumns}
        idOf={({ id }) => id}
        empty={
          <Empty title="No access rules">
            <p>Whoever may use a server may use all of it. `tollbridge access` narrows that.</p>
          </Empty>
        }
      />
      <h2>Limits</h2>
      <PagedTable
        name="Limits"
        of={['limits']}
        fetchPage={(query) => call('GET /limits', { query })}
        columns={limitColumns}
        idOf={({ id }) => id}
        empty={
          <Empty title="No limits">
            <p>`tollbridge limit add` bounds calls, bytes and streams in a time.</p>
          </Empty>
        }
      />
    </>
  )
}
