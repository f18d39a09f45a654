// What the gateway runs with: every setting, its value, and where that came from.
import { useQuery } from '@tanstack/react-query'
import { call } from '../../api/client.ts'
import type { Schemas } from '../../api/types.ts'
import { Field } from '../../parts/field.tsx'
import { count, Time } from '../../parts/format.tsx'
import { Empty, Loaded } from '../../parts/states.tsx'
import { Table, type Column } from '../../parts/table.tsx'

type Setting = Schemas['EffectiveSettings']['items'][number]

export interface SettingFilter {
  readonly find?: string
  /** Only what is not as it comes. */
  readonly changed?: true
}

export function readSettingFilter({ find, changed }: Record<string, unknown>): SettingFilter {
  return {
    ...(typeof find === 'string' && find !== '' && { find }),
    ...((changed === true || changed === 'true') && { changed: true }),
  }
}

const columns: readonly Column<Setting>[] = [
  {
    title: 'Setting',
    cell: ({ key, description }) => (
      <>
        <code>{key}</code>
        {description !== undefined && <p className="hint">{description}</p>}
      </>
    ),
  },
  { title: 'Value', cell: ({ value }) => (value === null ? <Unset /> : <code>{shown(value)}</code>) },
  {
    title: 'From',
    cell: ({ origin }) => (
      <span className={`badge ${origin.kind === 'default' ? 'quiet' : 'finalized'}`}>{origin.where}</span>
    ),
  },
  { title: 'Variable', cell: ({ variable }) => <code>{variable}</code> },
]

const Unset = () => <span className="quiet">not set</span>
const shown = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))

interface SettingsProps {
  readonly filter: SettingFilter
  readonly onFilter: (filter: SettingFilter) => void
}

export function Settings({ filter, onFilter }: SettingsProps) {
  const { find = '', changed } = filter
  const settings = useQuery({ queryKey: ['settings'], queryFn: () => call('GET /settings') })
  return (
    <>
      <h1>Settings</h1>
      <Loaded query={settings}>
        {({ version, node, engine, startedAt, items }) => {
          const found = items.filter(
            ({ key, variable, description = '', origin }) =>
              (!changed || origin.kind !== 'default') &&
              `${key} ${variable} ${description}`.toLowerCase().includes(find.toLowerCase()),
          )
          return (
            <>
              <p className="quiet">
                Tollbridge {version} on Node {node}, store {engine}, started <Time at={startedAt} />. What is
                changed in the file or the environment is in force after the next start.
              </p>
              <div className="filters">
                <Field label="Find">
                  <input
                    type="search"
                    value={find}
                    onChange={(event) => onFilter(readSettingFilter({ ...filter, find: event.target.value }))}
                  />
                </Field>
                <label className="check">
                  <input
                    type="checkbox"
                    checked={changed === true}
                    onChange={(event) =>
                      onFilter(readSettingFilter({ ...filter, changed: event.target.checked }))
                    }
                  />{' '}
                  Only what is not as it comes
                </label>
                <p className="quiet">
                  {count(found.length)} of {count(items.length)}
                </p>
              </div>
              {found.length === 0 ? (
                <Empty title="No such setting" />
              ) : (
                <Table name="Settings" columns={columns} rows={found} idOf={({ key }) => key} />
              )}
            </>
          )
        }}
      </Loaded>
    </>
  )
}
