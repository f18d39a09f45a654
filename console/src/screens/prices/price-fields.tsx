// The fields of a price: what each quantity costs, bounds, and steps that make more of it cheaper or dearer.
import { Field } from '../../parts/field.tsx'
import { components, modes, subjects, units, type TypedRule, type TypedStep } from './rule-input.ts'

interface FieldsProps {
  readonly typed: TypedRule
  readonly onTyped: (typed: TypedRule) => void
}

export function PriceFields({ typed, onTyped }: FieldsProps) {
  const { rates, currency } = typed
  return (
    <>
      <div className="grid">
        {components.map(([member, title]) => (
          <Field key={member} label={`${title}, in ${currency}`}>
            <input
              value={rates[member] ?? ''}
              onChange={(event) => onTyped({ ...typed, rates: { ...rates, [member]: event.target.value } })}
              inputMode="decimal"
              pattern="\d{1,9}(\.\d{1,12})?"
            />
          </Field>
        ))}
      </div>
      <Steps typed={typed} onTyped={onTyped} />
    </>
  )
}

function Steps({ typed, onTyped }: FieldsProps) {
  const { steps, mode, unit, per, currency } = typed
  const change = (at: number, step: Partial<TypedStep>): void =>
    onTyped({ ...typed, steps: steps.map((each, index) => (index === at ? { ...each, ...step } : each)) })
  // The last step has no end.
  const add = (): void => onTyped({ ...typed, steps: [...steps, { upTo: '', unitPrice: '' }] })
  const drop = (at: number): void => onTyped({ ...typed, steps: steps.filter((_, index) => index !== at) })
  if (steps.length === 0)
    return (
      <div className="row">
        <button type="button" onClick={add}>
          Price in steps
        </button>
      </div>
    )
  const choices = [
    ['mode', 'Steps are', mode, modes],
    ['unit', 'They count', unit, units],
    ['per', 'For each', per, subjects],
  ] as const
  return (
    <fieldset className="stack">
      <legend>Steps, in a month</legend>
      <div className="row">
        {choices.map(([member, title, value, options]) => (
          <Field key={member} label={title}>
            <select value={value} onChange={(event) => onTyped({ ...typed, [member]: event.target.value })}>
              {options.map((each) => (
                <option key={each}>{each}</option>
              ))}
            </select>
          </Field>
        ))}
      </div>
      {steps.map(({ upTo, unitPrice }, at) => (
        <div key={at} className="row">
          <Field label={`Step ${at + 1} goes up to`}>
            <input
              value={upTo}
              onChange={(event) => change(at, { upTo: event.target.value })}
              placeholder="without end"
              inputMode="decimal"
            />
          </Field>
          <Field label={`Step ${at + 1}, a ${unit}, in ${currency}`}>
            <input
              value={unitPrice}
              onChange={(event) => change(at, { unitPrice: event.target.value })}
              inputMode="decimal"
              required
            />
          </Field>
          <button type="button" onClick={() => drop(at)} aria-label={`Remove step ${at + 1}`}>
            Remove
          </button>
        </div>
      ))}
      <div className="row">
        <button type="button" onClick={add}>
          One more step
        </button>
      </div>
    </fieldset>
  )
}
