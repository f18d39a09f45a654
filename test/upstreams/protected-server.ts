// An MCP server that wants access tokens, with its authorization server; both keep what they were asked.
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { startRecorder, type Recorder, type RecorderOptions } from './recorder.ts'

export interface TokenRequest {
  readonly authorization: string | undefined
  readonly form: Readonly<Record<string, string>>
}

export interface ProtectedServer {
  /** The MCP endpoint. */
  readonly url: string
  /** The authorization server. */
  readonly issuer: string
  /** What passed the door. */
  readonly behind: Recorder
  readonly tokenRequests: TokenRequest[]
  /** Every request to the authorization server, by path. */
  readonly asked: string[]
  /** How many requests were turned away. */
  refused(): number
  /** No token that was given so far is good any more. */
  revokeAll(): void
  /** How tokens are given from now on. */
  script: TokenScript
  /** Members of a metadata document that are said in place of the right ones. */
  readonly lies: { resource: object; server: object }
  stop(): Promise<void>
}

export interface TokenScript {
  readonly expiresInS?: number
  /** Tokens that are no good from the start. */
  readonly stillborn?: boolean
  /** Answers so in place of a token. */
  readonly refusal?: {
    readonly status: number
    readonly body: object
    readonly headers?: Record<string, string>
  }
}

export async function startProtectedServer(options: RecorderOptions = {}): Promise<ProtectedServer> {
  const behind = await startRecorder(options)
  const good = new Set<string>()
  const tokenRequests: TokenRequest[] = []
  const asked: string[] = []
  const lies = { resource: {}, server: {} }
  const state = { script: { expiresInS: 3600 } as TokenScript, refused: 0, made: 0 }

  const authorizationServer = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    void answerToken(request, response)
  })
  async function answerToken(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url === '/.well-known/oauth-authorization-server')
      return json(response, 200, { issuer, token_endpoint: `${issuer}/token`, ...lies.server })
    if (request.url !== '/token') return json(response, 404, {})
    const form = Object.fromEntries(new URLSearchParams(await textOf(request)))
    tokenRequests.push({ authorization: request.headers.authorization, form })
    const { refusal, expiresInS, stillborn } = state.script
    if (refusal) return json(response, refusal.status, refusal.body, refusal.headers)
    const token = `token-${++state.made}`
    if (stillborn !== true) good.add(token)
    json(response, 200, {
      access_token: token,
      token_type: 'Bearer',
      ...(expiresInS !== undefined && { expires_in: expiresInS }),
    })
  }

  const door = createServer((request, response) => {
    const origin = originOf(door)
    if (request.url?.startsWith('/.well-known/oauth-protected-resource/mcp'))
      return json(response, 200, {
        resource: `${origin}/mcp`,
        authorization_servers: [issuer],
        ...lies.resource,
      })
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1]
    if (token === undefined || !good.has(token)) {
      state.refused++
      request.resume()
      const metadata = `${origin}/.well-known/oauth-protected-resource/mcp`
      return json(response, 401, {}, { 'www-authenticate': `Bearer resource_metadata="${metadata}"` })
    }
    pass(request, response, behind.url)
  })
  await listen(authorizationServer)
  const issuer = originOf(authorizationServer)
  await listen(door)
  return {
    url: `${originOf(door)}/mcp`,
    issuer,
    behind,
    tokenRequests,
    asked,
    lies,
    refused: () => state.refused,
    revokeAll: () => good.clear(),
    get script() {
      return state.script
    },
    set script(script) {
      state.script = script
    },
    stop: async () => {
      for (const server of [door, authorizationServer]) {
        server.closeAllConnections()
        await new Promise((done) => server.close(done))
      }
      await behind.stop()
    },
  }
}

function pass(request: IncomingMessage, response: ServerResponse, url: string): void {
  const { method = '', headers, url: path = '' } = request
  const target = new URL(path, url)
  const passed = httpRequest(target, { method, headers, agent: false }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers)
    answer.pipe(response)
  })
  passed.on('error', () => response.destroy())
  response.on('close', () => passed.destroy())
  request.pipe(passed)
}

function json(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(JSON.stringify(body))
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request.setEncoding('utf8') as AsyncIterable<string>) text += chunk
  return text
}

const listen = (server: Server): Promise<void> =>
  new Promise((done) => void server.listen(0, '127.0.0.1', done))
const originOf = (server: Server): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`
