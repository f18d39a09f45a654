// Parameters of OAuth requests, and its refusals as answers.
import { z } from 'zod'
import { asGatewayError } from '../../../base/errors.ts'
import { OauthError } from '../../../oauth/oauth-error.ts'
import { Answer } from '../route.ts'

/** A form as it comes: names that we do not know are ignored (RFC 6749, section 3.2). */
export const formShape = z.record(z.string(), z.union([z.string(), z.array(z.string())]))

/** A query of which the reference shows the names. */
export const paramShape = z.union([z.string(), z.array(z.string())]).optional()

export type Params = Readonly<Record<string, string | undefined>>

/** Parameters by name; empty ones are absent, and none may come twice (RFC 6749, section 3.1). */
export function readParams(given: unknown): Params {
  const params: Record<string, string> = Object.create(null) as Record<string, string>
  for (const [name, value] of Object.entries(given as z.output<typeof formShape>)) {
    if (Array.isArray(value)) throw new OauthError('invalid_request', 'Send each parameter once.')
    if (value !== '') params[name] = value
  }
  return params
}

/** A client's name in an `Authorization: Basic` header, and its secret (RFC 6749, section 2.3.1). */
export function readBasic(authorization: string | undefined): { id: string; secret: string } | undefined {
  const encoded = /^Basic ([A-Za-z0-9+/]+={0,2})$/i.exec(authorization ?? '')?.[1]
  if (encoded === undefined) return undefined
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  try {
    return colon < 0
      ? undefined
      : { id: unescape(text.slice(0, colon)), secret: unescape(text.slice(colon + 1)) }
  } catch {
    return undefined
  }
}

const unescape = (text: string): string => decodeURIComponent(text.replaceAll('+', '%20'))

/** Runs a handler; what it refuses in the words of OAuth becomes JSON as the specifications want it. */
export async function answerOauth(work: () => Promise<object | undefined>, status = 200): Promise<Answer> {
  try {
    const answer = await work()
    return jsonAnswer(answer, status)
  } catch (thrown) {
    if (!(thrown instanceof OauthError)) throw asGatewayError(thrown)
    const headers: Record<string, string> = {}
    if (thrown.retryAfterS !== undefined) headers['retry-after'] = String(thrown.retryAfterS)
    if (thrown.status === 401) headers['www-authenticate'] = 'Basic realm="tollbridge"'
    const body = { error: thrown.code, error_description: thrown.message }
    return jsonAnswer(body, thrown.status, headers)
  }
}

const jsonAnswer = (body: object | undefined, status: number, headers: Record<string, string> = {}): Answer =>
  new Answer('application/json; charset=utf-8', body === undefined ? '' : JSON.stringify(body), {
    status,
    headers: { ...headers, pragma: 'no-cache' },
  })
