// Errors at the HTTP edge: RFC 9457 problems with the headers that belong to their codes.
import { asGatewayError, type GatewayError } from '../base/errors.ts'

export interface Problem {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export const problemType = 'application/problem+json'

/** Title of a code: the same words every time, as RFC 9457 section 3.1.3 asks. */
export const titleOf = (code: string): string => {
  const words = code.replaceAll('_', ' ')
  return words.charAt(0).toUpperCase() + words.slice(1)
}

/**
 * Any thrown value as the answer to send. What is not a GatewayError becomes `internal` and shows nothing of itself.
 * `credentialSent` chooses the challenge of a 401 (RFC 6750 section 3: no error code where nothing was sent).
 */
export function toProblem(thrown: unknown, requestId: string, credentialSent = false): Problem {
  const error = asGatewayError(thrown)
  const headers: Record<string, string> = { 'content-type': problemType }
  if (error.retryAfterS !== undefined) headers['retry-after'] = String(error.retryAfterS)
  if (error.status === 401) headers['www-authenticate'] = challenge(credentialSent)
  return { status: error.status, headers, body: JSON.stringify(problemMembers(error, requestId)) }
}

function problemMembers(error: GatewayError, requestId: string): Record<string, unknown> {
  return {
    ...error.data,
    type: `/docs#error-${error.code}`,
    title: titleOf(error.code),
    status: error.status,
    detail: error.message,
    code: error.code,
    requestId,
    ...(error.fields.length > 0 && { errors: error.fields }),
  }
}

/** The WWW-Authenticate value of a 401; `parameters` adds for example `resource_metadata` (RFC 9728 section 5.1). */
export function challenge(
  credentialSent: boolean,
  parameters: Readonly<Record<string, string>> = {},
): string {
  const members: [string, string][] = [['realm', 'tollbridge']]
  if (credentialSent) {
    members.push(['error', 'invalid_token'])
    members.push(['error_description', 'The credential is not valid or has expired'])
  }
  members.push(...Object.entries(parameters))
  return `Bearer ${members.map(([name, value]) => `${name}="${value}"`).join(', ')}`
}
