// Writes the console's types of the API, made of docs/openapi.json: one operation for each route that answers with JSON.
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { consoleTypes } from './console-types/types.ts'

const root = resolve(import.meta.dirname, '..')
writeFileSync(join(root, 'console/src/api/types.ts'), consoleTypes(join(root, 'docs/openapi.json')))
