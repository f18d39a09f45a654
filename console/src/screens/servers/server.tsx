// One server: how it is, what it offers, what that costs.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { call } from '../../api/client.ts'
import { allPages } from '../../api/pages.ts'
import type { Schemas } from '../../api/types.ts'
import { has, useUser } from '../../app/session.ts'
import { duration, Time } from '../../parts/format.tsx'
import { Empty, Failure, Loaded } from '../../parts/states.tsx'
import { priceText } from '../../parts/price.ts'
import { Definitions } from './definitions.tsx'
import { Eras, State } from './servers.tsx'
import { ServerSettings } from './server-settings.tsx'
import { ToolPrice } from './tool-price.tsx'
import { ToolRun } from './tool-run.tsx'

export function Server({ name }: { readonly name: string }) {
  const user = useUser()
  const server = useQuery({
    queryKey: ['server', name],
    queryFn: () => call('GET /servers/{id}', { params: { id: name } }),
    refetchInterval: 15_000,
  })
  return (
    <>
      <h1>{name}</h1>
      <Loaded query={server}>
        {(found) => (
          <>
            <dl className="facts">
              <dt>State</dt>
              <dd>
                <State server={found} />
              </dd>
              <dt>Transport</dt>
              <dd>
                <code>{found.transport.type}</code>{' '}
                {'url' in found.transport && found.transport.url !== undefined && (
                  <code>{found.transport.url}</code>
                )}
              </dd>
              {found.eras.length > 0 && (
                <>
                  <dt>Era</dt>
                  <dd>
                    <Eras server={found} />
                  </dd>
                </>
              )}
              <dt>Who may use it</dt>
              <dd>{found.access}</dd>
              <dt>Credential</dt>
              <dd>{found.auth?.type ?? 'none'}</dd>
              {found.description !== undefined && (
                <>
                  <dt>What it is</dt>
                  <dd>{found.description}</dd>
                </>
              )}
              {found.lastFailure && (
                <>
                  <dt>Last failure</dt>
                  <dd>
                    {found.lastFailure.message} ({found.lastFailure.stage}, <Time at={found.lastFailure.at} />
                    )
                  </dd>
                </>
              )}
            </dl>
            {(has(user, 'admin') || found.ownerId === user.userId) && (
              <>
                <Test name={name} />
                <ServerSettings server={found} />
                <Definitions server={name} />
              </>
            )}
            {found.status === 'inactive' ? (
              <Empty title="In quarantine">
                <p>Nothing is sent to it, so nobody knows its tools now.</p>
              </Empty>
            ) : (
              <Tools name={name} />
            )}
          </>
        )}
      </Loaded>
    </>
  )
}

function Test({ name }: { readonly name: string }) {
  const queries = useQueryClient()
  const test = useMutation({
    mutationFn: () => call('POST /servers/{id}/test-connection', { params: { id: name } }),
    onSettled: () => queries.invalidateQueries({ queryKey: ['server', name] }),
  })
  return (
    <div className="row">
      <button type="button" onClick={() => test.mutate()} disabled={test.isPending}>
        {test.isPending ? 'Asking…' : 'Test the connection'}
      </button>
      <p role="status">
        {test.data?.ok === true &&
          `Answered in ${duration(test.data.latencyMs ?? 0)}: protocol ${test.data.protocolVersion} (${test.data.era} era).`}
        {test.data?.ok === false && `It failed: ${test.data.error?.message ?? 'no reason was given'}`}
      </p>
      <Failure error={test.error} />
    </div>
  )
}

function Tools({ name }: { readonly name: string }) {
  const tools = useQuery({
    queryKey: ['tools', name],
    queryFn: () => allPages((query) => call('GET /servers/{id}/tools', { params: { id: name }, query })),
  })
  return (
    <section>
      <h2>Tools</h2>
      <Loaded query={tools}>
        {(items) =>
          items.length === 0 ? (
            <Empty title="It offers no tools" />
          ) : (
            <ul className="tools">
              {items.map((tool) => (
                <Tool key={tool.name} server={name} tool={tool} />
              ))}
            </ul>
          )
        }
      </Loaded>
    </section>
  )
}

interface ToolProps {
  readonly server: string
  readonly tool: Schemas['PricedTool']
}

function Tool({ server, tool }: ToolProps) {
  const mayPrice = has(useUser(), 'admin')
  return (
    <li>
      <details>
        <summary>
          <code>{tool.name}</code>
          <span className="price">{priceText(tool.price)}</span>
        </summary>
        {tool.description !== undefined && <p className="text">{tool.description}</p>}
        {tool.held !== null && <p className="error">It is held back ({tool.held}) and cannot be called.</p>}
        <ToolRun server={server} tool={tool} />
        {mayPrice && <ToolPrice server={server} tool={tool.name} />}
        <details>
          <summary>What it takes</summary>
          <pre tabIndex={0}>{JSON.stringify(tool.inputSchema ?? {}, undefined, 2)}</pre>
        </details>
      </details>
    </li>
  )
}
