// Guarantees of an aggregate's names: they lead back to one thing of one member, and only where that is shown.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Member, Noun } from '../../registry/bundle.ts'
import { aggregateServer } from '../../registry/bundle-server.ts'
import type { JsonRpcMessage } from '../../wire/json-rpc.ts'
import { addressOf, ExposedMember } from './names.ts'
import { runs } from '../../../test/harness/fuzz.ts'

const seed = Date.now() & 0x7fffffff

const memberOf = (name: string, view: Omit<Member, 'server'> = {}): Member => ({
  server: { ...aggregateServer(), id: `srv_${name}`, name },
  ...view,
})

const serverName = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,4}[a-z0-9])?$/)
const ownName = fc.oneof(
  fc.string({ unit: fc.constantFrom('a', 'b', '_', '__', '.', '+', '-', 'n.'), minLength: 1, maxLength: 6 }),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 6 }),
)
const globs = fc.array(fc.oneof(ownName, fc.constantFrom('*', 'a*', '*_*', '**b')), {
  minLength: 1,
  maxLength: 3,
})
const view = fc.record(
  {
    include: globs,
    exclude: globs,
    rename: fc.dictionary(ownName, fc.constantFrom('a', 'b', 'ab', '_', 'a__b', 'new'), { maxKeys: 4 }),
  },
  { requiredKeys: [] },
)
const members = fc
  .uniqueArray(fc.tuple(serverName, view), { minLength: 1, maxLength: 4, selector: ([name]) => name })
  .map((all) => all.map(([name, view]) => memberOf(name, view)))

const asked = (noun: Noun, name: string): JsonRpcMessage => ({
  jsonrpc: '2.0',
  id: 1,
  method: { tool: 'tools/call', prompt: 'prompts/get', resource: 'resources/read' }[noun],
  params: noun === 'resource' ? { uri: name } : { name },
})

test('what is listed can be called and is exactly that; no two things have one name', () => {
  console.log(`fast-check seed ${seed}`)
  const things = fc.uniqueArray(ownName, { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(
      members,
      things,
      fc.constantFrom<Noun[]>('tool', 'prompt', 'resource'),
      (members, owns, noun) => {
        const listed = new Map<string, readonly [string, string]>()
        for (const member of members)
          for (const own of owns) {
            const exposed = new ExposedMember(member).expose(noun, own)
            if (exposed === undefined) continue
            expect(listed.get(exposed)).toBeUndefined()
            listed.set(exposed, [member.server.name, own])
          }
        for (const [exposed, [server, own]] of listed) {
          const found = addressOf(asked(noun, exposed), members)
          const byName = (name: string) => members.find(({ server }) => server.name === name)
          expect(addressOf(asked(noun, exposed), byName)).toEqual(found)
          expect(found).toMatchObject({ name: own })
          expect(typeof found === 'object' && found.server.name).toBe(server)
        }
      },
    ),
    { seed, numRuns: runs(2000) },
  )
})

test('what can be called is listed: a name that leads somewhere is the one that its thing is listed under', () => {
  console.log(`fast-check seed ${seed}`)
  const wild = fc.oneof(
    fc.tuple(serverName, fc.constantFrom('__', '+', '_', '.'), ownName).map((parts) => parts.join('')),
    fc.tuple(fc.constantFrom('n.', ''), serverName, fc.constant('+'), ownName).map((parts) => parts.join('')),
    ownName,
  )
  fc.assert(
    fc.property(
      members,
      wild,
      fc.constantFrom<Noun[]>('tool', 'prompt', 'resource'),
      (members, name, noun) => {
        const found = addressOf(asked(noun, name), members)
        expect(found).toBeDefined()
        if (typeof found === 'object') expect(found.member.expose(noun, found.name)).toBe(name)
      },
    ),
    { seed, numRuns: runs(5000) },
  )
})

describe('names', () => {
  const all = [memberOf('weather'), memberOf('9lives'), memberOf('n')]
  const found = (noun: Noun, name: string, members: readonly Member[] = all): unknown => {
    const address = addressOf(asked(noun, name), members)
    return typeof address === 'object' ? [address.server.name, address.name, address.tool] : address
  }

  test('are split at the first double underscore', () => {
    expect(found('tool', 'weather__get__all')).toEqual(['weather', 'get__all', 'get__all'])
    expect(found('tool', 'weather___get')).toEqual(['weather', '_get', '_get'])
    for (const name of ['weather_get', 'get', '__get', 'weather', 'other__get', 'Weather__get'])
      expect(found('tool', name)).toBe('unknown')
  })

  test('of resources are the URI with a scheme of their own before it, also where the name begins with a digit', () => {
    expect(found('resource', 'weather+file:///a+b')).toEqual(['weather', 'file:///a+b', undefined])
    expect(found('resource', 'n.9lives+file:///x')).toEqual(['9lives', 'file:///x', undefined])
    expect(found('resource', 'n+no-scheme')).toEqual(['n', 'no-scheme', undefined])
    for (const uri of ['9lives+file:///x', 'n.weather+file:///x', 'file:///x', '+x', 'weather'])
      expect(found('resource', uri)).toBe('unknown')
    const exposed = all.map((member) => new ExposedMember(member).expose('resource', 'file:///x') ?? '')
    expect(exposed.map((uri) => new URL(uri).protocol)).toEqual([
      'weather+file:',
      'n.9lives+file:',
      'n+file:',
    ])
  })

  test('are shown where a pattern includes them and none excludes them, by what the member calls them', () => {
    const member = memberOf('m', {
      include: ['get_*', 'file:///pub/**'],
      exclude: ['*_secret'],
      rename: { get_a: 'first' },
    })
    expect(found('tool', 'm__first', [member])).toEqual(['m', 'get_a', 'get_a'])
    expect(found('tool', 'm__get_b', [member])).toEqual(['m', 'get_b', 'get_b'])
    expect(found('resource', 'm+file:///pub/x/y', [member])).toEqual(['m', 'file:///pub/x/y', undefined])
    for (const name of ['m__get_a', 'm__get_secret', 'm__set'])
      expect(found('tool', name, [member])).toBe('unknown')
    expect(found('resource', 'm+file:///etc', [member])).toBe('unknown')
  })

  test('that were swapped lead to the right one each, and a name that was given away hides who had it', () => {
    const swapped = memberOf('m', { rename: { a: 'b', b: 'a' } })
    expect(found('tool', 'm__a', [swapped])).toEqual(['m', 'b', 'b'])
    expect(found('tool', 'm__b', [swapped])).toEqual(['m', 'a', 'a'])
    const taken = memberOf('m', { rename: { a: 'b' } })
    expect(found('tool', 'm__b', [taken])).toEqual(['m', 'a', 'a'])
    expect(new ExposedMember(taken).expose('tool', 'b')).toBeUndefined()
  })

  test('longer than 128 characters are neither listed nor called, and said to be so', () => {
    const member = new ExposedMember(memberOf('weather'))
    const fits = 'x'.repeat(128 - 'weather__'.length)
    expect(member.expose('tool', fits)).toHaveLength(128)
    expect(member.expose('tool', `${fits}x`)).toBeUndefined()
    expect([fits, `${fits}x`].map((own) => member.isTooLong('tool', own))).toEqual([false, true])
    expect(found('tool', `weather__${fits}x`)).toBe('unknown')
    expect(member.expose('resource', `x:${fits.repeat(9)}`)).toBeDefined()
  })

  test('of prompts and templates are completed at their member; what names nothing is nobody’s', () => {
    const complete = (ref: object): JsonRpcMessage => ({
      jsonrpc: '2.0',
      id: 1,
      method: 'completion/complete',
      params: { ref },
    })
    expect(addressOf(complete({ type: 'ref/prompt', name: 'weather__p' }), all)).toMatchObject({ name: 'p' })
    expect(addressOf(complete({ type: 'ref/resource', uri: 'weather+x://{a}' }), all)).toMatchObject({
      name: 'x://{a}',
      kind: 'uri',
    })
    expect(addressOf(complete({ type: 'ref/prompt' }), all)).toBe('unknown')
    expect(addressOf({ jsonrpc: '2.0', id: 1, method: 'tools/call' }, all)).toBe('unknown')
    expect(addressOf({ jsonrpc: '2.0', id: 1, method: 'tools/list' }, all)).toBeUndefined()
    expect(
      addressOf({ jsonrpc: '2.0', id: 1, method: 'x/y', params: { name: 'weather__a' } }, all),
    ).toBeUndefined()
  })
})
