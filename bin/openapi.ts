// Writes the generated documents into docs/: the API from its routes, the configuration's schema from its reader.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { generatedDocuments } from '../src/commands/documents.ts'

for (const [name, text] of Object.entries(generatedDocuments())) {
  writeFileSync(join(import.meta.dirname, '..', 'docs', name), text)
}
