// The client side of the HTTP API: where the gateway is, who we are to it, and its refusals as one sentence.
import { changeCredentials, readCredentials, type Login } from './credentials.ts'
import { CliError, type Io } from './io.ts'

/** Options that every command of the client takes. */
export interface ClientOptions {
  readonly url?: string
  readonly key?: string
  readonly json?: boolean
}

type Body = Readonly<Record<string, unknown>>
type Query = Readonly<Record<string, string | number | boolean | undefined>>

interface Page<Item> {
  readonly items: Item[]
  readonly nextCursor: string | null
}

const timeoutMs = 60_000
/** A token with less left than this is refreshed before it is used. */
const refreshBeforeMs = 30_000
const maxPages = 1000

export class ApiClient {
  readonly url: string
  readonly #io: Io
  readonly #key: string | undefined

  constructor(io: Io, options: ClientOptions) {
    this.#io = io
    this.url = gatewayUrl(io, options)
    this.#key = options.key ?? (io.env['TOLLBRIDGE_KEY'] || undefined)
  }

  get<Answer>(path: string, query: Query = {}): Promise<Answer> {
    return this.#send('GET', withQuery(path, query))
  }

  /** An answer that is too long to be held, line by line and without line ends. */
  async *lines(path: string, query: Query = {}): AsyncGenerator<string> {
    const response = await this.#answer('GET', withQuery(path, query), undefined)
    if (!response.ok) await readAnswer(response)
    if (!response.body) return
    let rest = ''
    for await (const part of response.body.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + part).split(/\r?\n/)
      rest = lines.pop() ?? ''
      yield* lines
    }
    if (rest !== '') yield rest
  }

  /** The bytes of a file. */
  async download(path: string, query: Readonly<Record<string, string>>): Promise<Uint8Array> {
    const response = await this.#answer('GET', `${path}?${new URLSearchParams(query).toString()}`)
    if (!response.ok) return readAnswer(response)
    return new Uint8Array(await response.arrayBuffer())
  }

  post<Answer>(path: string, body?: Body): Promise<Answer> {
    return this.#send('POST', path, body)
  }

  patch<Answer>(path: string, body: Body): Promise<Answer> {
    return this.#send('PATCH', path, body)
  }

  put<Answer>(path: string, body: Body): Promise<Answer> {
    return this.#send('PUT', path, body)
  }

  delete(path: string): Promise<void> {
    return this.#send('DELETE', path)
  }

  /** Items of a list: up to `limit`, over as many pages as that takes; all of them without a limit. */
  async list<Item>(path: string, query: Query = {}, limit = Infinity): Promise<Item[]> {
    const items: Item[] = []
    let cursor: string | undefined
    for (let page = 0; page < maxPages && items.length < limit; page++) {
      const answer: Page<Item> = await this.get(path, {
        ...query,
        limit: Math.min(100, limit - items.length),
        cursor,
      })
      items.push(...answer.items)
      if (answer.nextCursor === null) break
      cursor = answer.nextCursor
    }
    return items
  }

  /** A request without a credential and without the saved login; for logging in. */
  async open<Answer>(method: string, path: string, body?: Body): Promise<Answer> {
    return readAnswer(await this.#fetch(method, path, { body }))
  }

  /** The key that was passed, else the saved login's token; in place of `rejected`, a fresh one. Undefined without any. */
  async credential(rejected?: string): Promise<string | undefined> {
    if (this.#key !== undefined) return rejected === this.#key ? undefined : this.#key
    return rejected === undefined ? this.#savedToken() : this.#refresh(rejected)
  }

  async #send<Answer>(method: string, path: string, body?: Body): Promise<Answer> {
    return readAnswer(await this.#answer(method, path, body))
  }

  async #answer(method: string, path: string, body?: Body): Promise<Response> {
    const credential = await this.credential()
    if (credential === undefined)
      throw new CliError(`Not logged in to ${this.url}; run \`tollbridge login\`, or pass --key.`)
    const response = await this.#fetch(method, `/api/v1${path}`, { body, credential })
    if (response.status === 401 && this.#key === undefined) {
      const fresh = await this.#refresh(credential)
      if (fresh !== undefined) {
        return this.#fetch(method, `/api/v1${path}`, { body, credential: fresh })
      }
    }
    return response
  }

  async #savedToken(): Promise<string | undefined> {
    const login = readCredentials(this.#io).logins[this.url]
    if (login === undefined || login.expiresAtMs - refreshBeforeMs > Date.now()) return login?.token
    return (await this.#refresh(login.token)) ?? login.token
  }

  /** A new token in place of `used`; undefined where the login has ended. */
  async #refresh(used: string): Promise<string | undefined> {
    const saved = await changeCredentials(this.#io, async (credentials) => {
      const login = credentials.logins[this.url]
      // Another command was faster.
      if (!login || login.token !== used) return credentials
      const response = await this.#fetch('POST', '/api/v1/auth/refresh', {
        body: { refreshToken: login.refreshToken },
      })
      if (!response.ok) return credentials
      const answer = (await response.json()) as TokenAnswer
      return { ...credentials, logins: { ...credentials.logins, [this.url]: toLogin(answer) } }
    })
    const token = saved.logins[this.url]?.token
    return token === used ? undefined : token
  }

  async #fetch(
    method: string,
    path: string,
    given: { body: Body | undefined; credential?: string },
  ): Promise<Response> {
    try {
      return await fetch(this.url + path, {
        method,
        headers: {
          accept: 'application/json',
          ...(given.body && { 'content-type': 'application/json' }),
          ...(given.credential && { authorization: `Bearer ${given.credential}` }),
        },
        ...(given.body && { body: JSON.stringify(given.body) }),
        redirect: 'error',
        signal: AbortSignal.timeout(timeoutMs),
      })
    } catch {
      throw new CliError(`No gateway answers at ${this.url}; start one with \`npm start\`, or pass --url.`)
    }
  }
}

function withQuery(path: string, query: Query): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, String(value))
  return search.size > 0 ? `${path}?${search.toString()}` : path
}

export interface TokenAnswer {
  readonly token: string
  readonly refreshToken: string
  readonly expiresIn: number
  readonly username: string
}

export const toLogin = (answer: TokenAnswer): Login => ({
  username: answer.username,
  token: answer.token,
  refreshToken: answer.refreshToken,
  expiresAtMs: Date.now() + answer.expiresIn * 1000,
})

/** `--url`, else TOLLBRIDGE_URL, else the gateway that was logged in to last, else the usual port of this machine. */
export function gatewayUrl(io: Io, options: ClientOptions): string {
  const given = options.url ?? (io.env['TOLLBRIDGE_URL'] || undefined) ?? readCredentials(io).current
  const url = given ?? `http://127.0.0.1:${io.env['TOLLBRIDGE_PORT'] || 8080}`
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw new CliError(
      `"${url}" is no http or https URL; pass the gateway's, such as http://127.0.0.1:8080`,
      2,
    )
  return url.replace(/\/+$/, '')
}

interface Problem {
  readonly detail?: string
  readonly code?: string
  readonly requestId?: string
  readonly errors?: readonly { field: string; message: string }[]
}

async function readAnswer<Answer>(response: Response): Promise<Answer> {
  const text = await response.text()
  if (response.ok) return (text === '' ? undefined : parse(text)) as Answer
  const problem = (parse(text) ?? {}) as Problem
  const fields = (problem.errors ?? []).map(({ field, message }) => `${field || 'body'}: ${message}`)
  const sentence = problem.detail ?? `The gateway answered ${response.status}.`
  const wait = response.headers.get('retry-after')
  const notes = [
    problem.code,
    problem.requestId && `request ${problem.requestId}`,
    wait && `retry after ${wait} s`,
  ].filter((note) => note !== undefined && note !== null && note !== '')
  const shown = fields.length > 1 ? `${sentence} ${fields.join('; ')}.` : sentence
  throw new CliError(notes.length > 0 ? `${shown} (${notes.join(', ')})` : shown)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
