// YAML as people write prices in it: every scalar stays the text that was written, so that no decimal ever becomes a double.
import { parseDocument } from 'yaml'

/** The value, or what is wrong with the text. JSON is YAML too. Only a plain `null` is no text. */
export function readExactYaml(text: string): { readonly value: unknown; readonly faults: readonly string[] } {
  const document = parseDocument(text, { schema: 'failsafe', customTags: ['null'] })
  const faults = document.errors.map(({ message }) => message.split('\n')[0] ?? '')
  return { value: faults.length > 0 ? undefined : document.toJS({ maxAliasCount: 100 }), faults }
}
