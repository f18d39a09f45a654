// An identity provider on loopback: metadata, keys that change, and tokens of any content.
import { createHash, generateKeyPairSync, sign, type JsonWebKey, type KeyObject } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface IssuerKey {
  readonly kid: string
  readonly publicJwk: JsonWebKey & { kid: string }
  readonly privateKey: KeyObject
}

let keys = 0

export function newIssuerKey(): IssuerKey {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const kid = `key-${++keys}`
  return {
    kid,
    privateKey,
    publicJwk: { ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' },
  }
}

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A token with these claims and this header, signed with ES256. */
export function signToken(key: IssuerKey, claims: object, header: object = {}): string {
  const signed = `${part({ alg: 'ES256', typ: 'at+jwt', kid: key.kid, ...header })}.${part(claims)}`
  const signature = sign('sha256', Buffer.from(signed), { key: key.privateKey, dsaEncoding: 'ieee-p1363' })
  return `${signed}.${signature.toString('base64url')}`
}

export interface TestIssuer {
  readonly url: string
  /** Keys that it publishes; the first one signs. */
  published: IssuerKey[]
  /** Paths that were asked for. */
  readonly asked: string[]
  /** The user agrees in the browser: where it is sent back to. The ID token has `more` beside the usual claims. */
  agree(authorizeUrl: string, more?: object, answer?: Record<string, string>): string
  /** Forms that its token endpoint got. */
  readonly exchanged: Record<string, string>[]
  /** A token with the usual claims, but for `more`. */
  token(audience: string | string[], more?: object, header?: object): string
  stop(): Promise<void>
}

export async function startIssuer(): Promise<TestIssuer> {
  const asked: string[] = []
  const exchanged: Record<string, string>[] = []
  const codes = new Map<string, { challenge: string; clientId: string; nonce: string; more: object }>()
  async function giveTokens(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = ''
    for await (const chunk of request.setEncoding('utf8') as AsyncIterable<string>) text += chunk
    const form = Object.fromEntries(new URLSearchParams(text))
    exchanged.push(form)
    const code = codes.get(form['code'] ?? '')
    codes.delete(form['code'] ?? '')
    const challenge = createHash('sha256')
      .update(form['code_verifier'] ?? '')
      .digest('base64url')
    const isRight = code?.challenge === challenge
    response.writeHead(isRight ? 200 : 400, { 'content-type': 'application/json' })
    if (!code || !isRight) {
      response.end(JSON.stringify({ error: 'invalid_grant' }))
      return
    }
    const idToken = issuer.token(code.clientId, { nonce: code.nonce, ...code.more }, { typ: 'JWT' })
    response.end(
      JSON.stringify({ access_token: 'of-no-use', token_type: 'Bearer', expires_in: 60, id_token: idToken }),
    )
  }
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    asked.push(path)
    if (path === '/token') {
      void giveTokens(request, response)
      return
    }
    const documents: Record<string, unknown> = {
      '/.well-known/openid-configuration': {
        issuer: issuer.url,
        jwks_uri: `${issuer.url}/keys`,
        authorization_endpoint: `${issuer.url}/authorize`,
        token_endpoint: `${issuer.url}/token`,
        authorization_response_iss_parameter_supported: true,
        response_types_supported: ['code'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['ES256'],
      },
      '/keys': { keys: issuer.published.map(({ publicJwk }) => publicJwk) },
    }
    const body = documents[path]
    response.writeHead(body === undefined ? 404 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(body ?? {}))
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const issuer: TestIssuer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    published: [newIssuerKey()],
    asked,
    exchanged,
    agree: (authorizeUrl, more = {}, told = {}) => {
      const { searchParams } = new URL(authorizeUrl)
      const of = (name: string): string => searchParams.get(name) ?? ''
      const code = `code-${codes.size}-${keys}-${Math.random()}`
      codes.set(code, {
        challenge: of('code_challenge'),
        clientId: of('client_id'),
        nonce: of('nonce'),
        more,
      })
      const back = new URL(of('redirect_uri'))
      for (const [name, value] of Object.entries({ code, state: of('state'), iss: issuer.url, ...told }))
        back.searchParams.set(name, value)
      return back.href
    },
    token: (aud, more = {}, header = {}) => {
      const nowS = Math.floor(Date.now() / 1000)
      const claims = { iss: issuer.url, sub: 'subject-1', aud, iat: nowS, exp: nowS + 300, ...more }
      return signToken(issuer.published[0] ?? newIssuerKey(), claims, header)
    },
    stop: () => {
      server.closeAllConnections()
      return new Promise((done) => server.close(() => done()))
    },
  }
  return issuer
}
