// A new access rule: who may, or may not, use which tools, prompts and resources.
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { call } from '../../api/client.ts'
import type { Operations } from '../../api/types.ts'
import { Field } from '../../parts/field.tsx'
import { Failure } from '../../parts/states.tsx'

type Body = Operations['POST /access-rules']['body']
const roles = ['admin', 'operator', 'auditor', 'member'] as const
const kinds = ['tool', 'prompt', 'resource'] as const

const listOf = (text: string): readonly string[] =>
  text
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '')

const empty = {
  name: '',
  effect: 'deny',
  priority: '100',
  server: '',
  kind: '',
  item: '',
  groups: '',
  users: '',
  role: '',
  schema: '',
  until: '',
}

/** Throws a `SyntaxError` where the arguments are no JSON. */
function bodyOf(typed: typeof empty): Body {
  const [groups, users] = [listOf(typed.groups), listOf(typed.users)]
  const role = roles.find((each) => each === typed.role)
  const kind = kinds.find((each) => each === typed.kind)
  const who = {
    ...(groups.length > 0 && { groups }),
    ...(users.length > 0 && { users }),
    ...(role && { roles: [role] }),
  }
  return {
    name: typed.name,
    effect: typed.effect === 'allow' ? 'allow' : 'deny',
    priority: Number(typed.priority),
    ...(typed.server !== '' && { server: typed.server }),
    ...(typed.item !== '' && { item: typed.item }),
    ...(kind && { kind }),
    ...(Object.keys(who).length > 0 && { who }),
    ...(typed.schema !== '' && { arguments: JSON.parse(typed.schema) as Record<string, unknown> }),
    ...(typed.until !== '' && { until: new Date(typed.until).toISOString() }),
  }
}

export function AccessRuleForm() {
  const queries = useQueryClient()
  const [typed, setTyped] = useState(empty)
  const make = useMutation({
    mutationFn: async () => call('POST /access-rules', { body: bodyOf(typed) }),
    onSuccess: async () => {
      setTyped(empty)
      await queries.invalidateQueries({ queryKey: ['access-rules'] })
    },
  })
  const input = (member: keyof typeof empty) => ({
    value: typed[member],
    onChange: (event: { target: { value: string } }) => setTyped({ ...typed, [member]: event.target.value }),
  })
  return (
    <details className="panel">
      <summary>Make an access rule</summary>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault()
          make.mutate()
        }}
      >
        <div className="grid">
          <Field label="Name of the rule">
            <input {...input('name')} required />
          </Field>
          <Field label="Effect">
            <select {...input('effect')}>
              <option>deny</option>
              <option>allow</option>
            </select>
          </Field>
          <Field label="Asked" hint="The first rule that matches decides, from the lowest number on.">
            <input {...input('priority')} inputMode="numeric" pattern="-?\d{1,6}" required />
          </Field>
          <Field label="On server" hint="A name, or a pattern. Empty: all.">
            <input {...input('server')} />
          </Field>
          <Field label="Kind">
            <select {...input('kind')}>
              <option value="">any</option>
              {kinds.map((each) => (
                <option key={each}>{each}</option>
              ))}
            </select>
          </Field>
          <Field label="What" hint="Its name, or a pattern such as delete*. Empty: all.">
            <input {...input('item')} />
          </Field>
          <Field label="Groups" hint="With commas between.">
            <input {...input('groups')} />
          </Field>
          <Field label="Users" hint="Ids, with commas between.">
            <input {...input('users')} />
          </Field>
          <Field label="Role">
            <select {...input('role')}>
              <option value="">any</option>
              {roles.map((each) => (
                <option key={each}>{each}</option>
              ))}
            </select>
          </Field>
          <Field label="Until" hint="Empty: for good.">
            <input type="datetime-local" {...input('until')} />
          </Field>
        </div>
        <Field label="Arguments" hint="JSON Schema of the arguments for which the rule is, for tools.">
          <textarea {...input('schema')} rows={3} spellCheck={false} />
        </Field>
        <Failure error={make.error} />
        <div className="row">
          <button className="primary" disabled={make.isPending}>
            Make the rule
          </button>
        </div>
      </form>
    </details>
  )
}
