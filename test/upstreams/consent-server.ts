// An MCP server that wants a token of each user, with an authorization server that gives them by codes, refreshes and exchange.
import { createHash, randomBytes } from 'node:crypto'
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { decodeJwt } from 'jose'
import { startRecorder, type Recorder } from './recorder.ts'

export interface ConsentServer {
  readonly url: string
  readonly issuer: string
  /** What passed the door. */
  readonly behind: Recorder
  /** Forms that the token endpoint got. */
  readonly asked: Record<string, string>[]
  readonly registrations: object[]
  readonly revoked: string[]
  /** Whose token it is. */
  subjectOf(token: string): string | undefined
  /** Access tokens that were given so far are good no more; refresh tokens are. */
  expireAll(): void
  /** No token of any kind that was given so far is good any more. */
  forgetAll(): void
  /** The user agrees in the browser: where it is sent back to. */
  agree(authorizeUrl: string, subject: string, lies?: Record<string, string>): string
  /** Members of the metadata in place of the right ones. */
  readonly lies: Record<string, unknown>
  expiresInS: number
  stop(): Promise<void>
}

interface Code {
  readonly subject: string
  readonly challenge: string
  readonly redirectUri: string
  readonly clientId: string
}

export async function startConsentServer({ registers = true } = {}): Promise<ConsentServer> {
  const behind = await startRecorder()
  const access = new Map<string, string>()
  const refresh = new Map<string, string>()
  const codes = new Map<string, Code>()
  const asked: Record<string, string>[] = []
  const registrations: object[] = []
  const revoked: string[] = []
  const lies: Record<string, unknown> = {}
  const state = { expiresInS: 3600 }
  const fresh = (kind: string): string => `${kind}-${randomBytes(9).toString('base64url')}`

  const give = (response: ServerResponse, subject: string): void => {
    const [token, next] = [fresh('access'), fresh('refresh')]
    access.set(token, subject)
    refresh.set(next, subject)
    json(response, 200, {
      access_token: token,
      token_type: 'Bearer',
      expires_in: state.expiresInS,
      refresh_token: next,
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    })
  }
  const refuse = (response: ServerResponse): void => json(response, 400, { error: 'invalid_grant' })

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const text = await textOf(request)
    if (request.url === '/.well-known/oauth-authorization-server')
      return json(response, 200, {
        issuer,
        authorization_endpoint: `${issuer}/authorize`,
        token_endpoint: `${issuer}/token`,
        revocation_endpoint: `${issuer}/revoke`,
        ...(registers && { registration_endpoint: `${issuer}/register` }),
        response_types_supported: ['code'],
        code_challenge_methods_supported: ['S256'],
        authorization_response_iss_parameter_supported: true,
        ...lies,
      })
    if (request.url === '/register') {
      registrations.push(JSON.parse(text) as object)
      return json(response, 201, {
        ...(JSON.parse(text) as object),
        client_id: `client-${registrations.length}`,
      })
    }
    const form = Object.fromEntries(new URLSearchParams(text))
    if (request.url === '/revoke') {
      revoked.push(form['token'] ?? '')
      return json(response, 200, {})
    }
    if (request.url !== '/token') return json(response, 404, {})
    asked.push(form)
    if (form['grant_type'] === 'authorization_code') {
      const code = codes.get(form['code'] ?? '')
      codes.delete(form['code'] ?? '')
      const challenge = createHash('sha256')
        .update(form['code_verifier'] ?? '')
        .digest('base64url')
      const fits =
        code?.challenge === challenge &&
        code.redirectUri === form['redirect_uri'] &&
        code.clientId === form['client_id']
      return code && fits ? give(response, code.subject) : refuse(response)
    }
    if (form['grant_type'] === 'refresh_token') {
      const subject = refresh.get(form['refresh_token'] ?? '')
      // A refresh token is good for one exchange.
      refresh.delete(form['refresh_token'] ?? '')
      return subject === undefined ? refuse(response) : give(response, subject)
    }
    give(response, String(decodeJwt(form['subject_token'] ?? '').sub))
  }

  const authorizationServer = createServer((request, response) => void answer(request, response))
  const door = createServer((request, response) => {
    const origin = originOf(door)
    if (request.url?.startsWith('/.well-known/oauth-protected-resource/mcp'))
      return json(response, 200, { resource: `${origin}/mcp`, authorization_servers: [issuer] })
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1]
    if (token === undefined || !access.has(token)) {
      request.resume()
      const metadata = `${origin}/.well-known/oauth-protected-resource/mcp`
      return json(response, 401, {}, { 'www-authenticate': `Bearer resource_metadata="${metadata}"` })
    }
    pass(request, response, behind.url)
  })
  await listen(authorizationServer)
  const issuer = originOf(authorizationServer)
  await listen(door)
  const known = new Map<string, string>()
  return {
    url: `${originOf(door)}/mcp`,
    issuer,
    behind,
    asked,
    registrations,
    revoked,
    lies,
    subjectOf: (token) => access.get(token) ?? known.get(token),
    expireAll: () => {
      for (const [token, subject] of access) known.set(token, subject)
      access.clear()
    },
    forgetAll: () => {
      access.clear()
      refresh.clear()
    },
    agree: (authorizeUrl, subject, told = {}) => {
      const { searchParams } = new URL(authorizeUrl)
      const of = (name: string): string => searchParams.get(name) ?? ''
      const code = fresh('code')
      const [redirectUri, clientId, challenge] = [of('redirect_uri'), of('client_id'), of('code_challenge')]
      codes.set(code, { subject, challenge, redirectUri, clientId })
      const back = new URL(redirectUri)
      for (const [name, value] of Object.entries({ code, state: of('state'), iss: issuer, ...told }))
        back.searchParams.set(name, value)
      return back.href
    },
    get expiresInS() {
      return state.expiresInS
    },
    set expiresInS(seconds) {
      state.expiresInS = seconds
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
  const passed = httpRequest(new URL(path, url), { method, headers, agent: false }, (answer) => {
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

type Listening = ReturnType<typeof createServer>
const listen = (server: Listening): Promise<void> =>
  new Promise((done) => void server.listen(0, '127.0.0.1', done))
const originOf = (server: Listening): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`
