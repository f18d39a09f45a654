// Requests to the gateway: typed by its OpenAPI document, with the cookie of the login, errors as they are told.
import type { Operations } from './types.ts'

type Name = keyof Operations
type Given<Each extends Name> = Pick<Operations[Each], 'params' | 'query' | 'body'>
type Part = 'params' | 'query' | 'body'
type Needed<Each extends Name> = { [P in Part]: undefined extends Operations[Each][P] ? never : P }[Part]
/** What a request has to be given: nothing where all of it may be left out. */
type Arguments<Each extends Name> = [Needed<Each>] extends [never]
  ? [given?: Given<Each>]
  : [given: Given<Each>]

/** A refusal, in the gateway's words (RFC 9457). */
export class ApiError extends Error {
  readonly status: number
  readonly code: string
  readonly requestId: string | undefined
  readonly fields: readonly { readonly field: string; readonly message: string }[]

  constructor(status: number, problem: Partial<Problem>) {
    super(problem.detail ?? problem.title ?? `The gateway answered ${status}.`)
    this.status = status
    this.code = problem.code ?? 'unknown'
    this.requestId = problem.requestId
    this.fields = problem.errors ?? []
  }
}

interface Problem {
  readonly title: string
  readonly detail: string
  readonly code: string
  readonly requestId: string
  readonly errors: readonly { readonly field: string; readonly message: string }[]
}

/** Sent with what changes something; the login brings it. */
let csrfToken = ''
export const rememberCsrfToken = (token: string): void => {
  csrfToken = token
}

/** Rejects with `ApiError` where the gateway refuses, with a `TypeError` where it is not reached. */
export async function call<Each extends Name>(
  name: Each,
  ...[given]: Arguments<Each>
): Promise<Operations[Each]['answer']> {
  const { params, query, body } = (given ?? {}) as {
    params?: Record<string, string>
    query?: Record<string, unknown>
    body?: unknown
  }
  const [method = '', route = ''] = name.split(' ')
  const path = route.replaceAll(/\{(\w+)\}/g, (_, key: string) => encodeURIComponent(params?.[key] ?? ''))
  const response = await fetch(`/api/v1${path}${queryText(query)}`, {
    method,
    headers: {
      accept: 'application/json',
      ...(method !== 'GET' && { 'tollbridge-csrf': csrfToken }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  const value: unknown = text === '' ? undefined : readJson(text)
  if (!response.ok) throw new ApiError(response.status, isRecord(value) ? value : {})
  return value as Operations[Each]['answer']
}

function queryText(query: Record<string, unknown> = {}): string {
  const set = Object.entries(query).filter(([, value]) => value !== undefined && value !== '')
  const text = new URLSearchParams(set.map(([name, value]) => [name, String(value)])).toString()
  return text === '' ? '' : `?${text}`
}

/** Something between us and the gateway may answer with anything. */
function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const isRecord = (value: unknown): value is Record<string, never> =>
  typeof value === 'object' && value !== null
