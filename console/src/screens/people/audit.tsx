// Who did what: the audit log, filtered by its address, and whether it is whole.
import { useMutation } from '@tanstack/react-query'
import { call } from '../../api/client.ts'
import type { Schemas } from '../../api/types.ts'
import { Field } from '../../parts/field.tsx'
import { count, Time } from '../../parts/format.tsx'
import { PagedTable } from '../../parts/paged-table.tsx'
import { Empty, Failure } from '../../parts/states.tsx'
import type { Column } from '../../parts/table.tsx'

export interface AuditFilter {
  readonly action?: string
}

export function readAuditFilter({ action }: Record<string, unknown>): AuditFilter {
  return typeof action === 'string' && action !== '' ? { action } : {}
}

const columns: readonly Column<Schemas['AuditEvent']>[] = [
  { title: 'When', cell: ({ time }) => <Time at={time} /> },
  { title: 'Who', cell: ({ actor }) => actor.username ?? actor.userId ?? 'nobody' },
  { title: 'What', cell: ({ action }) => <code>{action}</code> },
  { title: 'To what', cell: ({ resource }) => (resource ? <code>{resource.id}</code> : '') },
  { title: 'Outcome', cell: ({ outcome, code }) => (code === undefined ? outcome : `${outcome}: ${code}`) },
  { title: 'From', cell: ({ ip }) => ip },
]

interface AuditProps {
  readonly filter: AuditFilter
  readonly onFilter: (filter: AuditFilter) => void
}

export function Audit({ filter, onFilter }: AuditProps) {
  const verify = useMutation({ mutationFn: () => call('GET /audit/verify') })
  return (
    <>
      <h1>Audit</h1>
      <div className="filters">
        <Field label="Action" hint="Such as servers.create">
          <input
            value={filter.action ?? ''}
            onChange={(event) => onFilter(readAuditFilter({ action: event.target.value }))}
          />
        </Field>
        <button type="button" onClick={() => verify.mutate()} disabled={verify.isPending}>
          Verify the chain
        </button>
        <p role="status">
          {verify.data?.ok === true && `Whole: ${count(verify.data.events)} events, none changed.`}
          {verify.data?.ok === false && `Not whole: ${count(verify.data.differenceCount)} differences.`}
        </p>
      </div>
      <Failure error={verify.error} />
      <PagedTable
        name="Audit events"
        of={['audit', filter]}
        every={10_000}
        fetchPage={(query) => call('GET /audit', { query: { ...query, ...filter } })}
        columns={columns}
        idOf={({ id }) => id}
        empty={<Empty title="No such events" />}
      />
    </>
  )
}
