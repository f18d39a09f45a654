// Which URLs a webhook may have: those that a server may have, and a query.
import { GatewayError } from '../base/errors.ts'
import type { Egress } from '../upstreams/egress.ts'

/** Throws `unprocessable` for a form that is refused, `egress_denied` for an address that is. */
export function checkWebhookUrl(egress: Pick<Egress, 'checkUrl'>, text: string): void {
  const [base = '', ...queries] = text.split('?')
  if (queries.length > 1 || !/^([A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*$/.test(queries[0] ?? ''))
    throw refused('The query of the URL holds characters that are not allowed.')
  try {
    egress.checkUrl(base)
  } catch (error) {
    throw error instanceof GatewayError && error.code === 'unprocessable' ? refused(error.message) : error
  }
}

const refused = (detail: string): GatewayError =>
  new GatewayError('unprocessable', { detail, fields: [{ field: '/url', message: detail }] })
