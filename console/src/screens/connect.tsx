// Ready snippets: how each client is pointed at the gateway.
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { serversQuery } from '../api/lists.ts'
import { Copy } from '../parts/copy.tsx'
import { Field } from '../parts/field.tsx'
import { Empty, Loaded } from '../parts/states.tsx'
import { snippets } from '../parts/snippets.ts'

/** The gateway fills it in; a console that it does not serve itself has none. */
const publicUrl = (): string => {
  const told = document.querySelector('meta[name=tollbridge-public-url]')?.getAttribute('content') ?? ''
  return URL.canParse(told) ? told : location.origin
}

export function Connect() {
  const servers = useQuery(serversQuery)
  const [chosen, setChosen] = useState<string>()
  return (
    <>
      <h1>Connect</h1>
      <Loaded query={servers}>
        {([first, ...others]) => {
          if (!first)
            return (
              <Empty title="There is no server to connect to">
                <p>Once one is registered, its snippets stand here.</p>
              </Empty>
            )
          const name = chosen ?? first.name
          return (
            <>
              <Field label="Server">
                <select value={name} onChange={(event) => setChosen(event.target.value)}>
                  {[first, ...others].map((server) => (
                    <option key={server.id}>{server.name}</option>
                  ))}
                </select>
              </Field>
              <p>
                Put a key of yours where it says <code>tb_…</code>. Clients that log in by themselves (OAuth)
                need none.
              </p>
              {snippets({ origin: publicUrl(), name }).map(({ client, text }) => (
                <section key={client}>
                  <h2>{client}</h2>
                  <Copy text={text} />
                </section>
              ))}
            </>
          )
        }}
      </Loaded>
    </>
  )
}
