// What a well-formed registration still may not do: addresses, commands, variables and headers that would be harm.
import { GatewayError, type ErrorCode } from '../base/errors.ts'
import { findReference, fits, looksLikeReference, mapSecrets } from './secret-reference.ts'
import type { ServerInput } from './server-input.ts'

export interface ServerRules {
  /** Commands that stdio servers may run: bare names and absolute paths, compared exactly. */
  readonly stdioAllow: readonly string[]
  /** Checks an http or https URL; throws `egress_denied` or `unprocessable`. */
  checkUrl(url: string): unknown
  /** Why a server of this name may not refer to this secret; undefined where it may. Absent: there are no secrets. */
  secretProblem?(secret: string, server: string): string | undefined
}

/**
 * Checks a registration. Throws `forbidden` where a stdio server is not the caller's to register, `command_denied`,
 * `egress_denied`, or `unprocessable`; each names its field.
 */
export function checkServer(input: ServerInput, rules: ServerRules, allowStdio: boolean): void {
  const { transport, auth } = input
  checkReferences(input, rules)
  if (transport.type !== 'stdio') {
    checkAddresses(transport, rules)
    checkHeaders(transport.headers ?? {}, input)
    checkAuth(auth)
    if (auth.type === 'oauth2') checkOauth(transport, auth, rules)
    checkSessionId(transport, auth)
    return
  }
  if (!allowStdio)
    throw new GatewayError('forbidden', { detail: 'Only administrators may register stdio servers.' })
  const isPath = transport.command.startsWith('/')
  if (!rules.stdioAllow.includes(transport.command) || (!isPath && /[/\\]/.test(transport.command)))
    refuse('/transport/command', 'is not on the list of commands (TOLLBRIDGE_STDIO_ALLOW)', 'command_denied')
  for (const variable of Object.keys(transport.env)) checkVariable(variable)
  if (auth.type !== 'none')
    refuse('/auth/type', 'auth is for HTTP; give a command its credential as a variable in transport.env')
}

function refuse(field: string, message: string, code: ErrorCode = 'unprocessable'): never {
  throw new GatewayError(code, {
    ...(code === 'unprocessable' && { detail: `${field}: ${message}.` }),
    fields: [{ field, message }],
  })
}

type NetworkInput = Exclude<ServerInput['transport'], { type: 'stdio' }>

function checkAddresses(transport: NetworkInput, rules: ServerRules): void {
  const { url } = transport
  if (transport.type === 'websocket') {
    if (!/^wss?:\/\//i.test(url)) refuse('/transport/url', 'must be a ws:// or wss:// URL')
    // A WebSocket begins as HTTP, and its address is subject to the same rules.
    rules.checkUrl(withoutPlace(transport, url).replace(/^ws/i, 'http'))
    return
  }
  rules.checkUrl(withoutPlace(transport, url))
  if (transport.type !== 'sse' || transport.messageUrl === undefined) return
  try {
    rules.checkUrl(withoutPlace(transport, transport.messageUrl))
  } catch (error) {
    throw error instanceof GatewayError ? atField(error, '/transport/messageUrl') : error
  }
}

/** The URL as it may look with a session's id in it. */
const withoutPlace = ({ sessionId }: NetworkInput, url: string): string =>
  sessionId?.in === 'path' ? url.replaceAll(`/{${sessionId.name}}`, '/id') : url

const atField = ({ code, message, data, fields: [fault] }: GatewayError, field: string): GatewayError =>
  new GatewayError(code, { detail: message, data, fields: [{ message, ...fault, field }] })

/** The place of the session's id: one that exists, and that nothing else is written to. */
function checkSessionId({ url, headers, sessionId }: NetworkInput, auth: ServerInput['auth']): void {
  if (!sessionId) return
  const { name } = sessionId
  const field = '/transport/sessionId/name'
  if (sessionId.in === 'header') {
    checkHeaderName(name, field)
    if (headerNames(headers ?? {}, auth).has(name.toLowerCase())) refuse(field, 'is set already')
    return
  }
  if (!/^[A-Za-z0-9._~-]+$/.test(name)) refuse(field, 'may hold letters, digits and . _ ~ - only')
  if (sessionId.in === 'query') {
    if (auth.type === 'api-key' && auth.in === 'query' && auth.name === name)
      refuse(field, 'is the name of the key under auth')
    return
  }
  const segments = (URL.canParse(url) ? url : '').split('/').slice(3)
  if (segments.filter((segment) => segment === `{${name}}`).length !== 1)
    refuse('/transport/url', `must hold {${name}} as one whole segment of its path`)
}

const howToRefer =
  'may only refer to a secret as ${secret:NAME} with nothing around it, where the configuration names that secret for this server'

/**
 * Secret values may refer to secrets that the configuration names for servers of this name, as a whole. Any other
 * reference, or one anywhere else, could read what is not the caller's (trust: secret-reference escape).
 */
function checkReferences(input: ServerInput, rules: ServerRules): void {
  const rest = mapSecrets({ transport: input.transport, auth: input.auth }, (value, place) => {
    const reference = findReference(value)
    if (!reference || !fits(reference, place)) return value
    const problem = rules.secretProblem
      ? rules.secretProblem(reference.name, input.name)
      : `there is no secret ${reference.name} for this server`
    if (problem !== undefined) refuse(place.field, problem)
    return ''
  })
  refuseReferences(rest.transport, '/transport')
  refuseReferences(rest.auth, '/auth')
}

function refuseReferences(value: unknown, field: string): void {
  if (typeof value === 'string') {
    if (looksLikeReference(value)) refuse(field, howToRefer)
  } else if (typeof value === 'object' && value !== null)
    for (const [key, member] of Object.entries(value)) refuseReferences(member, `${field}/${key}`)
}

/** Variables that change what a program loads or runs, so that an allowed command would be another one. */
const loaderVariables = new Set([
  '_JAVA_OPTIONS',
  'BASH_ENV',
  'BASHOPTS',
  'CDPATH',
  'CLASSPATH',
  'DOTNET_STARTUP_HOOKS',
  'ENV',
  'GCONV_PATH',
  'GLOBIGNORE',
  'IFS',
  'JAVA_TOOL_OPTIONS',
  'JDK_JAVA_OPTIONS',
  'LOCPATH',
  'NLSPATH',
  'NODE_OPTIONS',
  'NODE_PATH',
  'NODE_REPL_EXTERNAL_MODULE',
  'PATH',
  'PERL5DB',
  'PERL5LIB',
  'PERL5OPT',
  'PERLLIB',
  'PROMPT_COMMAND',
  'PS4',
  'RUBYLIB',
  'RUBYOPT',
  'SHELLOPTS',
])
const loaderPrefixes = [
  'BASH_FUNC_',
  'COR_',
  'CORECLR_',
  'DYLD_',
  'GIT_',
  'LD_',
  'NPM_CONFIG_',
  'PIP_',
  'PYTHON',
  'TOLLBRIDGE_',
  'UV_',
]

function checkVariable(variable: string): void {
  const field = `/transport/env/${variable}`
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(variable)) refuse(field, 'is not a name of a variable')
  const upper = variable.toUpperCase()
  if (loaderVariables.has(upper) || loaderPrefixes.some((prefix) => upper.startsWith(prefix)))
    refuse(field, 'changes how programs load and is not allowed')
}

/** Headers that the gateway writes itself, or that belong to one connection (RFC 9110, 7.6.1). */
const ownHeaders = new Set([
  'accept',
  'accept-encoding',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'cookie',
  'expect',
  'forwarded',
  'host',
  'keep-alive',
  'last-event-id',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'via',
])

const ownHeaderPrefixes = ['mcp-', 'sec-', 'x-forwarded-']

function checkHeaderName(name: string, field: string): void {
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) refuse(field, 'is not a name of a header')
  const lower = name.toLowerCase()
  if (ownHeaders.has(lower) || ownHeaderPrefixes.some((prefix) => lower.startsWith(prefix)))
    refuse(field, 'is a header that the gateway sets itself')
}

/** Visible ASCII, spaces and tabs inside (RFC 9110, 5.5): no CR, LF or NUL can begin a header of its own. */
function checkHeaderValue(value: string, field: string): void {
  if (!/^([\x21-\x7e]([\t\x20-\x7e]*[\x21-\x7e])?)?$/.test(value))
    refuse(field, 'must be visible ASCII without spaces at its ends')
}

/** In lower case, with what `auth` sets. */
function headerNames(headers: Readonly<Record<string, string>>, auth: ServerInput['auth']): Set<string> {
  const names = new Set(Object.keys(headers).map((name) => name.toLowerCase()))
  if (auth.type === 'bearer' || auth.type === 'basic' || auth.type === 'oauth2') names.add('authorization')
  if (auth.type === 'api-key' && auth.in === 'header') names.add(auth.name.toLowerCase())
  return names
}

function checkHeaders(
  headers: Readonly<Record<string, string>>,
  { auth, identity }: Pick<ServerInput, 'auth' | 'identity'>,
): void {
  const seen = headerNames({}, auth)
  if (identity && seen.has(identity.header.toLowerCase()))
    refuse('/identity/header', 'is set by auth already')
  if (identity) seen.add(identity.header.toLowerCase())
  for (const [name, value] of Object.entries(headers)) {
    const field = `/transport/headers/${name}`
    checkHeaderName(name, field)
    checkHeaderValue(value, field)
    if (seen.has(name.toLowerCase())) refuse(field, 'is set twice, here or under auth or identity')
    seen.add(name.toLowerCase())
  }
}

type OauthInput = Extract<ServerInput['auth'], { type: 'oauth2' }>

function checkOauth(transport: NetworkInput, auth: OauthInput, rules: ServerRules): void {
  if (transport.type !== 'streamable-http')
    refuse(
      '/auth/type',
      'oauth2 works with streamable-http servers only, where each request has its own headers',
    )
  const addresses = { issuer: auth.issuer, tokenUrl: 'tokenUrl' in auth ? auth.tokenUrl : undefined }
  for (const [name, url] of Object.entries(addresses)) {
    if (url === undefined) continue
    try {
      rules.checkUrl(url)
    } catch (error) {
      throw error instanceof GatewayError ? atField(error, `/auth/${name}`) : error
    }
    if (!/^https:/i.test(url) && !isLoopback(new URL(url).hostname))
      refuse(`/auth/${name}`, 'must be https, but for an address of this machine')
  }
}

const isLoopback = (hostname: string): boolean =>
  hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)

function checkAuth(auth: ServerInput['auth']): void {
  if (auth.type === 'bearer' && !/^[\x21-\x7e]+$/.test(auth.token))
    refuse('/auth/token', 'must be visible ASCII without spaces')
  if (auth.type !== 'api-key') return
  if (auth.in === 'query') {
    if (!/^[A-Za-z0-9._~-]+$/.test(auth.name)) refuse('/auth/name', 'is not a plain name of a parameter')
    return
  }
  checkHeaderName(auth.name, '/auth/name')
  checkHeaderValue(auth.value, '/auth/value')
}
