// Mirrored arguments against the official SDK: what its client sends is taken, what its server refuses is refused.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { createMcpHandler, fromJsonSchema, McpServer } from '@modelcontextprotocol/server'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runs } from '../../test/harness/fuzz.ts'
import { decodeHeaderValue, encodeHeaderValue } from './headers.ts'
import { mirroredParams, paramMismatch } from './param-headers.ts'

const seed = Date.now() % 2 ** 31
console.log(`fast-check seed ${seed}`)

const version = '2026-07-28'
const headerMismatch = -32020

interface Param {
  readonly path: readonly string[]
  readonly header: string
  readonly type: 'string' | 'integer' | 'boolean'
  /** Undefined where the argument is absent. */
  readonly value: unknown
}
/** The members of an object schema that the tests make, read back and write. */
type Branch = Record<string, { type: string; properties?: Branch; 'x-mcp-header'?: string }>
type Values = Record<string, unknown>

const texts = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc.constantFrom(
    '',
    ' ',
    ' a',
    'a\t',
    'a\tb',
    '\u00a0x',
    '\ufeffx',
    'true',
    '42',
    '=?base64?eA==?=',
    '=?base64?=',
    '\ud800',
  ),
  fc.string({ unit: fc.constantFrom('=', '?', 'base64', 'eA', ' ', '\r\n', ':', 'é') }),
)
const numbers = fc.oneof(
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom(0, 42, 0.1, 1e21, 1e-7, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER + 1),
)
const values = fc.oneof(
  { weight: 6, arbitrary: texts },
  { weight: 4, arbitrary: numbers },
  { weight: 2, arbitrary: fc.boolean() },
  { weight: 2, arbitrary: fc.constantFrom(null, undefined) },
  { weight: 1, arbitrary: fc.constantFrom([], ['a'], {}, { a: 1 }) },
)
const token = fc.string({
  unit: fc.constantFrom(...'aZ09-_.~!#$%&*+^`|'.split('')),
  minLength: 1,
  maxLength: 12,
})
const folder = fc.constantFrom('a', 'b', 'constructor', '', 'é', 'x.y')
const leafNames = ['toString', 'name', 'length', 'p', 'q', 'r', 's', 't']
const params: fc.Arbitrary<Param[]> = fc
  .uniqueArray(
    fc.record({
      folders: fc.array(folder, { maxLength: 3 }),
      header: token,
      type: fc.constantFrom('string', 'integer', 'boolean'),
      value: values,
    }),
    { maxLength: leafNames.length, selector: ({ header }) => header.toLowerCase() },
  )
  // No name stands for a leaf in one place and for a branch in another.
  .map((list) =>
    list.map(({ folders, ...rest }, n): Param => ({ path: [...folders, leafNames[n] ?? ''], ...rest })),
  )

function schemaOf(list: readonly Param[]) {
  const root: Branch = {}
  for (const { path, header, type } of list) {
    let branch = root
    for (const name of path.slice(0, -1)) {
      if (!Object.hasOwn(branch, name)) branch[name] = { type: 'object', properties: {} }
      branch = branch[name]?.properties ?? {}
    }
    branch[path.at(-1) ?? ''] = { type, 'x-mcp-header': header }
  }
  return { type: 'object' as const, properties: root }
}

function argumentsOf(list: readonly Param[]): Values {
  const root: Values = {}
  for (const { path, value } of list) {
    if (value === undefined) continue
    let branch = root
    for (const name of path.slice(0, -1)) {
      if (!Object.hasOwn(branch, name)) branch[name] = {}
      branch = branch[name] as Values
    }
    branch[path.at(-1) ?? ''] = value
  }
  // As it is read from a body: without -0.
  return JSON.parse(JSON.stringify(root)) as Values
}

const ours = (list: readonly Param[], headers: Headers): string | undefined =>
  paramMismatch(mirroredParams(schemaOf(list)), argumentsOf(list), Object.fromEntries(headers))

let schema: ReturnType<typeof schemaOf> = schemaOf([])
const handler = createMcpHandler(
  () => {
    const server = new McpServer({ name: 'official', version: '1' })
    server.registerTool('t', { inputSchema: fromJsonSchema(schema) }, () => ({ content: [] }))
    return server
  },
  { legacy: 'reject', onerror: () => {} },
)

/** Whether the official server refuses these headers for these arguments. */
async function isRefused(list: readonly Param[], headers: Headers): Promise<boolean> {
  schema = schemaOf(list)
  const whole = new Headers(headers)
  const own = {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': version,
    'mcp-method': 'tools/call',
    'mcp-name': 't',
  }
  for (const [name, value] of Object.entries(own)) whole.set(name, value)
  const prefix = 'io.modelcontextprotocol/'
  const _meta = {
    [`${prefix}protocolVersion`]: version,
    [`${prefix}clientCapabilities`]: {},
    [`${prefix}clientInfo`]: { name: 'c', version: '1' },
  }
  const message = {
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: { name: 't', arguments: argumentsOf(list), _meta },
  }
  const request = new Request('http://127.0.0.1/mcp', {
    method: 'POST',
    headers: whole,
    body: JSON.stringify(message),
  })
  const answer = await handler.fetch(request)
  return (await answer.text()).includes(`"code":${headerMismatch}`)
}

describe('a client of the official SDK', () => {
  const client = new Client({ name: 'c', version: '1' }, { versionNegotiation: { mode: { pin: version } } })
  let sent = new Headers()

  beforeAll(async () => {
    const fetchHere = async (url: string | URL, init?: RequestInit): Promise<Response> => {
      const headers = new Headers(init?.headers)
      const { id, method } = JSON.parse(init?.body as string) as { id: number; method: string }
      if (method !== 'tools/call') return handler.fetch(new Request(url, init))
      sent = headers
      return Response.json({ jsonrpc: '2.0', id, result: { resultType: 'complete', content: [] } })
    }
    await client.connect(
      new StreamableHTTPClientTransport(new URL('http://127.0.0.1/mcp'), { fetch: fetchHere }),
    )
  })
  afterAll(() => client.close())

  const mirrors = async (list: readonly Param[]): Promise<Headers> => {
    const toolDefinition = { name: 't', inputSchema: schemaOf(list) }
    await client.callTool({ name: 't', arguments: argumentsOf(list) }, { toolDefinition })
    return sent
  }

  test('sends no mirror that we refuse, whatever the schema and the arguments', async () => {
    let mirrored = 0
    await fc.assert(
      fc.asyncProperty(params, async (list) => {
        // Half of a character has no encoding, so that no header agrees with it; the official server refuses it too.
        fc.pre(
          JSON.stringify(list).isWellFormed() &&
            list.every(({ value }) => typeof value !== 'string' || value.isWellFormed()),
        )
        const headers = await mirrors(list)
        mirrored += [...headers.keys()].filter((name) => name.startsWith('mcp-param-')).length
        expect(ours(list, headers)).toBeUndefined()
      }),
      { seed, numRuns: runs(1000) },
    )
    expect(mirrored).toBeGreaterThan(runs(500))
  })

  test('and we read each text that the other has encoded as the one it was', async () => {
    const text = texts.filter((each) => each.isWellFormed())
    await fc.assert(
      fc.asyncProperty(text, async (value) => {
        const list: Param[] = [{ path: ['p'], header: 'P', type: 'string', value }]
        const encoded = (await mirrors(list)).get('mcp-param-p') ?? ''
        expect(decodeHeaderValue(encoded)).toBe(value)
        // Its own decoder takes a mark of byte order off.
        if (!value.startsWith('\ufeff'))
          expect(await isRefused(list, new Headers({ 'mcp-param-p': encodeHeaderValue(value) }))).toBe(false)
      }),
      { seed, numRuns: runs(500) },
    )
  })
})

/** What may have become of a header on its way. */
const damages = fc.oneof(
  fc.constant((value: string | null) => value),
  fc.constant(() => null),
  fc.nat().map((at) => (value: string | null) => value && value.slice(0, at % value.length)),
  fc
    .nat()
    .map(
      (at) => (value: string | null) =>
        value && value.slice(0, at % value.length) + value.slice((at % value.length) + 1),
    ),
  fc.tuple(fc.nat(), fc.constantFrom(...'=?/+-_AZaz09. ,'.split(''))).map(
    ([at, letter]) =>
      (value: string | null) =>
        value && value.slice(0, at % value.length) + letter + value.slice((at % value.length) + 1),
  ),
  fc.constant((value: string | null) => value && value.toUpperCase()),
  fc.constant((value: string | null) => value && ` ${value}\t`),
  fc.constant((value: string | null) => value && `${value}, ${value}`),
  fc
    .constantFrom(
      '',
      '0x2a',
      '42.0',
      '4.2e1',
      '+42',
      '042',
      'Infinity',
      'NaN',
      'TRUE',
      '1',
      'null',
      '=?base64??=',
      '=?base64?=',
    )
    .map((other) => () => other),
  fc.tuple(texts, fc.boolean()).map(
    ([other, plain]) =>
      () =>
        plain ? other : encodeHeaderValue(other),
  ),
)

const isVast = (value: unknown): boolean => Number.isInteger(value) && !Number.isSafeInteger(value)
const one = (value: unknown, sent: string): [Param[], Headers] => [
  [{ path: ['p'], header: 'P', type: 'string', value }],
  new Headers({ 'mcp-param-p': sent }),
]

interface Difference {
  readonly allows: (our: string | undefined, list: readonly Param[], headers: Headers) => boolean
  readonly example: [Param[], Headers]
}

/** Where we decide otherwise than the official server, on purpose. */
const wanted: Record<string, Difference> = {
  'a header without an argument says something that the body does not': {
    allows: (our = '') => our.endsWith(' is absent.'),
    example: one(undefined, 'eu'),
  },
  'so does one that mirrors what is no plain value': {
    allows: (our = '') => our.endsWith(' no plain value.'),
    example: one(null, 'eu'),
  },
  'a mirrored number past 2^53 is compared; there it is not': {
    allows: (our = '', list) => our.includes(' disagrees ') && list.some(({ value }) => isVast(value)),
    example: one(2 ** 53, '1'),
  },
  'base64 is canonical to the last bit, and what could be a marker or a text is neither': {
    allows: (our = '') => our.includes('base64'),
    example: one('x', '=?base64?eB==?='),
  },
  'a mark of byte order is part of a text; there it is taken off': {
    allows: (_, __, headers) =>
      [...headers.values()].some((value) => decodeHeaderValue(value)?.startsWith('\ufeff')),
    example: one('\ufeffx', '=?base64?77u/eA==?='),
  },
}

describe('a server of the official SDK', () => {
  test('refuses no mirror that we let pass, and lets none pass that we refuse, but for what is wanted', async () => {
    const agreed = { refused: 0, taken: 0 }
    await fc.assert(
      fc.asyncProperty(params, fc.array(damages, { minLength: 8, maxLength: 8 }), async (list, changes) => {
        const headers = new Headers()
        for (const [n, { header, value }] of list.entries()) {
          const isPlain = ['string', 'number', 'boolean'].includes(typeof value)
          const changed = changes[n]?.(isPlain ? encodeHeaderValue(String(value)) : null) ?? null
          if (changed !== null && /^[\t\x20-\x7e]*$/.test(changed))
            headers.set(`mcp-param-${header}`, changed)
        }
        const our = ours(list, headers)
        const their = await isRefused(list, headers)
        if ((our !== undefined) === their) agreed[their ? 'refused' : 'taken']++
        else if (!Object.values(wanted).some(({ allows }) => allows(our, list, headers)))
          expect({ our, their, headers: [...headers], arguments: argumentsOf(list) }).toBe('the same verdict')
      }),
      { seed, numRuns: runs(2000) },
    )
    expect(agreed.refused).toBeGreaterThan(runs(200))
    expect(agreed.taken).toBeGreaterThan(runs(100))
  })

  test.each(Object.entries(wanted))('difference: %s', async (_, { allows, example }) => {
    const our = ours(...example)
    expect(allows(our, ...example)).toBe(true)
    expect(await isRefused(...example)).toBe(our === undefined)
  })
})
