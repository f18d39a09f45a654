// Official clients log in unaided: from a 401 through metadata, registration, login and consent to a tool call.
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  Client as ModernClient,
  ClientCredentialsProvider,
  CrossAppAccessProvider,
  PrivateKeyJwtProvider,
  StreamableHTTPClientTransport,
  type OAuthClientProvider,
} from '@modelcontextprotocol/client'
import {
  ClientCredentialsProvider as FirstCredentials,
  PrivateKeyJwtProvider as FirstPrivateKey,
} from '@modelcontextprotocol/sdk/client/auth-extensions.js'
import { Client as FirstClient } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as FirstTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import { consent } from '../harness/browser.ts'
import { startIssuer, type TestIssuer } from '../harness/issuer.ts'
import { callback, register, tokensFor } from '../harness/oauth.ts'
import { newAuthority } from '../upstreams/certificates.ts'
import { startBench, type Bench } from '../trust/bench.ts'

let bench: Bench
/** Serves the metadata of a client that is known by their URL. */
let documents: Server
let issuer: TestIssuer
const folder = mkdtempSync(join(tmpdir(), 'tollbridge-oauth-'))
const documentUrl = (): string => `https://localhost:${(documents.address() as AddressInfo).port}/client.json`
const user = { username: 'anna', password: 'Member-passw0rd-anna' }
beforeAll(async () => {
  const authority = newAuthority()
  documents = createServer(authority.issue(['localhost']), (_request, response) => {
    const { clientMetadata } = new Application()
    const document = { ...clientMetadata, client_id: documentUrl(), client_name: 'Described client' }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(document))
  })
  await new Promise<void>((done) => documents.listen(0, '127.0.0.1', done))
  writeFileSync(join(folder, 'ca.pem'), authority.ca)
  issuer = await startIssuer()
  const issuers = [{ issuer: issuer.url, identityAssertions: true }]
  writeFileSync(join(folder, 'tollbridge.yaml'), JSON.stringify({ oauth: { issuers } }))
  bench = await startBench({
    env: { NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem') },
    args: ['--config', join(folder, 'tollbridge.yaml')],
  })
  await bench.gateway.admin.ok('POST', '/api/v1/bundles', {
    name: 'both',
    access: 'authenticated',
    members: [{ server: 'stub' }],
  })
})
afterAll(async () => {
  await bench.stop()
  await issuer.stop()
  documents.closeAllConnections()
  documents.close()
  rmSync(folder, { recursive: true, force: true })
})

/** What an application gives an SDK: it remembers, and opens a browser where it is told to. */
class Application {
  readonly redirectUrl = callback
  readonly clientMetadata = {
    client_name: 'Official client',
    redirect_uris: [callback],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
  }
  readonly clientMetadataUrl?: string
  back: URL | undefined
  opened: URL | undefined
  // What the two SDKs want kept has types of their own.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly kept: Record<string, any> = {}

  constructor(clientMetadataUrl?: string) {
    if (clientMetadataUrl !== undefined) this.clientMetadataUrl = clientMetadataUrl
  }

  state = (): string => 'a-state-of-its-own'
  clientInformation = () => this.kept['client']
  saveClientInformation = (client: unknown): void => void (this.kept['client'] = client)
  tokens = () => this.kept['tokens']
  saveTokens = (tokens: unknown): void => void (this.kept['tokens'] = tokens)
  discoveryState = () => this.kept['discovery']
  saveDiscoveryState = (found: unknown): void => void (this.kept['discovery'] = found)
  codeVerifier = (): string => this.kept['verifier'] as string
  saveCodeVerifier = (verifier: string): void => void (this.kept['verifier'] = verifier)
  async redirectToAuthorization(address: URL): Promise<void> {
    this.opened = address
    this.back = await consent(address, user)
  }
}

interface Kind {
  connect(
    url: string,
    application: Application,
  ): Promise<{ callTool(): Promise<unknown>; close(): Promise<void> }>
}

const info = { name: 'official', version: '1' }
const call = { name: 'work', arguments: {} }

function first(transportOf: (url: URL, options: object) => FirstTransport | SSEClientTransport): Kind {
  return {
    connect: async (url, application) => {
      const dial = () => transportOf(new URL(url), { authProvider: application })
      const transport = dial()
      const refused = new FirstClient(info).connect(transport).catch((error: unknown) => error)
      expect(String(await refused)).toMatch(/Unauthorized/)
      await transport.finishAuth(application.back?.searchParams.get('code') ?? '')
      const client = new FirstClient(info)
      await client.connect(dial())
      return { callTool: () => client.callTool(call), close: () => client.close() }
    },
  }
}

const kinds: Record<string, [path: string, Kind]> = {
  'the first SDK, legacy, over Streamable HTTP': [
    '/mcp/stub',
    first((url, options) => new FirstTransport(url, options)),
  ],
  'the first SDK, legacy, over HTTP+SSE': [
    '/mcp/stub/sse',
    first((url, options) => new SSEClientTransport(url, options)),
  ],
  'the second SDK, modern': ['/mcp/stub', second('2026-07-28')],
  'the second SDK, legacy': ['/mcp/stub', second('legacy')],
  'the second SDK at a bundle': ['/mcp/both', second('2026-07-28')],
  'the second SDK at plain /mcp': ['/mcp', second('2026-07-28')],
  'the second SDK at the built-in server': ['/mcp/tollbridge', second('2026-07-28')],
}

function second(mode: '2026-07-28' | 'legacy'): Kind {
  const options = { versionNegotiation: { mode: mode === 'legacy' ? ('legacy' as const) : { pin: mode } } }
  return {
    connect: async (url, application) => {
      const dial = () =>
        new StreamableHTTPClientTransport(new URL(url), { authProvider: application as never })
      const transport = dial()
      const refused = new ModernClient(info, options).connect(transport).catch((error: unknown) => error)
      expect(String(await refused)).toMatch(/[Uu]nauthorized|authorization/i)
      await transport.finishAuth(application.back?.searchParams ?? new URLSearchParams())
      const client = new ModernClient(info, options)
      await client.connect(dial())
      const tool = url.endsWith('/tollbridge')
        ? 'get_balance'
        : /\/(mcp|both)$/.test(url)
          ? 'stub__work'
          : 'work'
      return { callTool: () => client.callTool({ ...call, name: tool }), close: () => client.close() }
    },
  }
}

describe.each(Object.entries(kinds))('%s', (_name, [path, kind]) => {
  test('logs in unaided and calls a tool, as the user who consented', async () => {
    const application = new Application()
    const { url } = bench.gateway
    const client = await kind.connect(url + path, application)
    try {
      expect(await client.callTool()).toMatchObject({ content: [{ type: 'text' }] })
    } finally {
      await client.close()
    }
    const resource = url + path.replace('/sse', '')
    expect(application.opened?.searchParams.get('resource')).toBe(resource)
    expect(application.opened?.searchParams.get('scope')).toBe('mcp:read mcp:call')
    expect(application.back?.searchParams.get('iss')).toBe(url)
    expect(application.back?.searchParams.get('state')).toBe('a-state-of-its-own')
    const grants = await bench.a.all('/api/v1/oauth/grants')
    expect(grants.at(-1)).toMatchObject({ clientName: 'Official client', resource, userId: bench.a.userId })
  })
})

test.each(['first', 'second'])(
  'the %s SDK logs in by the URL of its metadata, without registering',
  async (name) => {
    const application = new Application(documentUrl())
    const kind =
      name === 'first' ? first((url, options) => new FirstTransport(url, options)) : second('2026-07-28')
    const client = await kind.connect(`${bench.gateway.url}/mcp/stub`, application)
    expect(await client.callTool()).toMatchObject({ content: [{ type: 'text' }] })
    await client.close()
    const grants = await bench.a.all('/api/v1/oauth/grants')
    expect(grants.at(-1)).toMatchObject({ clientId: documentUrl(), clientName: 'Described client' })
  },
)

test('an official client goes on with its refresh token when its access token is refused', async () => {
  const application = new Application()
  const { url } = bench.gateway
  const client = await second('2026-07-28').connect(`${url}/mcp/stub`, application)
  await client.close()
  const before = application.kept['tokens']
  application.kept['tokens'] = { ...before, access_token: 'a.b.c' }
  application.opened = undefined
  const again = new ModernClient(info, { versionNegotiation: { mode: { pin: '2026-07-28' } } })
  const endpoint = new URL(`${url}/mcp/stub`)
  await again.connect(new StreamableHTTPClientTransport(endpoint, { authProvider: application as never }))
  expect(await again.callTool(call)).toMatchObject({ content: [{ type: 'text' }] })
  await again.close()
  expect(application.opened).toBeUndefined()
  expect(application.kept['tokens'].refresh_token).not.toBe(before.refresh_token)
})

test('an official client that may only read asks for more when a call needs it, and then calls', async () => {
  const application = new Application()
  const { url } = bench.gateway
  const dial = () =>
    new StreamableHTTPClientTransport(new URL(`${url}/mcp/stub`), { authProvider: application as never })
  const clientId = (await register(url)).id
  application.kept['client'] = { client_id: clientId, issuer: url }
  application.kept['tokens'] = await tokensFor(url, user, { clientId, scope: 'mcp:read' })
  const client = new ModernClient(info, { versionNegotiation: { mode: { pin: '2026-07-28' } } })
  const transport = dial()
  await client.connect(transport)
  await expect(client.callTool(call)).rejects.toThrow()
  expect(application.opened?.searchParams.get('scope')?.split(' ').toSorted()).toEqual([
    'mcp:call',
    'mcp:read',
  ])
  await transport.finishAuth(application.back?.searchParams ?? new URLSearchParams())
  expect(await client.callTool(call)).toMatchObject({ content: [{ type: 'text' }] })
  await client.close()
})

describe('without a user there', () => {
  const endpoint = (): URL => new URL(`${bench.gateway.url}/mcp/stub`)
  const secondCalls = async (authProvider: OAuthClientProvider): Promise<unknown> => {
    const client = new ModernClient(info, { versionNegotiation: { mode: { pin: '2026-07-28' } } })
    await client.connect(new StreamableHTTPClientTransport(endpoint(), { authProvider }))
    const answer = await client.callTool(call)
    await client.close()
    return answer
  }
  const firstCalls = async (authProvider: FirstCredentials | FirstPrivateKey): Promise<unknown> => {
    const client = new FirstClient(info)
    await client.connect(new FirstTransport(endpoint(), { authProvider }))
    const answer = await client.callTool(call)
    await client.close()
    return answer
  }
  const text = { content: [{ type: 'text' }] }
  const expectedIssuer = (): string => bench.gateway.url

  test('a client of a user logs in by its secret, in both SDKs, and its calls are those of the user', async () => {
    const made = await bench.a.ok('POST', '/api/v1/oauth/clients', { name: 'Nightly job' })
    const options = { clientId: made.id, clientSecret: made.secret, expectedIssuer: expectedIssuer() }
    expect(await secondCalls(new ClientCredentialsProvider(options))).toMatchObject(text)
    expect(await firstCalls(new FirstCredentials(options))).toMatchObject(text)
    const [grant] = (await bench.a.all('/api/v1/oauth/grants')).slice(-1)
    expect(grant).toMatchObject({ clientId: made.id, clientName: 'Nightly job' })
    const [newest] = (await bench.a.ok('GET', '/api/v1/billing/usage?limit=1')).items
    expect(newest).toMatchObject({ userId: bench.a.userId, server: 'stub' })
  })

  test('a client of a user logs in by its key, in both SDKs', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const publicKeys = [{ ...publicKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig' }]
    const made = await bench.a.ok('POST', '/api/v1/oauth/clients', { name: 'Signed job', publicKeys })
    expect(made.secret).toBeUndefined()
    const options = {
      clientId: made.id,
      privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      algorithm: 'ES256',
      expectedIssuer: expectedIssuer(),
    }
    expect(await secondCalls(new PrivateKeyJwtProvider(options))).toMatchObject(text)
    expect(await firstCalls(new FirstPrivateKey(options))).toMatchObject(text)
  })

  test('an enterprise client logs its user in by what the identity provider asserts', async () => {
    const made = await bench.a.ok('POST', '/api/v1/oauth/clients', { name: 'Enterprise app' })
    const provider = new CrossAppAccessProvider({
      clientId: made.id,
      clientSecret: made.secret,
      expectedIssuer: expectedIssuer(),
      assertion: ({ authorizationServerUrl, resourceUrl, scope }) =>
        issuer.token(
          authorizationServerUrl,
          {
            sub: 'employee-7',
            preferred_username: 'employee7',
            client_id: made.id,
            resource: resourceUrl,
            jti: 'one',
            ...(scope !== undefined && { scope }),
          },
          { typ: 'oauth-id-jag+jwt' },
        ),
    })
    expect(await secondCalls(provider)).toMatchObject(text)
    const users = await bench.gateway.admin.all('/api/v1/users')
    const employee = users.find(({ username }) => username === 'employee7')
    const usage = await bench.gateway.admin.all(`/api/v1/billing/usage?user=${employee.id}`)
    expect(usage.length).toBeGreaterThan(0)
  })
})
