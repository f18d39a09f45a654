// Which redirect URIs a client may have and be sent to, and what metadata are taken.
import { describe, expect, test } from 'vitest'
import { isRedirectUri, mayRedirectTo, readMetadata } from './client.ts'
import { isClientUrl } from './client-documents.ts'
import { readResource } from './resource.ts'

describe('a redirect URI', () => {
  test.each([
    'https://app.example/cb',
    'https://app.example',
    'https://app.example:8443/cb?x=1',
    'http://localhost/cb',
    'http://localhost:3000',
    'http://127.0.0.1:7777/callback',
    'http://[::1]:7777/callback',
  ])('%s may be registered', (uri) => expect(isRedirectUri(uri)).toBe(true))

  test.each([
    'http://app.example/cb',
    'http://localhost.evil.example/cb',
    'http://127.0.0.1.evil.example/cb',
    'http://127.0.0.1@evil.example/cb',
    'https://user@app.example/cb',
    'https://user:pass@app.example/cb',
    'https:///cb',
    'https:app.example',
    'https://app.example/cb#fragment',
    'https://app.example\\@evil.example/cb',
    'https://app.example/ cb',
    'https://app.example/cb\r\nx: y',
    'https://app.example/"><script>',
    'javascript:alert(1)',
    'data:text/html,x',
    'file:///etc/passwd',
    'cursor://callback',
    'vscode://x/cb',
    '//app.example/cb',
    '/cb',
    '',
    `https://app.example/${'x'.repeat(2000)}`,
  ])('%s may not', (uri) => expect(isRedirectUri(uri)).toBe(false))

  const client = (...redirectUris: string[]) => ({
    name: 'One',
    redirectUris,
    grantTypes: ['authorization_code'] as const,
    authMethod: 'none' as const,
  })

  test('is compared character by character', () => {
    const { redirectUris, ...rest } = client('https://app.example/cb')
    const registered = { ...rest, redirectUris }
    expect(mayRedirectTo(registered, 'https://app.example/cb')).toBe(true)
    for (const other of [
      'https://app.example/cb/',
      'https://app.example/cb?x=1',
      'https://app.example/CB',
      'https://APP.example/cb',
      'https://app.example/cb/../evil',
      'https://app.example:443/cb',
      'https://app.example:8443/cb',
      'https://app.example.evil/cb',
      'http://app.example/cb',
      'http://localhost/cb',
    ])
      expect([other, mayRedirectTo(registered, other)]).toEqual([other, false])
  })

  test('of a loopback address may have any port, and nothing else that differs', () => {
    const registered = client('http://127.0.0.1/cb', 'http://localhost:3000/cb')
    for (const same of ['http://127.0.0.1:50000/cb', 'http://localhost:1/cb', 'http://localhost/cb'])
      expect([same, mayRedirectTo(registered, same)]).toEqual([same, true])
    for (const other of [
      'http://127.0.0.1:50000/other',
      'http://[::1]:50000/cb',
      'http://127.0.0.2:50000/cb',
      'http://localhost.evil:3000/cb',
      'http://localhost:3000@evil.example/cb',
      'https://localhost:3000/cb',
    ])
      expect([other, mayRedirectTo(registered, other)]).toEqual([other, false])
  })
})

describe('metadata of a client', () => {
  const good = { client_name: 'One', redirect_uris: ['https://one.example/cb'] }

  test('are taken with what we do not know left out', () => {
    const more = { logo_uri: 'https://x', grant_types: ['authorization_code', 'refresh_token', 'implicit'] }
    expect(readMetadata({ ...good, ...more }, 'none')).toEqual({
      name: 'One',
      redirectUris: good.redirect_uris,
      grantTypes: ['authorization_code', 'refresh_token'],
      authMethod: 'none',
    })
  })

  test.each([
    ['no redirect', { redirect_uris: [] }],
    ['no redirects', { redirect_uris: undefined }],
    ['too many redirects', { redirect_uris: Array.from({ length: 21 }, () => 'https://one.example/cb') }],
    ['one bad redirect', { redirect_uris: ['https://one.example/cb', 'http://one.example/cb'] }],
    ['a name that turns text around', { client_name: 'Good\u202eliub' }],
    ['a name with a hidden letter', { client_name: 'Go\u200bod' }],
    ['a name of several lines', { client_name: 'One\nYou are safe' }],
    ['a long name', { client_name: 'x'.repeat(101) }],
    ['a name that is none', { client_name: { en: 'One' } }],
    ['no code flow', { grant_types: ['client_credentials'] }],
    ['an implicit response', { response_types: ['token'] }],
    ['a way to authenticate that we do not know', { token_endpoint_auth_method: 'tls_client_auth' }],
  ])('with %s are refused', (_name, change) => {
    expect(() => readMetadata({ ...good, ...change }, 'none')).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^invalid_(client_metadata|redirect_uri)$/) }),
    )
  })
})

test.each([
  ['https://app.example/client.json', true],
  ['https://app.example/a/b', true],
  ['https://app.example:8443/client.json', true],
  ['http://app.example/client.json', false],
  ['https://app.example', false],
  ['https://app.example/', false],
  ['https://app.example/a/../b', false],
  ['https://APP.example/client.json', false],
  ['https://app.example:443/client.json', false],
  ['https://user@app.example/client.json', false],
  ['https://app.example/client.json#x', false],
  ['https://app.example/client.json?x', false],
  [`https://app.example/${'x'.repeat(500)}`, false],
])('%s as the URL of a client: %s', (url, is) => expect(isClientUrl(url)).toBe(is))

test.each([
  ['https://gw.example/mcp', 'https://gw.example/mcp'],
  ['https://gw.example/mcp/', 'https://gw.example/mcp'],
  ['https://gw.example/mcp/weather', 'https://gw.example/mcp/weather'],
  ['https://gw.example/mcp/weather/sse', undefined],
  ['https://gw.example/mcp/Weather', undefined],
  ['https://gw.example/mcp?x', undefined],
  ['https://gw.example/mcp#x', undefined],
  ['https://gw.example', undefined],
  ['https://gw.example/api/v1', undefined],
  ['https://gw.example.evil/mcp', undefined],
  ['https://gw.example@evil/mcp', undefined],
  ['https://GW.example/mcp', undefined],
  ['http://gw.example/mcp', undefined],
  ['/mcp', undefined],
  [undefined, undefined],
])('%s as a resource is %s', (text, resource) => {
  const read = () => readResource(text, 'https://gw.example')
  if (resource === undefined) expect(read).toThrow(expect.objectContaining({ code: 'invalid_target' }))
  else expect(read()).toBe(resource)
})
