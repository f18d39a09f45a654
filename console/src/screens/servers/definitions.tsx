// Definitions of tools that are held back: why, what has changed, and the approval of what was seen.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { call } from '../../api/client.ts'
import type { Schemas } from '../../api/types.ts'
import { Time } from '../../parts/format.tsx'
import { Failure } from '../../parts/states.tsx'
import { Table } from '../../parts/table.tsx'

type Definition = Schemas['ToolDefinition']

/** Nothing where nothing is held back. */
export function Definitions({ server }: { readonly server: string }) {
  const definitions = useQuery({
    queryKey: ['definitions', server],
    queryFn: () => call('GET /servers/{id}/definitions', { params: { id: server } }),
    refetchInterval: 15_000,
  })
  const held = definitions.data?.items.filter((each) => each.held !== null) ?? []
  if (held.length === 0) return <Failure error={definitions.error} />
  return (
    <section>
      <h2>Held back until somebody approves</h2>
      {held.map((definition) => (
        <Held key={definition.tool} server={server} definition={definition} />
      ))}
    </section>
  )
}

const reasons = {
  new: 'is new',
  changed: 'is described in another way than when it was approved',
  flagged: 'is described in a way that asks for a second look',
  withdrawn: 'was withdrawn by hand',
} as const

function Held({ server, definition }: { readonly server: string; readonly definition: Definition }) {
  const queries = useQueryClient()
  const { tool, held, waiting, changes, flags } = definition
  const approve = useMutation({
    mutationFn: (hash: string) =>
      call('POST /servers/{id}/definitions/approve', {
        params: { id: server },
        // What was seen, and nothing that came since.
        body: { tools: [{ tool, hash }] },
      }),
    onSuccess: () =>
      Promise.all(
        ['definitions', 'tools'].map((name) => queries.invalidateQueries({ queryKey: [name, server] })),
      ),
  })
  return (
    <article className="panel" aria-label={tool}>
      <p>
        <code>{tool}</code> {held !== null && reasons[held]}
        {waiting && (
          <>
            , seen <Time at={waiting.at} />
          </>
        )}
        .
      </p>
      {flags.length > 0 && (
        <ul>
          {flags.map(({ kind, at, shown }) => (
            <li key={`${kind} ${at}`}>
              {kind} in <code>{at}</code>: <code>{shown}</code>
            </li>
          ))}
        </ul>
      )}
      {changes.length > 0 && (
        <Table
          name={`Changes of ${tool}`}
          rows={changes}
          idOf={({ at }) => at}
          columns={[
            { title: 'Where', cell: ({ at }) => <code>{at}</code> },
            { title: 'Approved', cell: ({ before }) => <Value value={before} /> },
            { title: 'Now', cell: ({ after }) => <Value value={after} /> },
          ]}
        />
      )}
      {waiting && (
        <details>
          <summary>All of what waits</summary>
          <pre tabIndex={0}>{JSON.stringify(waiting.definition, undefined, 2)}</pre>
        </details>
      )}
      <Failure error={approve.error} />
      {waiting && (
        <div className="row">
          <button
            type="button"
            className="primary"
            onClick={() => approve.mutate(waiting.hash)}
            disabled={approve.isPending}
          >
            Approve {tool} as it is described now
          </button>
        </div>
      )}
    </article>
  )
}

function Value({ value }: { readonly value: unknown }) {
  if (value === undefined) return <span className="quiet">nothing</span>
  return <code className="text">{typeof value === 'string' ? value : JSON.stringify(value)}</code>
}
