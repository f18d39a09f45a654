// A new limit: how many calls or bytes in a time, and how many at once.
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { call } from '../../api/client.ts'
import type { Operations } from '../../api/types.ts'
import { Field } from '../../parts/field.tsx'
import { Failure } from '../../parts/states.tsx'

type Body = Operations['POST /limits']['body']
const spans = { '1': 'second', '60': 'minute', '3600': 'hour', '86400': 'day' } as const
const counted = { user: 'user', key: 'key', account: 'account', none: 'all together' } as const

const empty = {
  name: '',
  server: '',
  tool: '',
  per: 'user',
  seconds: '60',
  calls: '',
  mebibytes: '',
  atOnce: '',
}

function bodyOf(typed: typeof empty): Body {
  const match = {
    ...(typed.server !== '' && { server: typed.server }),
    ...(typed.tool !== '' && { tool: typed.tool }),
  }
  const per = (['user', 'key', 'account'] as const).filter((each) => each === typed.per)
  const seconds = Number(typed.seconds)
  return {
    name: typed.name,
    ...(Object.keys(match).length > 0 && { match }),
    per,
    ...(typed.calls !== '' && { rate: { calls: Number(typed.calls), seconds } }),
    ...(typed.mebibytes !== '' && { bandwidth: { bytes: Number(typed.mebibytes) * 1024 * 1024, seconds } }),
    ...(typed.atOnce !== '' && { concurrent: Number(typed.atOnce) }),
  }
}

export function LimitForm() {
  const queries = useQueryClient()
  const [typed, setTyped] = useState(empty)
  const make = useMutation({
    mutationFn: () => call('POST /limits', { body: bodyOf(typed) }),
    onSuccess: async () => {
      setTyped(empty)
      await queries.invalidateQueries({ queryKey: ['limits'] })
    },
  })
  const input = (member: keyof typeof empty) => ({
    value: typed[member],
    onChange: (event: { target: { value: string } }) => setTyped({ ...typed, [member]: event.target.value }),
  })
  const whole = { inputMode: 'numeric', pattern: String.raw`\d{1,9}` } as const
  return (
    <details className="panel">
      <summary>Make a limit</summary>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault()
          make.mutate()
        }}
      >
        <div className="grid">
          <Field label="Name of the limit">
            <input {...input('name')} required />
          </Field>
          <Field label="Calls of server" hint="A name, or a pattern. Empty: all.">
            <input {...input('server')} />
          </Field>
          <Field label="Of tool" hint="A name, or a pattern. Empty: all.">
            <input {...input('tool')} />
          </Field>
          <Field label="For each">
            <select {...input('per')}>
              {Object.entries(counted).map(([value, title]) => (
                <option key={value} value={value}>
                  {title}
                </option>
              ))}
            </select>
          </Field>
          <Field label="In a">
            <select {...input('seconds')}>
              {Object.entries(spans).map(([value, title]) => (
                <option key={value} value={value}>
                  {title}
                </option>
              ))}
            </select>
          </Field>
          <Field label="Calls" hint="Empty: any number.">
            <input {...input('calls')} {...whole} />
          </Field>
          <Field label="MiB" hint="Empty: any number.">
            <input {...input('mebibytes')} {...whole} />
          </Field>
          <Field label="At once" hint="Empty: any number.">
            <input {...input('atOnce')} {...whole} />
          </Field>
        </div>
        <Failure error={make.error} />
        <div className="row">
          <button className="primary" disabled={make.isPending}>
            Make the limit
          </button>
        </div>
      </form>
    </details>
  )
}
