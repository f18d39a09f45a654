// The cookie of a browser's login: what it is called, how it is set, and which requests may use it.
import type { IncomingHttpHeaders } from 'node:http'
import { timingSafeEqual } from 'node:crypto'
import { csrfTokenOf, type BrowserSession } from '../identity/browser-sessions.ts'

const cookieText = /(?:^|;\s*)(?:__Host-)?tollbridge-session=(bs_[A-Za-z0-9_-]{43})(?:;|$)/

/** The name of the header that changes need beside the cookie; its value is told by `GET /auth/session`. */
const csrfHeader = 'tollbridge-csrf'

export const findSessionSecret = ({ cookie }: IncomingHttpHeaders): string | undefined =>
  cookieText.exec(cookie ?? '')?.[1]

/** `__Host-`: over https alone, for this very host, set by nobody else (RFC 6265bis). On loopback without https: without it. */
const nameFor = (publicUrl: string): string =>
  publicUrl.startsWith('https:') ? '__Host-tollbridge-session' : 'tollbridge-session'

const attributes = (publicUrl: string): string =>
  `Path=/; HttpOnly; SameSite=Strict${publicUrl.startsWith('https:') ? '; Secure' : ''}`

export function sessionCookie({ secret }: BrowserSession, publicUrl: string, lifetimeS: number): string {
  return `${nameFor(publicUrl)}=${secret}; ${attributes(publicUrl)}; Max-Age=${lifetimeS}`
}

export const endedCookie = (publicUrl: string): string =>
  `${nameFor(publicUrl)}=; ${attributes(publicUrl)}; Max-Age=0`

/**
 * Whether a request comes from a page of ours: browsers say so themselves (Fetch Metadata), or name the origin. What is no
 * browser says neither.
 */
export function isFromOwnPage(headers: IncomingHttpHeaders, publicUrl: string): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return false
  const { origin, host } = headers
  if (origin === undefined) return true
  if (!URL.canParse(origin)) return false
  return origin === new URL(publicUrl).origin || new URL(origin).host === host
}

/** Whether a change may be made by the cookie alone: with the token that only our own pages know, from one of them. */
export function isForgery(headers: IncomingHttpHeaders, secret: string, publicUrl: string): boolean {
  const given = Buffer.from(String(headers[csrfHeader] ?? ''))
  const right = Buffer.from(csrfTokenOf(secret))
  const isRight = given.length === right.length && timingSafeEqual(given, right)
  return !isRight || headers.origin === undefined || !isFromOwnPage(headers, publicUrl)
}
