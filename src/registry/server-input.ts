// What a caller may say of a server: the strict shape of a registration, its defaults, and how a patch changes it.
import { z } from 'zod'
import { GatewayError, type FieldError } from '../base/errors.ts'
import { builtInName } from '../base/built-in-name.ts'
import { isObject } from '../base/is-object.ts'
import { captureInput } from './capture.ts'
import { approvals, definitionFlagKinds, usualDefinitionPolicy } from './definition-policy.ts'
import { accessLevels, identityClaims, sharings, type Server } from './server.ts'

/** Words that are, or may become, routes beside `/mcp/{NAME}`. */
const reservedNames = new Set([
  'all',
  'api',
  'auth',
  'connect',
  'health',
  'livez',
  'mcp',
  'message',
  'metrics',
  'readyz',
  'sse',
  builtInName,
  'ws',
])

/** Of a server or a bundle: both are found at `/mcp/{NAME}`. */
export const endpointName = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$/, 'use 1 to 64 of a-z, 0-9 and -, not - at the ends')
  .refine((value) => !reservedNames.has(value), 'this name is reserved; choose another')

const link = z
  .string()
  .max(2048)
  .refine(
    (value) => URL.canParse(value) && /^https?:$/.test(new URL(value).protocol),
    'must be an http or https URL',
  )

export const plainText = (maxLength: number) =>
  z
    .string()
    .max(maxLength)
    .refine((value) => !value.includes('\0'), 'must not hold NUL')

const secret = plainText(8192).min(1)

const url = z.string().min(1).max(2048)

/** What every transport over the network has. */
const network = {
  url,
  headers: z
    .record(z.string().max(128), z.string().max(8192))
    .refine((value) => Object.keys(value).length <= 32, 'has more than 32 headers')
    .optional(),
  sessionId: z
    .strictObject({ in: z.enum(['query', 'header', 'path']), name: z.string().min(1).max(128) })
    .optional(),
}

const httpTransport = z.strictObject({ type: z.literal('streamable-http'), ...network })
const sseTransport = z.strictObject({ type: z.literal('sse'), ...network, messageUrl: url.optional() })
const webSocketTransport = z.strictObject({ type: z.literal('websocket'), ...network })

const stdioTransport = z.strictObject({
  type: z.literal('stdio'),
  command: plainText(4096).min(1),
  args: z.array(plainText(8192)).max(256).default([]),
  env: z
    .record(z.string().max(128), plainText(32_768))
    .refine((value) => Object.keys(value).length <= 128, 'has more than 128 variables')
    .default({}),
  cwd: plainText(4096)
    .refine((value) => value.startsWith('/'), 'must be an absolute path')
    .optional(),
})

const notYet = (what: string, known: string) => (issue: { code?: string; input?: unknown }) =>
  issue.code === 'invalid_union'
    ? `${JSON.stringify((issue.input as { type?: unknown } | undefined)?.type)} is not supported yet; ${what} is one of ${known}`
    : undefined

const transport = z.discriminatedUnion(
  'type',
  [httpTransport, sseTransport, webSocketTransport, stdioTransport],
  { error: notYet('a transport type', 'streamable-http, sse, websocket, stdio') },
)

const parameter = plainText(2048).min(1)

const proof = {
  method: z.enum(['basic', 'post', 'private-key-jwt']).optional(),
  clientSecret: secret.optional(),
  privateKey: secret.optional(),
  algorithm: z.enum(['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA']).optional(),
}

interface Proof {
  readonly method?: string | undefined
  readonly clientSecret?: string | undefined
  readonly privateKey?: string | undefined
}

/** What is wrong with how a client proves itself: the field, and why. */
function* proofFaults(value: Proof): Generator<[string, string]> {
  const wantsKey =
    value.method === 'private-key-jwt' || (value.method === undefined && value.privateKey !== undefined)
  const [field, other] = wantsKey
    ? (['privateKey', 'clientSecret'] as const)
    : (['clientSecret', 'privateKey'] as const)
  if (value[field] === undefined) yield [field, 'is needed to prove who asks']
  if (value[other] !== undefined) yield [other, `is not used with ${value.method ?? field}`]
}

const checkProof = ({ value, issues }: z.core.ParsePayload<Proof>): void => {
  for (const [field, message] of proofFaults(value))
    issues.push({ code: 'custom', path: [field], message, input: undefined })
}

/** A client without a secret is a public one, which has PKCE. */
const checkOptionalProof = (
  payload: z.core.ParsePayload<Proof & { clientId?: string | undefined }>,
): void => {
  const { method, clientSecret, privateKey, clientId } = payload.value
  const given = [method, clientSecret, privateKey].find((each) => each !== undefined)
  if (given === undefined) return
  if (clientId === undefined)
    payload.issues.push({
      code: 'custom',
      path: ['clientId'],
      message: 'is needed with a secret',
      input: given,
    })
  checkProof(payload)
}

const machine = {
  type: z.literal('oauth2'),
  clientId: parameter,
  ...proof,
  tokenUrl: url.optional(),
  issuer: url.optional(),
  scope: parameter.optional(),
  audience: parameter.optional(),
  resource: plainText(2048).optional(),
}

const clientCredentials = z
  .strictObject({ ...machine, grant: z.literal('client-credentials') })
  .check(checkProof)
const tokenExchange = z.strictObject({ ...machine, grant: z.literal('token-exchange') }).check(checkProof)
const { clientId: _id, tokenUrl: _url, audience: _audience, ...personal } = machine
const authorizationCode = z
  .strictObject({ ...personal, grant: z.literal('authorization-code'), clientId: parameter.optional() })
  .check(checkOptionalProof)

const auth = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('none') }),
    z.strictObject({
      type: z.literal('api-key'),
      in: z.enum(['header', 'query']),
      name: z.string().min(1).max(128),
      value: secret,
    }),
    z.strictObject({
      type: z.literal('basic'),
      username: plainText(256).regex(/^[^:]*$/, 'must not hold a colon'),
      password: plainText(8192),
    }),
    z.strictObject({ type: z.literal('bearer'), token: secret }),
    z.discriminatedUnion('grant', [clientCredentials, authorizationCode, tokenExchange], {
      error: 'must be client-credentials, authorization-code or token-exchange',
    }),
  ],
  { error: notYet('an auth type', 'none, api-key, basic, bearer, oauth2') },
)

const whole = (min: number, max: number, standard: number) => z.int().min(min).max(max).default(standard)

const timeouts = z.strictObject({
  connectMs: whole(100, 120_000, 10_000),
  callMs: whole(100, 3_600_000, 60_000),
  idleMs: whole(1000, 86_400_000, 1_800_000),
})

const limits = z.strictObject({
  maxResponseBytes: whole(1024, 268_435_456, 16_777_216),
  maxConnections: whole(1, 1024, 64),
  maxSessions: whole(1, 100_000, 1000),
})

const metaKey = plainText(200).min(1)
const maxCostText = 'must be a decimal string such as "0.50", below 10^6, with at most 9 decimals'

/** Names keys of `_meta` that the operator trusts this server to report its use in. */
export const usageReport = z
  .strictObject({
    tokens: z.strictObject({ key: metaKey, max: z.int().min(1).max(1_000_000_000) }).optional(),
    cost: z
      .strictObject({
        key: metaKey,
        max: z.string({ error: maxCostText }).regex(/^\d{1,6}(?:\.\d{1,9})?$/, maxCostText),
      })
      .optional(),
  })
  .refine(
    (report) => report.tokens !== undefined || report.cost !== undefined,
    'names neither tokens nor cost',
  )

/** Headers that the protocols or the gateway itself give a meaning. */
const takenHeaders =
  /^(?:accept.*|authorization|connection|content-.*|cookie|host|keep-alive|last-event-id|mcp-.*|origin|proxy-.*|te|trailer|transfer-encoding|upgrade)$/i

export const identityNote = z.strictObject({
  header: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9-]{0,63}$/, 'must be the name of a header')
    .refine((name) => !takenHeaders.test(name), 'is a header that means something else')
    .default('Tollbridge-Identity')
    .describe('The header that carries it.'),
  audience: plainText(2048).min(1).optional().describe("`aud` of it; by default the server's URL."),
  claims: z
    .array(z.enum(identityClaims))
    .max(identityClaims.length)
    .default([])
    .describe('What it says beside the id of the user.'),
})

export const definitionPolicy = z.strictObject({
  approval: z
    .enum(approvals)
    .default(usualDefinitionPolicy.approval)
    .describe('Which definitions of tools wait for approval: none, changed ones, or new ones as well.'),
  hold: z
    .array(z.enum(definitionFlagKinds))
    .max(definitionFlagKinds.length)
    .default([...usualDefinitionPolicy.hold])
    .describe('Definitions with one of these flags wait for approval.'),
})

const noPublic = 'cannot be public where each user has tokens of their own'
const onlyOneUser = 'cannot be server where the server is told who calls; use session or user'

/** The body of `POST /servers`. Unknown members are errors. */
export const serverInput = z
  .strictObject({
    name: endpointName,
    description: plainText(2000).optional(),
    iconUrl: link.optional(),
    repositoryUrl: link.optional(),
    transport,
    auth: auth.default({ type: 'none' }),
    access: z.enum(accessLevels).default('private'),
    /** Pays for calls without a credential. */
    account: z.string().min(1).max(64).optional(),
    sharing: z.enum(sharings).default('session'),
    timeouts: timeouts.prefault({}),
    limits: limits.prefault({}),
    reportCost: z.boolean().default(false),
    showPrices: z.boolean().default(false),
    usageReport: usageReport.optional(),
    definitions: definitionPolicy.prefault({}),
    identity: identityNote.optional(),
    capture: captureInput.optional(),
  })
  .check(({ value: { auth: given, sharing, access }, issues }) => {
    if (given.type !== 'oauth2' || given.grant === 'client-credentials') return
    if (sharing === 'server')
      issues.push({ code: 'custom', path: ['sharing'], message: onlyOneUser, input: sharing })
    if (access === 'public')
      issues.push({ code: 'custom', path: ['access'], message: noPublic, input: access })
  })
  .check(
    ({
      value: {
        identity,
        transport: { type },
        sharing,
      },
      issues,
    }) => {
      if (!identity) return
      if (type !== 'streamable-http')
        issues.push({
          code: 'custom',
          path: ['identity'],
          message: 'is for streamable-http servers',
          input: identity,
        })
      if (sharing === 'server')
        issues.push({ code: 'custom', path: ['sharing'], message: onlyOneUser, input: sharing })
    },
  )
  .check(({ value, issues }) => {
    const isPublic = value.access === 'public'
    if (isPublic === (value.account !== undefined)) return
    const message = isPublic
      ? 'a public server needs the account that pays for calls without a credential'
      : 'only a public server has an account'
    issues.push({ code: 'custom', path: ['account'], message, input: value.account })
  })

export type ServerInput = z.output<typeof serverInput>

/** Reads a registration; throws `validation_failed` with every fault and its JSON pointer. */
export function parseServerInput(body: unknown): ServerInput {
  const parsed = serverInput.safeParse(body)
  if (parsed.success) return parsed.data
  throw new GatewayError('validation_failed', { fields: parsed.error.issues.flatMap(fieldErrors) })
}

const pointer = (path: readonly PropertyKey[]): string =>
  path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')

/** What is wrong with a field, and where, as a caller reads it. */
export function fieldErrors(issue: z.core.$ZodIssue): FieldError[] {
  if (issue.code !== 'unrecognized_keys') return [{ field: pointer(issue.path), message: issue.message }]
  return issue.keys.map((key) => ({
    field: pointer([...issue.path, key]),
    message: 'there is no such field',
  }))
}

/** A server as the registration that would make it, secrets included. */
function inputOf(server: Server): Record<string, unknown> {
  const { name, description, iconUrl, repositoryUrl, transport, auth, access, sharing, timeouts } = server
  const {
    limits,
    reportCost,
    showPrices,
    definitions,
    identity,
    capture,
    usageReport: report,
    publicAccountId: account,
  } = server
  const optional = {
    description,
    iconUrl,
    repositoryUrl,
    account,
    usageReport: report,
    definitions,
    identity,
    capture,
  }
  const present = Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined))
  return { ...present, name, transport, auth, access, sharing, timeouts, limits, reportCost, showPrices }
}

/**
 * A JSON merge patch (RFC 7396): members replace, `null` removes, objects merge; but a transport or auth of another
 * `type` replaces the old one, and an account goes when the server stops being public. Throws `validation_failed`.
 */
export function applyPatch(server: Server, patch: unknown): ServerInput {
  if (!isObject(patch))
    throw new GatewayError('validation_failed', { fields: [{ field: '', message: 'must be an object' }] })
  const merged = mergePatch(inputOf(server), patch)
  if (merged.access !== 'public' && patch.account === undefined) delete merged.account
  return parseServerInput(merged)
}

/** What comes of a JSON merge patch (RFC 7396); an object of another `type` replaces the old one. */
export function mergePatch(
  target: Record<string, unknown>,
  patch: Record<string, unknown>,
): Record<string, unknown> {
  const merged = new Map(Object.entries(target))
  for (const [key, value] of Object.entries(patch)) {
    const old = merged.get(key)
    if (value === null) merged.delete(key)
    else if (!isObject(value)) merged.set(key, value)
    else {
      const sameType = isObject(old) && (value.type === undefined || value.type === old.type)
      merged.set(key, mergePatch(sameType ? old : {}, value))
    }
  }
  return Object.fromEntries(merged)
}
