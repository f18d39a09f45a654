// The kinds of values that settings take, each with what is said of a wrong one.
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { z } from 'zod'
import { findFormatProblem } from '../invoicing/numbering.ts'

export function whole(min: number, max: number, usual: number) {
  const message = `must be a whole number from ${min} to ${max}`
  return z.int(message).min(min, message).max(max, message).default(usual)
}
export const choice = <const Values extends readonly [string, ...string[]]>(values: Values) =>
  z.enum(values, `must be one of ${values.join(', ')}`)
export const text = (message: string) => z.string(message).min(1, message)
export const section = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.strictObject(shape, {
    error: ({ code }) => (code === 'invalid_type' ? 'must be a section with keys' : undefined),
  })

export const milliseconds = (min: number, max: number, usual: number, what: string) =>
  whole(min, max, usual).describe(`${what} Milliseconds.`)
export const hourMs = 3_600_000
export const dayMs = 24 * hourMs

const portMessage = 'must be a whole number from 0 to 65535'
export const port = z.int(portMessage).min(0, portMessage).max(65_535, portMessage)

export const webOrigin = text('must be a list of origins such as https://app.example').refine(
  (value) => URL.canParse(value) && new URL(value).origin === value,
  'must be an origin such as https://app.example, without a path',
)
export const publicUrl = text('must be an http or https URL').refine(
  (value) => URL.canParse(value) && /^https?:$/.test(new URL(value).protocol) && !/[?#@]/.test(value),
  'must be an http or https URL without credentials, query or fragment',
)
export const topUpUrl = text('must be an http or https URL').refine((value) => {
  const filled = value.replaceAll(/\{(account|amount|currency)\}/g, 'x')
  return URL.canParse(filled) && /^https?:$/.test(new URL(filled).protocol) && !/[{}]/.test(filled)
}, 'must be an http or https URL whose only placeholders are {account}, {amount} and {currency}')
export const secretPattern = /^[\x21-\x2b\x2d-\x7e]{16,500}$/
export const standardPattern = /^whsec_(?=[A-Za-z0-9+/=]{32,})[A-Za-z0-9+/]+={0,2}$/
/** One, or two with a comma while a secret changes. */
export const webhookSecret = (pattern: RegExp, message: string) =>
  text(message).refine((value) => {
    const secrets = value.split(',').map((secret) => secret.trim())
    return secrets.length <= 2 && secrets.every((secret) => pattern.test(secret))
  }, message)
export const evmAddress = z
  .string()
  .regex(/^0x[0-9a-fA-F]{40}$/, 'must be an address: 0x and 40 hexadecimal digits')
export const egressRule = text('must be a list').refine(
  (value) => value === 'loopback' || value === 'private' || ipaddr.isValidCIDR(value),
  'must be loopback, private or a CIDR such as 10.1.0.0/16',
)
export const proxyRule = text('must be a list').refine(
  (value) =>
    value === 'loopback' ||
    value === 'private' ||
    isIP(value) !== 0 ||
    // Whoever trusts everybody lets each client say who it is.
    (ipaddr.isValidCIDR(value) && !value.endsWith('/0')),
  'must be loopback, private, an address or a CIDR such as 10.1.0.0/16 that is not everybody',
)
export const command = text('must be a list').refine(
  (value) => value.startsWith('/') || !value.includes('/'),
  'must be a command name or an absolute path',
)
export const timeZone = text('must be a time zone such as UTC or Europe/Berlin').refine(
  isTimeZone,
  'must be a time zone such as UTC or Europe/Berlin',
)

export const numberFormat = (usual: string) =>
  text('must be a text with {seq} in it')
    .check(({ value, issues }) => {
      const message = findFormatProblem(value)
      if (message !== undefined) issues.push({ code: 'custom', message, input: value })
    })
    .default(usual)

function isTimeZone(value: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: value }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}
