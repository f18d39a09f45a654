// The published documents are those that the code would generate.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { describedRoutes, documentOf } from '../http/api/routes.ts'
import { looseBodies } from '../http/openapi.ts'
import { generatedDocuments } from './documents.ts'

test.each(Object.entries(generatedDocuments()))('docs/%s is what the code generates', (name, text) => {
  const published: unknown = JSON.parse(readFileSync(`docs/${name}`, 'utf8'))
  expect(published, 'run `npm run openapi`').toEqual(JSON.parse(text))
})

test('no documented request body lets an unknown field through', () => {
  expect(looseBodies(documentOf(describedRoutes([])))).toEqual([])
})
