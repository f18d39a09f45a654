// The documents that are generated from the code and published with it; a test compares them with the files.
import { describedRoutes, documentOf } from '../http/api/routes.ts'
import { configJsonSchema } from '../config.ts'

/** File below docs/ → its content. */
export function generatedDocuments(): Record<string, string> {
  const show = (document: unknown): string => `${JSON.stringify(document, undefined, 2)}\n`
  return {
    'openapi.json': show(documentOf(describedRoutes([]))),
    'config.schema.json': show(configJsonSchema()),
  }
}
