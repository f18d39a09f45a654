// An identity provider on loopback: metadata, keys that change, and tokens of any content.
import { generateKeyPairSync, sign, type JsonWebKey, type KeyObject } from 'node:crypto'
import { createServer } from 'node:http'
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
  /** A token with the usual claims, but for `more`. */
  token(audience: string | string[], more?: object, header?: object): string
  stop(): Promise<void>
}

export async function startIssuer(): Promise<TestIssuer> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    asked.push(path)
    const documents: Record<string, unknown> = {
      '/.well-known/openid-configuration': { issuer: issuer.url, jwks_uri: `${issuer.url}/keys` },
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
