// Arguments of a tool out of its JSON Schema: a field for each simple one, JSON for what is not simple.
import { Field } from './field.tsx'

type Schema = Readonly<Record<string, unknown>>
export type Arguments = Readonly<Record<string, unknown>>

interface Property {
  readonly name: string
  readonly type: string
  readonly choices: readonly string[] | undefined
  readonly hint: string | undefined
  readonly isRequired: boolean
}

const isRecord = (value: unknown): value is Schema => typeof value === 'object' && value !== null

function propertiesOf(schema: Schema): Property[] {
  const { properties, required } = schema
  const needed: readonly unknown[] = Array.isArray(required) ? required : []
  return Object.entries(isRecord(properties) ? properties : {}).map(([name, property]) => {
    const { type, description, enum: choices } = isRecord(property) ? property : {}
    return {
      name,
      type: typeof type === 'string' ? type : 'any',
      choices: Array.isArray(choices) ? choices.map(String) : undefined,
      hint: typeof description === 'string' ? description : undefined,
      isRequired: needed.includes(name),
    }
  })
}

interface ArgumentsFormProps {
  readonly schema: Schema
  /** What was typed, by name. */
  readonly typed: Readonly<Record<string, string>>
  readonly onType: (typed: Readonly<Record<string, string>>) => void
}

export function ArgumentsForm({ schema, typed, onType }: ArgumentsFormProps) {
  return propertiesOf(schema).map(({ name, type, choices, hint, isRequired }) => {
    const common = {
      value: typed[name] ?? '',
      required: isRequired,
      onChange: (event: { readonly target: { readonly value: string } }) =>
        onType({ ...typed, [name]: event.target.value }),
    }
    const isJson = !['string', 'number', 'integer', 'boolean'].includes(type)
    return (
      <Field key={name} label={name} hint={isJson ? `${hint ?? ''} (JSON)` : hint}>
        {choices || type === 'boolean' ? (
          <select {...common}>
            <option value="" />
            {(choices ?? ['true', 'false']).map((choice) => (
              <option key={choice}>{choice}</option>
            ))}
          </select>
        ) : isJson ? (
          <textarea rows={3} {...common} />
        ) : (
          <input inputMode={type === 'string' ? 'text' : 'decimal'} {...common} />
        )}
      </Field>
    )
  })
}

/** What was typed as arguments; throws a SyntaxError that names the field where it is not what the schema asks for. */
export function readArguments(schema: Schema, typed: Readonly<Record<string, string>>): Arguments {
  const given = propertiesOf(schema).flatMap(({ name, type }) => {
    const text = typed[name] ?? ''
    if (text === '') return []
    if (type === 'string') return [[name, text] as const]
    try {
      return [[name, JSON.parse(text) as unknown] as const]
    } catch {
      throw new SyntaxError(`${name} is no ${type === 'any' ? 'JSON' : type}.`)
    }
  })
  return Object.fromEntries(given)
}
