// The documents that are generated from the code and published with it; a test compares them with the files.
import { configJsonSchema } from '../config/description.ts'
import { resourceRoutes } from '../http/api/resources.ts'
import { describedRoutes, documentOf } from '../http/api/routes.ts'
import type { OpenApiDocument } from '../http/openapi.ts'

/** The API as it is served. The routes have nothing behind them here: making one must not touch what it works on. */
export const apiDocument = (): OpenApiDocument =>
  documentOf(describedRoutes(resourceRoutes({} as Parameters<typeof resourceRoutes>[0])))

/** File below docs/ → its content. */
export function generatedDocuments(): Record<string, string> {
  const show = (document: unknown): string => `${JSON.stringify(document, undefined, 2)}\n`
  return { 'openapi.json': show(apiDocument()), 'config.schema.json': show(configJsonSchema()) }
}
