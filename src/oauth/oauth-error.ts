// Refusals of the authorization server, in the words of its specifications.

export type OauthErrorCode =
  | 'access_denied'
  | 'invalid_client'
  | 'invalid_client_metadata'
  | 'invalid_grant'
  | 'invalid_redirect_uri'
  | 'invalid_request'
  | 'invalid_scope'
  | 'invalid_target'
  | 'slow_down'
  | 'unauthorized_client'
  | 'unsupported_grant_type'
  | 'unsupported_response_type'

/**
 * An error response of RFC 6749 (section 5.2), RFC 7591 (3.2.2) or RFC 8707 (2). `message` is public: one sentence with
 * the next step, in ASCII and without quotes, as RFC 6749 wants it.
 */
export class OauthError extends Error {
  override readonly name = 'OauthError'
  readonly code: OauthErrorCode
  /** Seconds until a retry makes sense. */
  readonly retryAfterS: number | undefined

  constructor(code: OauthErrorCode, message: string, options: { retryAfterS?: number } = {}) {
    super(message)
    this.code = code
    this.retryAfterS = options.retryAfterS
  }

  get status(): number {
    if (this.code === 'invalid_client') return 401
    return this.code === 'slow_down' ? 429 : 400
  }
}
