// A newer message never reaches an older peer in words that its revision does not have.
import { describe, expect, test } from 'vitest'
import type { Json } from './json-object.ts'
import {
  findRevision,
  newestRevision,
  resultForRevision,
  revisions,
  type LegacyVersion,
} from './revisions.ts'

const text = { type: 'text', text: 'hello' }
const image = { type: 'image', data: 'AAAA', mimeType: 'image/png' }
const audio = { type: 'audio', data: 'AAAA', mimeType: 'audio/wav' }
const link = {
  type: 'resource_link',
  uri: 'file:///a',
  name: 'a',
  mimeType: 'text/plain',
  description: 'the a',
}
const embedded = { type: 'resource', resource: { uri: 'file:///a', text: 'a' } }
const unheardOf = { type: 'hologram', data: 1 }

const kinds = (version: LegacyVersion, content: readonly Json[]): unknown[] => {
  const result = resultForRevision('tools/call', { content }, revisions[version])
  return (result['content'] as Json[]).map(({ type }) => type)
}

describe('content of a tool', () => {
  const all = [text, image, audio, link, embedded, unheardOf]

  test.each([
    ['2025-11-25', ['text', 'image', 'audio', 'resource_link', 'resource', 'hologram']],
    ['2025-06-18', ['text', 'image', 'audio', 'resource_link', 'resource', 'hologram']],
    ['2025-03-26', ['text', 'image', 'audio', 'text', 'resource', 'hologram']],
    ['2024-11-05', ['text', 'image', 'text', 'text', 'resource', 'hologram']],
  ] as const)('%s gets only the kinds that it knows, and unknown ones untouched', (version, expected) => {
    expect(kinds(version, all)).toEqual(expected)
  })

  test('a link becomes a text that still names the resource', () => {
    const annotated = { ...link, annotations: { priority: 1 } }
    const { content } = resultForRevision('tools/call', { content: [annotated] }, revisions['2025-03-26'])
    expect(content).toEqual([
      { type: 'text', text: 'Resource file:///a (a, text/plain): the a', annotations: { priority: 1 } },
    ])
  })

  test('a prompt is treated alike', () => {
    const messages = [
      { role: 'user', content: audio },
      { role: 'user', content: text },
    ]
    const result = resultForRevision('prompts/get', { messages, more: 1 }, revisions['2024-11-05'])
    expect(result).toMatchObject({
      more: 1,
      messages: [{ role: 'user', content: { type: 'text' } }, messages[1]],
    })
    expect(resultForRevision('prompts/get', { messages }, revisions['2025-03-26'])).toEqual({ messages })
  })

  test('a result that needs no change is the same object', () => {
    const result = { content: all, structuredContent: { a: 1 }, other: [1] }
    expect(resultForRevision('tools/call', result, newestRevision)).toBe(result)
    expect(resultForRevision('any/thing', result, revisions['2024-11-05'])).toBe(result)
  })
})

describe('structured content', () => {
  test.each([
    [
      { structuredContent: { a: 1 } },
      { content: [{ type: 'text', text: '{"a":1}' }], structuredContent: { a: 1 } },
    ],
    [
      { content: [], structuredContent: { a: 1 } },
      { content: [{ type: 'text', text: '{"a":1}' }], structuredContent: { a: 1 } },
    ],
    [
      { content: [image], structuredContent: { a: 1 } },
      { content: [image], structuredContent: { a: 1 } },
    ],
    [
      { content: [text], structuredContent: [1] },
      { content: [text], structuredContent: { result: [1] } },
    ],
    [
      { content: [image], structuredContent: null },
      { content: [image, { type: 'text', text: 'null' }], structuredContent: { result: null } },
    ],
    [{ isError: true }, { content: [], isError: true }],
  ])('%j is told as %j', (result, expected) => {
    expect(resultForRevision('tools/call', result, newestRevision)).toEqual(expected)
  })

  test('an output schema that describes no object is left out of the list, and the tool stays', () => {
    const object = { name: 'a', outputSchema: { type: 'object', properties: {} }, extra: 1 }
    const list = { name: 'b', outputSchema: { type: 'array' }, extra: 2 }
    const result = { tools: [object, list, { name: 'c' }], nextCursor: 'n' }
    expect(resultForRevision('tools/list', result, newestRevision)).toEqual({
      tools: [object, { name: 'b', extra: 2 }, { name: 'c' }],
      nextCursor: 'n',
    })
  })
})

test('only published revisions are known', () => {
  expect(findRevision('2025-06-18')?.version).toBe('2025-06-18')
  for (const version of ['2026-07-28', '2024-10-07', '', 'constructor', undefined, 7])
    expect(findRevision(version)).toBeUndefined()
  expect(newestRevision.version).toBe('2025-11-25')
})
