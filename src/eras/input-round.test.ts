// A server's questions reach a legacy client only in words that it knows, and its answers reach the server as they are.
import { describe, expect, test } from 'vitest'
import { planRound, retryParams, usableCapabilities, type InputRound } from './input-round.ts'
import type { Json } from './json-object.ts'
import { revisions, type LegacyVersion } from './revisions.ts'

const everything = {
  elicitation: { form: {}, url: {} },
  sampling: { tools: {}, context: {} },
  roots: { listChanged: true },
  tasks: { list: {} },
  experimental: { x: {} },
  extensions: { 'com.example/y': {} },
}

const plan = (version: LegacyVersion, asked: unknown, declared: unknown = everything): InputRound => {
  const revision = revisions[version]
  const capabilities = usableCapabilities(declared, revision)
  const options = { revision, capabilities, maxQuestions: 3, mintId: () => 'minted' }
  return planRound({ inputRequests: { q: asked } }, options)
}
const asked = (round: InputRound): Json => {
  if (round.kind === 'refuse') throw new Error(round.detail)
  return { ...round.questions[0] }
}
const refusal = (round: InputRound): string => (round.kind === 'refuse' ? round.detail : 'was asked')

const form = {
  method: 'elicitation/create',
  params: { mode: 'form', message: 'm', requestedSchema: { type: 'object' } },
}
const page = {
  method: 'elicitation/create',
  params: { mode: 'url', message: 'm', url: 'https://example.com' },
}
const sampling = (params: Json = {}) => ({
  method: 'sampling/createMessage',
  params: { messages: [], maxTokens: 5, ...params },
})
const roots = { method: 'roots/list' }

describe('capabilities', () => {
  test.each([
    ['2025-11-25', { elicitation: { form: {}, url: {} }, sampling: { tools: {}, context: {} } }],
    ['2025-06-18', { elicitation: { form: {} }, sampling: { context: {} } }],
    ['2025-03-26', { sampling: { context: {} } }],
    ['2024-11-05', { sampling: { context: {} } }],
  ] as const)('%s declares what it has messages for, and everything unknown', (version, own) => {
    const { tasks: _, elicitation: __, sampling: ___, ...others } = everything
    expect(usableCapabilities(everything, revisions[version])).toEqual({ ...others, ...own })
  })

  test('nothing declared is an empty object, and forms need no mode', () => {
    expect(usableCapabilities(undefined, revisions['2025-11-25'])).toEqual({})
    expect(usableCapabilities({ elicitation: {} }, revisions['2025-06-18'])).toEqual({ elicitation: {} })
    expect(usableCapabilities({ elicitation: { url: {} } }, revisions['2025-06-18'])).toEqual({})
  })
})

describe('a question', () => {
  test('is asked as it is where the client knows its form', () => {
    expect(asked(plan('2025-11-25', form))).toEqual({ key: 'q', ...form })
    expect(asked(plan('2024-11-05', roots))).toEqual({ key: 'q', ...roots })
    expect(asked(plan('2024-11-05', sampling()))).toEqual({ key: 'q', ...sampling() })
  })

  test('for a web page gets the id that 2025-11-25 wants, or keeps its own', () => {
    expect(asked(plan('2025-11-25', page))['params']).toEqual({ ...page.params, elicitationId: 'minted' })
    const own = { ...page, params: { ...page.params, elicitationId: 'own' } }
    expect(asked(plan('2025-11-25', own))['params']).toEqual(own.params)
  })

  test.each([
    ['2025-11-25', form, {}, /did not declare elicitation;/],
    ['2025-11-25', form, { elicitation: { url: {} } }, /did not declare elicitation;/],
    ['2025-11-25', page, { elicitation: {} }, /did not declare elicitation\.url;/],
    ['2025-06-18', page, everything, /2025-06-18 of this session has no message for/],
    ['2025-03-26', form, everything, /2025-03-26 of this session has no message for/],
    ['2025-11-25', sampling(), {}, /did not declare sampling;/],
    ['2025-11-25', sampling({ tools: [] }), { sampling: {} }, /did not declare sampling\.tools;/],
    ['2025-06-18', sampling({ toolChoice: {} }), everything, /2025-06-18 .* has no message for/],
    ['2025-11-25', roots, {}, /did not declare roots;/],
    ['2025-11-25', { method: 'tasks/ask', params: {} }, everything, /asked for tasks\/ask in a form/],
    ['2025-11-25', { method: 'elicitation/create' }, everything, /in a form that cannot be passed on/],
    ['2025-11-25', 'nonsense', everything, /asked for something in a form/],
  ] as const)('%s %j of a client with %j is refused', (version, question, declared, reason) => {
    expect(refusal(plan(version, question, declared))).toMatch(reason)
  })

  test('is one of a round that is asked as a whole or not at all', () => {
    const revision = revisions['2025-11-25']
    const options = { revision, capabilities: { roots: {} }, maxQuestions: 2, mintId: () => '' }
    expect(planRound({ inputRequests: { a: roots, b: form } }, options).kind).toBe('refuse')
    expect(planRound({ inputRequests: { a: roots, b: roots, c: roots } }, options).kind).toBe('refuse')
    expect(planRound({ inputRequests: {} }, options).kind).toBe('refuse')
    expect(planRound({ inputRequests: [] }, options).kind).toBe('refuse')
    expect(planRound({ requestState: 's' }, options)).toEqual({ kind: 'ask', questions: [] })
  })
})

describe('older forms', () => {
  const schema = (properties: Json, required: string[] = []): Json => ({
    ...form,
    params: { ...form.params, requestedSchema: { type: 'object', properties, required } },
  })
  const titled = { type: 'string', oneOf: [{ const: 'a', title: 'A' }, { const: 'b' }], default: 'a' }
  const several = { type: 'array', items: { enum: ['a', 'b'] } }

  test('titled choices become names of an enumeration for 2025-06-18', () => {
    const { params } = asked(plan('2025-06-18', schema({ pick: titled, plain: { type: 'string' } })))
    expect(params).toEqual({
      message: 'm',
      requestedSchema: {
        type: 'object',
        properties: {
          pick: { type: 'string', default: 'a', enum: ['a', 'b'], enumNames: ['A', 'b'] },
          plain: { type: 'string' },
        },
        required: [],
      },
    })
    expect(asked(plan('2025-11-25', schema({ pick: titled })))['params']).toMatchObject({
      requestedSchema: { properties: { pick: titled } },
    })
  })

  test('a choice of several is left out where it may be, and refused where it must be', () => {
    expect(asked(plan('2025-06-18', schema({ many: several })))['params']).toMatchObject({
      requestedSchema: { properties: {} },
    })
    expect(refusal(plan('2025-06-18', schema({ many: several }, ['many'])))).toMatch(
      /a choice of several values/,
    )
  })

  test('a message of several blocks becomes several messages before 2025-11-25', () => {
    const content = [
      { type: 'text', text: 'a' },
      { type: 'audio', data: '', mimeType: 'audio/wav' },
    ]
    const question = sampling({ messages: [{ role: 'user', content }] })
    expect(asked(plan('2025-11-25', question))['params']).toEqual(question.params)
    expect(asked(plan('2025-06-18', question))['params']).toMatchObject({
      messages: content.map((block) => ({ role: 'user', content: block })),
    })
    expect(asked(plan('2024-11-05', question))['params']).toMatchObject({
      messages: [{ content: content[0] }, { content: { type: 'text' } }],
    })
  })
})

describe('a retry', () => {
  test('carries the answers of this round alone, and the state to the byte', () => {
    const requestState = ' \u0000\ud800"é{"a": 1.0}'
    const first = { name: 't', arguments: { a: 1 }, _meta: { progressToken: 7 } }
    const second = retryParams(first, { requestState }, { q: { action: 'accept' } })
    expect(second).toEqual({ ...first, requestState, inputResponses: { q: { action: 'accept' } } })
    expect(retryParams(second, {}, { r: {} })).toEqual({ ...first, inputResponses: { r: {} } })
    expect(retryParams(undefined, { requestState }, undefined)).toEqual({ requestState })
  })
})
