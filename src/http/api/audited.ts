// What the audit log hears of a request to the API: a change before its answer leaves, a refusal summed up with its like.
import type { AuditActor, AuditFacts, AuditResource } from '../../audit/event.ts'
import type { AuditLog } from '../../audit/log.ts'
import type { Refusals } from '../../audit/refusals.ts'
import type { GatewayError } from '../../base/errors.ts'
import type { Principal } from '../../identity/principal.ts'
import type { AnyAnswer } from './answer.ts'
import type { Route } from './route.ts'

/** Where a request to the API is written down. */
export interface ApiAudit {
  readonly log: Pick<AuditLog, 'append' | 'ensureWritable' | 'flush'>
  readonly refusals: Pick<Refusals, 'add'>
}

/** What only a handler knows of its request. */
export interface AuditNote {
  /** Who it turned out to be, where no credential said so. */
  readonly actor?: AuditActor
  readonly resource?: AuditResource
}

/** A request on its way: its route, its caller once that is known, and what was noted. */
export interface AuditedRequest {
  readonly route: Route
  readonly id: string
  readonly ip: string
  readonly userAgent: string | undefined
  readonly params: Readonly<Record<string, unknown>>
  principal?: Principal
  note: AuditNote
  /** Names of the fields of its body. */
  fields?: readonly string[]
}

/** Who a principal is, for the audit log. */
export function actorOf({ userId, username, roles, via, keyId, loginId, grantId }: Principal): AuditActor {
  if (via === 'public') return { via }
  return {
    userId,
    username,
    roles,
    via,
    ...(keyId !== undefined && { keyId }),
    ...(loginId !== undefined && { loginId }),
    ...(grantId !== undefined && { grantId }),
  }
}

const verbs: Partial<Record<Route['method'], string>> = { PATCH: 'update', PUT: 'set', DELETE: 'delete' }

/**
 * The action of a route: the nouns of its path and a verb, such as `keys.create`, `servers.status.set` or `keys.rotate`.
 * Undefined where nothing is changed, so that nothing is written of a success.
 */
export function auditAction({ audit, method, path }: Route): string | undefined {
  if (audit !== undefined) return audit === false ? undefined : audit
  if (method === 'GET') return undefined
  const words = wordsOf(path)
  const last = words.at(-1) ?? ''
  const makesOne = method === 'POST' && (last.endsWith('s') || path.endsWith('}'))
  const verb = verbs[method] ?? (makesOne ? 'create' : undefined)
  return [...words, ...(verb === undefined ? [] : [verb])].join('.')
}

const wordsOf = (path: string): string[] =>
  path
    .replace(/^\/api\/v1/, '')
    .split('/')
    .filter((word) => word !== '' && !word.startsWith('{'))

/** Whatever stands in a path may be anything, a secret even, until something was found by it. */
const idOrName = /^(?:[a-z]{3}_[0-9a-hjkmnp-tv-z]{26}|[a-z0-9-]{1,64})$/
const fieldName = /^[A-Za-z][A-Za-z0-9_]{0,63}$/
const maxFields = 50

/** The names of a JSON object's members; nothing of their values. */
export function fieldsOf(body: unknown): string[] {
  if (typeof body !== 'object' || body === null) return []
  return Object.keys(body)
    .filter((name) => fieldName.test(name))
    .slice(0, maxFields)
}

/**
 * Writes what was done; durable when it resolves. Rejects with `audit_unavailable`: then it was done all the same, and
 * the caller is told so. An answer that refuses is summed up with its like.
 */
export async function recordAnswer(
  audit: ApiAudit,
  request: AuditedRequest,
  answer: AnyAnswer,
): Promise<void> {
  const action = auditAction(request.route)
  if (action === undefined) return
  if (answer.status >= 400) return refuse(audit, request, { status: answer.status, code: codeOf(answer) })
  // Given again: it was written when it was done, or is about to be.
  if (answer.headers['idempotency-replayed'] !== undefined) return audit.log.flush()
  const id = idIn(answer)
  const isNew = request.route.method === 'POST'
  const named = resourceOf(request)
  // Named by a name, perhaps: the answer has the id.
  const known = named && { ...named, id: isNew ? named.id : (id ?? named.id) }
  const resource = request.note.resource ?? known ?? madeResource(request, id)
  const made = isNew && id !== resource?.id ? id : undefined
  await audit.log.append({
    ...factsOf(request, action),
    ...(resource && { resource }),
    ...(made !== undefined && { made }),
    ...(request.fields && request.fields.length > 0 && { fields: request.fields }),
    outcome: 'success',
    status: answer.status,
  })
}

/** Notes a request that was refused before it had an answer: of changes every one, of the rest who may not. */
export function recordRefusal(audit: ApiAudit, request: AuditedRequest, error: GatewayError): void {
  const isDenied = error.status === 401 || error.status === 403
  // That the log itself is behind stands in it as soon as it is not.
  if (error.code === 'audit_unavailable' || (auditAction(request.route) === undefined && !isDenied)) return
  refuse(audit, request, { status: error.status, code: error.code })
}

function refuse(
  { refusals }: ApiAudit,
  request: AuditedRequest,
  { status, code }: { status: number; code: string | undefined },
): void {
  const { route } = request
  const action = auditAction(route) ?? `${wordsOf(route.path).join('.')}.read`
  const resource = request.note.resource ?? resourceOf(request)
  refusals.add({
    ...factsOf(request, action),
    ...(resource && idOrName.test(resource.id) && { resource }),
    outcome: status >= 500 ? 'failed' : 'refused',
    status,
    ...(code !== undefined && { code }),
  })
}

function factsOf(request: AuditedRequest, action: string): Omit<AuditFacts, 'outcome'> {
  const { principal, note, ip, userAgent, id } = request
  const actor = principal ? actorOf(principal) : (note.actor ?? {})
  return { action, actor, ip, ...(userAgent !== undefined && { userAgent }), requestId: id }
}

/** The innermost thing that the path names, such as the rule of `/billing/rules/{id}`. */
function resourceOf({ route, params }: AuditedRequest): AuditResource | undefined {
  const words = route.path.split('/')
  const at = words.findLastIndex((word) => word.startsWith('{'))
  const id = at < 0 ? undefined : params[words[at]?.slice(1, -1) ?? '']
  return typeof id === 'string' ? { type: words[at - 1] ?? '', id: id.slice(0, 200) } : undefined
}

function madeResource({ route }: AuditedRequest, id: string | undefined): AuditResource | undefined {
  return id === undefined ? undefined : { type: wordsOf(route.path).at(-1) ?? '', id }
}

/** The id in an answer: of what was made, or of what was changed. */
function idIn(answer: AnyAnswer): string | undefined {
  const id = jsonOf(answer)?.['id']
  return typeof id === 'string' && idOrName.test(id) ? id : undefined
}

function codeOf(answer: AnyAnswer): string | undefined {
  const json = jsonOf(answer)
  const code = json?.['code'] ?? json?.['error']
  return typeof code === 'string' && /^[a-z_]{1,40}$/.test(code) ? code : undefined
}

function jsonOf(answer: AnyAnswer): Record<string, unknown> | undefined {
  if (!('body' in answer) || typeof answer.body !== 'string' || answer.body === '') return undefined
  if (!/json/.test(answer.headers['content-type'] ?? '')) return undefined
  const value: unknown = JSON.parse(answer.body)
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
}
