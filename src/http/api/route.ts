// A route of the HTTP API as a value: what it accepts, what it answers, who may call it, and the code behind it.
import type { IncomingHttpHeaders } from 'node:http'
import type { z } from 'zod'
import type { Principal } from '../../identity/principal.ts'
import type { Permission } from '../../policy/roles.ts'
import type { AuditNote } from './audited.ts'

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** `public` needs no credential, `signed-in` any valid one; every other name is looked up in the table of roles. */
export type RoutePermission = 'public' | 'signed-in' | Permission

/** What a handler gets: the request, already authenticated, allowed, parsed and validated. */
export interface Context<Body = unknown, Query = unknown, Params = unknown, Caller = Principal | undefined> {
  readonly principal: Caller
  readonly body: Body
  /** The body as it came; signatures are over this. */
  readonly bytes: Uint8Array
  readonly query: Query
  readonly params: Params
  /** `req_…`; also in the answer's `X-Request-Id` and in the log. */
  readonly requestId: string
  /** The socket's address. */
  readonly clientIp: string
  readonly headers: IncomingHttpHeaders
  /** Aborted when the client goes away or the gateway ends its streams. */
  readonly signal: AbortSignal
  /** Tells the audit log what only the handler knows. */
  readonly note: (note: AuditNote) => void
  /** Adds a header to the answer. */
  readonly setHeader: (name: string, value: string) => void
}

/** Pieces of a body that is written as it is made. */
export type AnswerStream = AsyncIterable<string | Uint8Array>

/** An answer that is not the route's usual JSON: another status, another media type, or a stream. */
export class Answer {
  readonly status: number
  readonly contentType: string
  readonly body: string | Uint8Array | AnswerStream
  readonly headers: Readonly<Record<string, string>>

  constructor(
    contentType: string,
    body: string | Uint8Array | AnswerStream,
    options: { status?: number; headers?: Readonly<Record<string, string>> } = {},
  ) {
    this.contentType = contentType
    this.body = body
    this.status = options.status ?? 200
    this.headers = options.headers ?? {}
  }
}

/** What the framework and the OpenAPI document read of a route. */
export interface Route {
  readonly method: Method
  /** The whole path with `{name}` for parameters, for example `/api/v1/servers/{id}`. */
  readonly path: string
  /** Further paths with the same parameters. */
  readonly aliases?: readonly string[]
  /** One line for the reference. */
  readonly summary: string
  readonly description?: string
  readonly permission: RoutePermission
  /** Strict objects only: a field that is not in the schema is refused. */
  readonly body?: z.ZodType
  /** Whether the body is a form (`application/x-www-form-urlencoded`) instead of JSON. */
  readonly form?: boolean
  /** Largest body, where that is less than anywhere else. */
  readonly maxBodyBytes?: number
  readonly query?: z.ZodType
  readonly params?: z.ZodType
  /** Shape of the JSON answer; absent where there is no body (204) or another media type. */
  readonly response?: z.ZodType
  /** Status of the usual answer. Default: 200 with a `response`, else 204. */
  readonly status?: number
  /** Whether an Idempotency-Key means nothing here, since the answer depends on more than caller and body. */
  readonly keyless?: boolean
  /** Its action in the audit log, where that does not follow from method and path; false where it changes nothing. */
  readonly audit?: string | false
  /** What a POST did stays for ever, and so must its Idempotency-Key. */
  readonly lasting?: boolean
  /** Media type of the usual answer where that is not JSON. */
  readonly contentType?: string
  /** Codes that the reference names beside those that every route can answer. */
  readonly errors?: readonly number[]
  handler(context: Context): unknown
}

type Parsed<Schema> = Schema extends z.ZodType ? z.output<Schema> : undefined
type Result<Schema> = Schema extends z.ZodType ? z.input<Schema> | Answer : undefined | Answer
type Caller<Permission> = Permission extends 'public' ? undefined : Principal

type RouteDefinition<Body, Query, Params, Response, Permission> = Omit<
  Route,
  'handler' | 'body' | 'query' | 'params' | 'response' | 'permission'
> & {
  readonly permission: Permission
  readonly body?: Body
  readonly query?: Query
  readonly params?: Params
  readonly response?: Response
  handler(
    context: Context<Parsed<Body>, Parsed<Query>, Parsed<Params>, Caller<Permission>>,
  ): Result<Response> | Promise<Result<Response>>
}

/** Types a route's handler by its schemas, and forgets the types again so that routes fit one list. */
export function defineRoute<
  const Permission extends RoutePermission,
  Body extends z.ZodType | undefined = undefined,
  Query extends z.ZodType | undefined = undefined,
  Params extends z.ZodType | undefined = undefined,
  Response extends z.ZodType | undefined = undefined,
>(definition: RouteDefinition<Body, Query, Params, Response, Permission>): Route {
  return definition
}

/** Status of the route's usual answer. */
export const usualStatus = (route: Route): number =>
  route.status ?? (route.response || route.contentType ? 200 : 204)
