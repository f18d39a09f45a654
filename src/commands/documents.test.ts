// The published documents are those that the code would generate.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { looseBodies } from '../http/openapi.ts'
import { apiDocument, generatedDocuments } from './documents.ts'

test.each(Object.entries(generatedDocuments()))('docs/%s is what the code generates', (name, text) => {
  const published: unknown = JSON.parse(readFileSync(`docs/${name}`, 'utf8'))
  expect(published, 'run `npm run openapi`').toEqual(JSON.parse(text))
})

test('no documented request body lets an unknown field through', () => {
  expect(looseBodies(apiDocument())).toEqual([])
})

test('every operation has an id of its own', () => {
  const operations = Object.values(apiDocument().paths).flatMap((methods) => Object.values(methods))
  const ids = operations.map(({ operationId }) => operationId)
  expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([])
})
