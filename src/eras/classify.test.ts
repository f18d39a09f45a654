// Our classification of a POST against the official SDK's, over every combination of bodies and headers, and random ones.
import { classifyInboundRequest } from '@modelcontextprotocol/server'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { runs } from '../../test/harness/fuzz.ts'
import { errorCodes } from '../base/errors.ts'
import { decodeHeaderValue, encodeHeaderValue, mirroredName } from '../wire/headers.ts'
import type { JsonRpcMessage } from '../wire/json-rpc.ts'
import { classify, type McpHeaders } from './classify.ts'

const versionKey = 'io.modelcontextprotocol/protocolVersion'
const capabilitiesKey = 'io.modelcontextprotocol/clientCapabilities'
const modern = '2026-07-28'
const legacy = '2025-11-25'

const metas: Record<string, object | undefined> = {
  none: undefined,
  empty: {},
  token: { progressToken: 1 },
  modern: { [versionKey]: modern, [capabilitiesKey]: {} },
  later: { [versionKey]: '2027-01-01', [capabilitiesKey]: {} },
  legacy: { [versionKey]: legacy, [capabilitiesKey]: {} },
  incomplete: { [versionKey]: modern },
  number: { [versionKey]: 7, [capabilitiesKey]: {} },
  null: { [versionKey]: null, [capabilitiesKey]: {} },
}
const methods: Record<string, object> = {
  initialize: { protocolVersion: legacy, capabilities: {}, clientInfo: { name: 'c', version: '1' } },
  'tools/list': {},
  'tools/call': { name: 'echo', arguments: {} },
  'resources/read': { uri: 'file:///é' },
  'tasks/get': { taskId: 't' },
  'x/unknown': {},
}
const versions = [undefined, legacy, modern, ` ${modern}\t`, '2027-01-01', 'nonsense', '']
const methodHeaders = ['own', undefined, 'tools/other'] as const
const nameHeaders = ['own', undefined, 'other', '=?base64?**?='] as const

interface Case {
  readonly label: string
  readonly message: JsonRpcMessage
  readonly headers: McpHeaders
}

/** Every body with every header; `own` headers say what the body says. */
function* allCases(): Generator<Case> {
  for (const [metaName, meta] of Object.entries(metas))
    for (const [method, params] of Object.entries(methods))
      for (const id of [1, undefined])
        for (const protocolVersion of versions)
          for (const methodHeader of methodHeaders)
            for (const nameHeader of nameHeaders) {
              const whole = { ...params, ...(meta && { _meta: meta }) }
              const message = { jsonrpc: '2.0', ...(id && { id }), method, params: whole } as const
              const own = Object.values(params).find((value) => typeof value === 'string')
              const name =
                nameHeader === 'own'
                  ? own === 'file:///é'
                    ? '=?base64?ZmlsZTovLy/DqQ==?='
                    : own
                  : nameHeader
              const headers = {
                protocolVersion,
                method: methodHeader === 'own' ? method : methodHeader,
                name,
              }
              const kind = id ? 'request' : 'notification'
              const label = `${kind} ${method}, _meta ${metaName}, headers ${JSON.stringify(headers)}`
              yield { label, message, headers }
            }
}

type Verdict = 'legacy' | 'modern' | number

function ours({ message, headers }: Case): Verdict {
  const verdict = classify(message, headers)
  return verdict.kind === 'era' ? verdict.era : errorCodes[verdict.code].rpc
}

function theirs({ message, headers }: Case): Verdict {
  const { protocolVersion, method, name } = headers
  const verdict = classifyInboundRequest({
    httpMethod: 'POST',
    body: message,
    ...(protocolVersion !== undefined && { protocolVersionHeader: protocolVersion }),
    ...(method !== undefined && { mcpMethodHeader: method }),
    ...(name !== undefined && { mcpNameHeader: name }),
  })
  return verdict.kind === 'reject' ? verdict.code : verdict.kind
}

const claimOf = ({ message }: Case): unknown =>
  (message.params?.['_meta'] as Record<string, unknown>)?.[versionKey]
const isWhole = ({ message }: Case): boolean =>
  Object.hasOwn((message.params?.['_meta'] as object | undefined) ?? {}, capabilitiesKey)

/** Revisions are dates; what is none stands behind or before them as text does. */
const isBefore = (claim: unknown): boolean => typeof claim === 'string' && claim < modern

/** Where we decide otherwise on purpose. Each must happen, so that the list stays true. */
const wanted: Record<string, (asked: Case, our: Verdict, their: Verdict) => boolean> = {
  'required mirrors are part of our verdict; the SDK checks them in its next step': (asked, our, their) =>
    asked.message.id !== undefined && our === -32020 && their === 'modern',
  'whether the envelope is whole is left to the server': (asked, our, their) =>
    typeof claimOf(asked) === 'string' &&
    !isWhole(asked) &&
    (our === 'modern' || our === -32020) &&
    their === -32602,
  'an initialize whose modern envelope is not whole is left to the server, with its mirrors checked': (
    asked,
    our,
  ) =>
    asked.message.method === 'initialize' &&
    typeof claimOf(asked) === 'string' &&
    !isBefore(claimOf(asked)) &&
    !isWhole(asked) &&
    (our === 'modern' || our === -32020),
  'a claim of a legacy revision is legacy traffic; the SDK routes it on and refuses the version later': (
    asked,
    our,
    their,
  ) =>
    isBefore(claimOf(asked)) &&
    our === 'legacy' &&
    (their === 'modern' || their === -32020 || their === -32602),
  'a claim that is no version is refused, whatever the method; the SDK reads an initialize as legacy': (
    asked,
    our,
    their,
  ) =>
    asked.message.method === 'initialize' &&
    typeof claimOf(asked) !== 'string' &&
    our === -32602 &&
    (their === 'legacy' || their === -32020),
}

describe('classification', () => {
  const cases = [...allCases()]
  const differences = cases
    .map((asked) => ({ asked, our: ours(asked), their: theirs(asked) }))
    .filter(({ our, their }) => our !== their)

  test('is the official one, but for the differences that are wanted', () => {
    const unwanted = differences.filter(
      ({ asked, our, their }) => !Object.values(wanted).some((allows) => allows(asked, our, their)),
    )
    expect(
      unwanted.slice(0, 20).map(({ asked, our, their }) => `${asked.label}: ours ${our}, theirs ${their}`),
    ).toEqual([])
    expect(cases.length).toBeGreaterThan(9000)
  })

  test.each(Object.entries(wanted))('difference: %s', (_, allows) => {
    expect(differences.some(({ asked, our, their }) => allows(asked, our, their))).toBe(true)
  })

  test('agrees on all three kinds of verdict', () => {
    const agreed = new Set(cases.filter((asked) => ours(asked) === theirs(asked)).map(ours))
    expect(agreed).toEqual(new Set(['legacy', 'modern', -32020, -32602]))
  })

  test.each([[{ id: 1, result: {} }], [{ id: 1, error: { code: 1, message: 'x' } }]])(
    'a response is legacy traffic, whatever its headers say: %j',
    (answer) => {
      const message = { jsonrpc: '2.0', ...answer } as const
      for (const protocolVersion of versions) {
        const asked = {
          label: '',
          message,
          headers: { protocolVersion, method: 'tools/call', name: undefined },
        }
        expect([ours(asked), theirs(asked)]).toEqual(['legacy', 'legacy'])
      }
    },
  )

  test('the name that is billed cannot differ from the name in the header', () => {
    const message = {
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'dear', _meta: metas['modern'] },
    } as const
    const headers = { protocolVersion: modern, method: 'tools/call', name: 'cheap' }
    expect(classify(message, headers)).toMatchObject({ kind: 'reject', code: 'header_mismatch' })
    expect(classify(message, { ...headers, name: '=?base64?ZGVhcg==?=' })).toMatchObject({ era: 'modern' })
    expect(classify(message, { ...headers, name: 'DEAR' })).toMatchObject({ kind: 'reject' })
  })
})

describe('classification of random messages', () => {
  const seed = Date.now() % 2 ** 31
  console.log(`fast-check seed ${seed}`)

  const date = fc.tuple(
    fc.integer({ min: 2023, max: 2029 }),
    fc.constantFrom('01-01', '07-27', '07-28', '11-25'),
  )
  const version = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(modern, legacy) },
    { weight: 2, arbitrary: date.map(([year, day]) => `${year}-${day}`) },
    { weight: 1, arbitrary: fc.string() },
  )
  const claim = fc.oneof(
    { weight: 6, arbitrary: version },
    { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 1 }) },
  )
  const meta = fc.option(
    fc.record(
      {
        [versionKey]: claim,
        [capabilitiesKey]: fc.constantFrom({}, { elicitation: {} }),
        progressToken: fc.nat(),
      },
      { requiredKeys: [] },
    ),
    { nil: undefined },
  )
  const word = fc.oneof(fc.string({ minLength: 1 }), fc.string({ unit: 'grapheme', minLength: 1 }))
  const methodName = fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...Object.keys(methods)) },
    { weight: 1, arbitrary: word },
    {
      weight: 1,
      arbitrary: fc.constantFrom('constructor', '__proto__', 'toString', 'notifications/initialized'),
    },
  )
  /** What a header says: what the body does, nothing, or something else. */
  const said = <Value>(other: fc.Arbitrary<Value>) =>
    fc.oneof(
      { weight: 4, arbitrary: fc.constant('own' as const) },
      { weight: 1, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: other.map((value) => ({ value })) },
    )
  const randomCase = fc
    .record({
      id: fc.option(fc.oneof(fc.nat(), fc.string()), { nil: undefined }),
      method: methodName,
      params: fc.record(
        { name: word, uri: word, taskId: word, arguments: fc.constant({}) },
        { requiredKeys: [] },
      ),
      meta,
      version: said(version),
      methodHeader: said(word),
      nameHeader: said(word.map(encodeHeaderValue)),
    })
    .map(({ id, method, params, meta: _meta, version: versionSaid, methodHeader, nameHeader }): Case => {
      const own = _meta?.[versionKey]
      const message = {
        jsonrpc: '2.0',
        ...(id !== undefined && { id }),
        method,
        params: { ...params, ...(_meta && { _meta }) },
      } as const
      const name = mirroredName(message)
      const headers = {
        protocolVersion:
          versionSaid === 'own' ? (typeof own === 'string' ? own : undefined) : versionSaid?.value,
        method: methodHeader === 'own' ? method : methodHeader?.value,
        name: nameHeader === 'own' ? name && encodeHeaderValue(name) : nameHeader?.value,
      }
      return { label: '', message, headers }
    })
  // No header holds what is not printable, or keeps what stands around it.
  const isSendable = ({ headers }: Case): boolean =>
    Object.values(headers).every(
      (value: string | undefined) => value === undefined || /^[\x20-\x7e]*$/.test(value),
    )

  test('is the official one, but for the differences that are wanted', () => {
    const agreed = new Map<Verdict, number>()
    fc.assert(
      fc.property(randomCase.filter(isSendable), (asked) => {
        const [our, their] = [ours(asked), theirs(asked)]
        if (our === their) agreed.set(our, (agreed.get(our) ?? 0) + 1)
        else if (!Object.values(wanted).some((allows) => allows(asked, our, their)))
          expect({ ...asked, our, their }).toBe('the same verdict')
      }),
      { seed, numRuns: runs(5000) },
    )
    for (const verdict of ['legacy', 'modern', -32020, -32602] as const)
      expect([verdict, (agreed.get(verdict) ?? 0) > runs(20)]).toEqual([verdict, true])
  })

  test('lets no modern request pass whose headers name another method, version or name than its body', () => {
    fc.assert(
      fc.property(randomCase.filter(isSendable), ({ message, headers }) => {
        const verdict = classify(message, headers)
        if (verdict.kind !== 'era' || verdict.era !== 'modern' || message.id === undefined) return
        expect(headers.method?.trim()).toBe(message.method)
        expect(headers.protocolVersion?.trim()).toBe(verdict.version)
        const name = mirroredName(message)
        if (name !== undefined) expect(decodeHeaderValue(headers.name ?? '')).toBe(name)
      }),
      { seed, numRuns: runs(5000) },
    )
  })
})
