// Trying a tool: its arguments, what it will cost, and what it answered and did cost.
import { useMutation } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { call } from '../../api/client.ts'
import type { Schemas } from '../../api/types.ts'
import { ArgumentsForm, readArguments } from '../../parts/arguments-form.tsx'
import { money } from '../../parts/format.tsx'
import { Failure } from '../../parts/states.tsx'

interface ToolRunProps {
  readonly server: string
  readonly tool: Schemas['PricedTool']
}

export function ToolRun({ server, tool }: ToolRunProps) {
  const schema = tool.inputSchema ?? {}
  const [typed, setTyped] = useState<Readonly<Record<string, string>>>({})
  const run = useMutation({
    mutationFn: async () =>
      call('POST /servers/{id}/tools/{tool}/call', {
        params: { id: server, tool: tool.name },
        body: { arguments: readArguments(schema, typed) },
      }),
  })
  return (
    <form
      className="stack"
      aria-label={`Run ${tool.name}`}
      onSubmit={(event) => {
        event.preventDefault()
        run.mutate()
      }}
    >
      <ArgumentsForm schema={schema} typed={typed} onType={setTyped} />
      <div className="row">
        <button className="primary" disabled={run.isPending}>
          {run.isPending ? 'Running…' : 'Run'}
        </button>
        <span className="quiet">{tool.price ? `${tool.price.text}.` : 'It has no price.'} You pay.</span>
      </div>
      <Failure error={run.error} />
      {run.data && <Answer answer={run.data} currency={tool.price?.currency} />}
    </form>
  )
}

interface AnswerProps {
  readonly answer: Schemas['ToolAnswer']
  /** Of what a call costs; absent where it has no price. */
  readonly currency: string | undefined
}

function Answer({ answer: { result, error, callId, cost }, currency }: AnswerProps) {
  return (
    <div role="status" className="stack">
      <p>
        {error ? 'The server refused' : result?.['isError'] === true ? 'The tool failed' : 'Answered'}
        {cost !== undefined && currency !== undefined && `, for ${money(cost, currency)}`}
        {callId !== undefined && (
          <>
            {': '}
            <Link to="/calls/$id" params={{ id: callId }}>
              the call
            </Link>
          </>
        )}
      </p>
      {textOf(result).map((text, place) => (
        // Parts of an answer have no name but their place.
        // oxlint-disable-next-line react/no-array-index-key
        <pre key={place} tabIndex={0}>
          {text}
        </pre>
      ))}
      <details>
        <summary>All of it</summary>
        <pre tabIndex={0}>{JSON.stringify(error ?? result, undefined, 2)}</pre>
      </details>
    </div>
  )
}

/** The texts of an answer; the rest is in all of it. */
function textOf(result: Readonly<Record<string, unknown>> | undefined): string[] {
  const content: readonly unknown[] = Array.isArray(result?.['content']) ? result['content'] : []
  return content.flatMap((part) => {
    const { type, text } = (part ?? {}) as { readonly type?: unknown; readonly text?: unknown }
    return type === 'text' && typeof text === 'string' ? [text] : []
  })
}
