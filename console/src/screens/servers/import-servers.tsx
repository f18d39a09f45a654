// Servers out of the configuration that a client has: looked at first, then registered one by one.
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { call } from '../../api/client.ts'
import { serversQuery } from '../../api/lists.ts'
import { readClientConfig, type Found } from '../../parts/client-config.ts'
import { Field } from '../../parts/field.tsx'
import { Table } from '../../parts/table.tsx'

interface Outcome {
  readonly name: string
  readonly said: string
}

function read(text: string): { readonly found: readonly Found[]; readonly fault: string | undefined } {
  try {
    return { found: text.trim() === '' ? [] : readClientConfig(text), fault: undefined }
  } catch (error) {
    return { found: [], fault: error instanceof Error ? error.message : String(error) }
  }
}

export function ImportServers() {
  const queries = useQueryClient()
  const [text, setText] = useState('')
  const { found, fault } = read(text)
  const good = found.filter(({ body }) => body !== undefined)
  const register = useMutation({
    mutationFn: async () => {
      const outcomes: Outcome[] = []
      for (const { name, body } of good) {
        if (!body) continue
        // Each on its own: one that is refused keeps no other from being registered.
        const said = await call('POST /servers', { body }).then(
          () => 'registered',
          (error: Error) => error.message,
        )
        outcomes.push({ name, said })
      }
      return outcomes
    },
    onSuccess: () => queries.invalidateQueries({ queryKey: serversQuery.queryKey }),
  })
  return (
    <form
      className="panel"
      aria-label="Import"
      onSubmit={(event) => {
        event.preventDefault()
        register.mutate()
      }}
    >
      <Field
        label="Configuration of a client"
        hint="JSON with mcpServers (Claude, Cursor) or servers (VS Code). Nothing is registered before you say so."
        error={fault}
      >
        <textarea
          rows={6}
          value={text}
          onChange={(event) => setText(event.target.value)}
          spellCheck={false}
        />
      </Field>
      {found.length > 0 && (
        <Table
          name="What is in it"
          rows={found}
          idOf={({ name }) => name}
          columns={[
            { title: 'Name', cell: ({ name }) => name },
            { title: 'Where', cell: ({ body }) => <code>{body ? whereOf(body.transport) : ''}</code> },
            {
              title: '',
              cell: ({ name, problem }) => outcomeOf(register.data, name) ?? problem ?? 'can be registered',
            },
          ]}
        />
      )}
      <div className="row">
        <button className="primary" disabled={good.length === 0 || register.isPending}>
          Register {good.length === 1 ? 'it' : `these ${good.length}`}
        </button>
      </div>
    </form>
  )
}

type Transport = NonNullable<Found['body']>['transport']

const whereOf = (transport: Transport): string =>
  transport.type === 'stdio' ? [transport.command, ...(transport.args ?? [])].join(' ') : transport.url

const outcomeOf = (outcomes: readonly Outcome[] | undefined, name: string): string | undefined =>
  outcomes?.find((each) => each.name === name)?.said
