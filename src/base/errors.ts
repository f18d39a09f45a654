// The one error class and the one table of codes: HTTP status, JSON-RPC code, fault, and the public sentence.

/** Whose fault an error is: decides the log level and whether the caller may retry unchanged. */
export type Fault = 'caller' | 'gateway' | 'upstream'

interface CodeRow {
  /** HTTP status of an answer that carries this code. */
  readonly status: number
  /** JSON-RPC error code; the gateway's own lie outside -32768…-32000 (MCP 2026-07-28, "Error Codes"). */
  readonly rpc: number
  readonly fault: Fault
  /** What every caller may read: one sentence, and the next step. */
  readonly sentence: string
}

/** Every code that the gateway answers with. `detail` of an error replaces the sentence, never its code. */
export const errorCodes = {
  invalid_request: {
    status: 400,
    rpc: -32600,
    fault: 'caller',
    sentence: 'The request is malformed; correct it and send it again.',
  },
  parse_error: {
    status: 400,
    rpc: -32700,
    fault: 'caller',
    sentence: 'The body is not valid JSON; send one JSON-RPC message.',
  },
  invalid_params: {
    status: 400,
    rpc: -32602,
    fault: 'caller',
    sentence: 'The parameters are not valid; see the errors and correct them.',
  },
  validation_failed: {
    status: 400,
    rpc: -32602,
    fault: 'caller',
    sentence: 'Some fields are not valid; see `errors` and correct them.',
  },
  header_mismatch: {
    status: 400,
    rpc: -32020,
    fault: 'caller',
    sentence: 'An MCP header does not agree with the body; send headers that mirror the body.',
  },
  session_required: {
    status: 400,
    rpc: -32000,
    fault: 'caller',
    sentence: 'This request needs a session; send initialize first and then the Mcp-Session-Id header.',
  },
  unsupported_era: {
    status: 400,
    rpc: 40010,
    fault: 'caller',
    sentence: 'This server does not speak that protocol revision; connect with initialize instead.',
  },
  unauthorized: {
    status: 401,
    rpc: 40100,
    fault: 'caller',
    sentence: 'The credential is missing or not valid; send a valid access token or API key.',
  },
  balance_exhausted: {
    status: 402,
    rpc: 40200,
    fault: 'caller',
    sentence: 'The account balance does not cover this call; top up the account and try again.',
  },
  budget_exhausted: {
    status: 402,
    rpc: 40201,
    fault: 'caller',
    sentence: 'The budget does not cover this call; wait for its reset or ask for an increase.',
  },
  payment_invalid: {
    status: 402,
    rpc: 40202,
    fault: 'caller',
    sentence: 'The payment for this call was not accepted; pay anew by what is asked for now.',
  },
  payment_used: {
    status: 402,
    rpc: 40203,
    fault: 'caller',
    sentence: 'This payment was used for another call; a payment pays for one call only: sign a new one.',
  },
  payment_failed: {
    status: 402,
    rpc: 40204,
    fault: 'caller',
    sentence:
      'The call was done, but its payment could not be settled, so its answer is withheld and the account owes it.',
  },
  forbidden: {
    status: 403,
    rpc: 40300,
    fault: 'caller',
    sentence: 'Your role does not allow this; ask an administrator.',
  },
  insufficient_scope: {
    status: 403,
    rpc: 40303,
    fault: 'caller',
    sentence: 'The token does not allow this; ask the user for a token with the scopes in `scope`.',
  },
  authorization_required: {
    status: 403,
    rpc: 40306,
    fault: 'caller',
    sentence: 'Your user has to let the gateway use this MCP server as them; open the link and try again.',
  },
  tool_held: {
    status: 403,
    rpc: 40304,
    fault: 'caller',
    sentence:
      'This tool is held back until its definition is approved; use another one, or ask an administrator.',
  },
  arguments_denied: {
    status: 403,
    rpc: 40305,
    fault: 'caller',
    sentence: 'An access rule does not allow these arguments; change them.',
  },
  origin_denied: {
    status: 403,
    rpc: 40301,
    fault: 'caller',
    sentence: 'Requests from this origin are not allowed; add it to http.allowedOrigins if it is yours.',
  },
  registration_closed: {
    status: 403,
    rpc: 40302,
    fault: 'caller',
    sentence: 'Self-registration is closed; ask an administrator for a user.',
  },
  not_found: {
    status: 404,
    rpc: 40400,
    fault: 'caller',
    sentence: 'There is nothing here that you may see; check the name or id.',
  },
  session_not_found: {
    status: 404,
    rpc: -32001,
    fault: 'caller',
    sentence: 'Session not found; send initialize to open a new one.',
  },
  events_gone: {
    status: 404,
    rpc: 40401,
    fault: 'caller',
    sentence:
      'The stream cannot be resumed from this event, since what followed it is not kept; send initialize to open a new session.',
  },
  method_not_allowed: {
    status: 405,
    rpc: -32000,
    fault: 'caller',
    sentence: 'This method is not allowed here; see the Allow header.',
  },
  not_acceptable: {
    status: 406,
    rpc: -32000,
    fault: 'caller',
    sentence: 'Accept must allow both application/json and text/event-stream.',
  },
  conflict: {
    status: 409,
    rpc: 40900,
    fault: 'caller',
    sentence: 'This conflicts with what is there; read it again and retry with changes.',
  },
  stream_conflict: {
    status: 409,
    rpc: -32000,
    fault: 'caller',
    sentence: 'This session already has a stream; close it before opening another.',
  },
  idempotency_conflict: {
    status: 409,
    rpc: 40901,
    fault: 'caller',
    sentence: 'This idempotency key was used with another request; use a new key.',
  },
  idempotency_unknown: {
    status: 409,
    rpc: 40902,
    fault: 'caller',
    sentence:
      'The first request with this idempotency key has no known answer; check its effect, then use a new key.',
  },
  payload_too_large: {
    status: 413,
    rpc: 41300,
    fault: 'caller',
    sentence: 'The body is larger than this gateway accepts; send less.',
  },
  unsupported_media_type: {
    status: 415,
    rpc: 41500,
    fault: 'caller',
    sentence: 'The body must be uncompressed application/json.',
  },
  host_denied: {
    status: 421,
    rpc: 42100,
    fault: 'caller',
    sentence: 'This host name is not served here; use the configured public URL.',
  },
  egress_denied: {
    status: 422,
    rpc: 42200,
    fault: 'caller',
    sentence: 'The address is not one that upstreams may have; see TOLLBRIDGE_EGRESS_ALLOW.',
  },
  command_denied: {
    status: 422,
    rpc: 42201,
    fault: 'caller',
    sentence: 'The command is not on the list that stdio servers may run; see TOLLBRIDGE_STDIO_ALLOW.',
  },
  unprocessable: {
    status: 422,
    rpc: 42202,
    fault: 'caller',
    sentence: 'The request is well formed but cannot be carried out; see the detail.',
  },
  quota_exhausted: {
    status: 429,
    rpc: 42903,
    fault: 'caller',
    sentence: 'The quota of calls is used up; wait for its reset or ask for an increase.',
  },
  rate_limited: {
    status: 429,
    rpc: 42900,
    fault: 'caller',
    sentence: 'Too many requests; wait as long as Retry-After says.',
  },
  locked_out: {
    status: 429,
    rpc: 42901,
    fault: 'caller',
    sentence: 'Too many failed logins; wait as long as Retry-After says.',
  },
  too_many_sessions: {
    status: 429,
    rpc: 42902,
    fault: 'caller',
    sentence: 'Too many open sessions; close some or wait until idle ones expire.',
  },
  internal: {
    status: 500,
    rpc: 50000,
    fault: 'gateway',
    sentence: 'The gateway failed; quote the request id when you report it.',
  },
  upstream_unavailable: {
    status: 502,
    rpc: 50200,
    fault: 'upstream',
    sentence: 'The MCP server cannot be reached or broke off; try again later.',
  },
  interrupted: {
    status: 503,
    rpc: 50305,
    fault: 'gateway',
    sentence:
      'The gateway was restarted while this call ran, so its answer is lost; the call may have run: check its effect before you repeat it.',
  },
  payment_unavailable: {
    status: 503,
    rpc: 50306,
    fault: 'gateway',
    sentence:
      'The payment cannot be verified at the moment, so nothing was done and nothing is charged; send the same call again shortly.',
  },
  store_unavailable: {
    status: 503,
    rpc: 50300,
    fault: 'gateway',
    sentence: 'The usage store is unavailable, so no call can be accepted; try again shortly.',
  },
  audit_unavailable: {
    status: 503,
    rpc: 50308,
    fault: 'gateway',
    sentence:
      'This was done, but is not in the audit log yet; do not repeat it: read what is there, and try later what else you need.',
  },
  store_refused: {
    status: 503,
    rpc: 50304,
    fault: 'gateway',
    sentence: 'The store was refused and left as it is; see the detail for what to do.',
  },
  issuer_unavailable: {
    status: 503,
    rpc: 50307,
    fault: 'upstream',
    sentence: 'The issuer of the token cannot be reached, so it cannot be verified; try again shortly.',
  },
  shutting_down: {
    status: 503,
    rpc: 50301,
    fault: 'gateway',
    sentence: 'The gateway is shutting down; try again shortly.',
  },
  server_inactive: {
    status: 503,
    rpc: 50302,
    fault: 'gateway',
    sentence: 'The MCP server is switched off; ask its operator.',
  },
  stream_closed: {
    status: 503,
    rpc: 50309,
    fault: 'gateway',
    sentence: 'This stream was closed by its user or an administrator; open it again if it is still needed.',
  },
  overloaded: {
    status: 503,
    rpc: 50303,
    fault: 'gateway',
    sentence: 'The gateway is at its limit; try again shortly.',
  },
  upstream_timeout: {
    status: 504,
    rpc: 50400,
    fault: 'upstream',
    sentence: 'The MCP server did not answer in time; the call may have run.',
  },
} as const satisfies Record<string, CodeRow>

export type ErrorCode = keyof typeof errorCodes

/** One faulty field of a request: a JSON pointer and what to change. */
export interface FieldError {
  readonly field: string
  readonly message: string
}

export interface ErrorOptions {
  /** Public text instead of the table's sentence. Must hold no secret and no internal name. */
  readonly detail?: string
  /** Logged, never sent. */
  readonly cause?: unknown
  readonly fields?: readonly FieldError[]
  /** Whole seconds until a retry makes sense; becomes `Retry-After`. */
  readonly retryAfterS?: number
  /** Further public members of the answer, such as `balance` and `required`. */
  readonly data?: Readonly<Record<string, unknown>>
}

/** A refusal or fault with a code from the table. `message` is public; `cause` is not. */
export class GatewayError extends Error {
  override readonly name = 'GatewayError'
  readonly code: ErrorCode
  readonly fields: readonly FieldError[]
  readonly retryAfterS: number | undefined
  readonly data: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, options: ErrorOptions = {}) {
    super(options.detail ?? errorCodes[code].sentence, { cause: options.cause })
    this.code = code
    this.fields = options.fields ?? []
    this.retryAfterS = options.retryAfterS
    this.data = options.data ?? {}
  }

  get status(): number {
    return errorCodes[this.code].status
  }

  get rpcCode(): number {
    return errorCodes[this.code].rpc
  }

  get fault(): Fault {
    return errorCodes[this.code].fault
  }
}

/** Any thrown value as a GatewayError: what is not one becomes `internal`, with the original as its cause. */
export function asGatewayError(thrown: unknown): GatewayError {
  return thrown instanceof GatewayError ? thrown : new GatewayError('internal', { cause: thrown })
}

/** Throws `internal` where a state that cannot be is reached. */
export function assert(condition: unknown, what: string): asserts condition {
  if (!condition) throw new GatewayError('internal', { cause: new Error(`assertion failed: ${what}`) })
}
