// Guarantees of the schema that headers are made of: the called server's own, also behind an aggregate, and never waited for in vain.
import { openToAll } from '../../test/harness/permissions.ts'
import { expect, test, vi } from 'vitest'
import { testServer } from '../../test/harness/calls.ts'
import type { Principal } from '../identity/principal.ts'
import type { Catalogues } from '../upstreams/catalogue.ts'
import { ParamChecks } from './param-checks.ts'

const region = { type: 'object', properties: { region: { type: 'string', 'x-mcp-header': 'Region' } } }
const member = {
  ...testServer,
  name: 'weather',
  transport: { type: 'streamable-http', url: 'http://w/' },
} as const
const bundle = { ...testServer, name: 'tools', transport: { type: 'aggregate' } } as const
const caller = { userId: 'usr_1' } as Principal
const call = (name: string) => ({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name } }) as const

const checks = (get: Catalogues['get']): ParamChecks =>
  new ParamChecks(
    { get } as Catalogues,
    {
      eraOf: () => 'modern',
      findMember: (_server, _caller, { params }) =>
        params?.['name'] === 'weather__here' ? { server: member, tool: 'here' } : undefined,
    },
    openToAll,
  )
const known = checks(() => Promise.resolve({ tools: [{ name: 'here', inputSchema: region }] } as never))

test('it is that of the called tool', async () => {
  expect(await known.inputSchema(member, call('here'), caller)).toBe(region)
  expect(await known.inputSchema(member, call('there'), caller)).toBeUndefined()
})

test('behind an aggregate it is that of the member, under its own name', async () => {
  expect(await known.inputSchema(bundle, call('weather__here'), caller)).toBe(region)
})

test('nothing is waited for where no header can depend on it', () => {
  expect(known.inputSchema(bundle, call('unknown__tool'), caller)).toBeUndefined()
  const child = { ...testServer, transport: { type: 'stdio', command: 'x', args: [], env: {} } } as const
  expect(known.inputSchema(child, call('here'), caller)).toBeUndefined()
  const list = { jsonrpc: '2.0', id: 1, method: 'tools/list' } as const
  expect(known.inputSchema(member, list, caller)).toBeUndefined()
})

test('a server that does not tell holds a call up for five seconds at most', async () => {
  vi.useFakeTimers()
  const schema = checks(() => new Promise(() => {})).inputSchema(member, call('here'), caller)
  await vi.advanceTimersByTimeAsync(5000)
  expect(await schema).toBeUndefined()
  vi.useRealTimers()
})
