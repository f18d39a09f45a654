// Arguments of a call against the JSON Schema (2020-12) of an access rule, in bounded time whatever the patterns.
import { Ajv2020 } from 'ajv/dist/2020.js'
import { RE2JS } from 're2js'
import { canonicalText } from '../definitions/definition.ts'

/** What is wrong with arguments that no check could be finished of. */
export const unchecked = 'they cannot be checked'

/** Throws an Error that says what is wrong with a schema; the check returns what is wrong with arguments. */
export function compileArguments(schema: object): (given: unknown) => string | undefined {
  if (JSON.stringify(schema).length > maxSchemaChars)
    throw new Error(`is larger than ${maxSchemaChars} characters`)
  // Strict about types as well: `maximum` alone would let every text pass.
  const validator = new Ajv2020({
    strict: true,
    allowUnionTypes: true,
    code: { regExp: linearPattern },
    strictRequired: false,
  })
  // The library's own compares every item with every other, in quadratic time.
  validator.removeKeyword('uniqueItems').addKeyword({
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    validate: (isWanted: boolean, items: readonly unknown[]) =>
      !isWanted || new Set(items.map(canonicalText)).size === items.length,
    error: { message: 'must not have the same item twice' },
  })
  const validate = validator.compile({ type: 'object', ...schema })
  // Its answer would be a promise, which is never false.
  if ('$async' in validate) throw new Error('must not be asynchronous')
  return (given) => {
    try {
      if (validate(given)) return undefined
    } catch {
      return unchecked
    }
    const [first] = validate.errors ?? []
    return `${first?.instancePath || 'they'} ${first?.message ?? 'do not fit'}`
  }
}

const maxSchemaChars = 16_384

/** RE2: linear time, without backreferences and lookaround. The validator keeps patterns apart by their `toString`. */
function linearPattern(pattern: string): { test(text: string): boolean; toString(): string } {
  const compiled = RE2JS.compile(pattern)
  return { test: (text) => compiled.matcher(text).find(), toString: () => pattern }
}
linearPattern.code = 'linearPattern'
