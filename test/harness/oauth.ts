// An OAuth client written by hand, for what the clients of the SDKs would not do.
import { createHash, randomBytes } from 'node:crypto'
import { send, type RawAnswer } from '../trust/bench.ts'
import { consent } from './browser.ts'

export const callback = 'http://127.0.0.1:7777/callback'

export interface OauthClient {
  readonly id: string
  readonly secret: string | undefined
}

/** One authorization by hand: the request that opens it, and the proof that ends it. */
export class Authorization {
  readonly url: string
  readonly verifier = randomBytes(32).toString('base64url')
  readonly state = randomBytes(8).toString('hex')
  readonly params: Record<string, string>

  /** `url` is the gateway's. Parameters of `more` replace the usual ones; an empty one is left out. */
  constructor(url: string, clientId: string, more: Record<string, string> = {}) {
    this.url = url
    this.params = {
      response_type: 'code',
      client_id: clientId,
      redirect_uri: callback,
      resource: `${url}/mcp/stub`,
      state: this.state,
      code_challenge: createHash('sha256').update(this.verifier).digest('base64url'),
      code_challenge_method: 'S256',
      ...more,
    }
  }

  get address(): string {
    const set = Object.entries(this.params).filter(([, value]) => value !== '')
    return `${this.url}/oauth/authorize?${new URLSearchParams(Object.fromEntries(set)).toString()}`
  }

  /** Exchanges the code of a redirect. */
  exchange(back: URL, more: Record<string, string> = {}): Promise<RawAnswer> {
    return postForm(this.url, '/oauth/token', {
      grant_type: 'authorization_code',
      client_id: this.params['client_id'] ?? '',
      code: back.searchParams.get('code') ?? '',
      code_verifier: this.verifier,
      redirect_uri: this.params['redirect_uri'] ?? '',
      resource: this.params['resource'] ?? '',
      ...more,
    })
  }
}

export const postForm = (
  url: string,
  path: string,
  form: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<RawAnswer> =>
  send(url, {
    method: 'POST',
    path,
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: new URLSearchParams(form).toString(),
  })

/** Registers a client; its metadata are the usual ones but for `more`. */
export async function register(url: string, more: object = {}): Promise<OauthClient> {
  const answer = await tryToRegister(url, more)
  if (answer.status !== 201) throw new Error(`not registered: ${answer.status} ${answer.text}`)
  return { id: answer.json.client_id, secret: answer.json.client_secret }
}

export const tryToRegister = (url: string, more: object = {}): Promise<RawAnswer> =>
  send(url, {
    method: 'POST',
    path: '/oauth/register',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      client_name: 'Probe',
      redirect_uris: [callback],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'none',
      ...more,
    }),
  })

/** Tokens of a user for a client, all the way through login and consent. */
export async function tokensFor(
  url: string,
  user: { username: string; password: string },
  { clientId, ...more }: { clientId: string } & Record<string, string>,
): Promise<{ access_token: string; refresh_token: string; scope: string }> {
  const authorization = new Authorization(url, clientId, more)
  const answer = await authorization.exchange(await consent(authorization.address, user))
  if (answer.status !== 200) throw new Error(`no tokens: ${answer.status} ${answer.text}`)
  return answer.json
}
