// Which Host names are served and which web pages may call: the guard against DNS rebinding.
import type { IncomingMessage } from 'node:http'
import { GatewayError } from '../base/errors.ts'

export interface OriginOptions {
  /** Address that the gateway listens on. */
  readonly host: string
  /** Configured public URL, if any. */
  readonly publicUrl: string | undefined
  readonly allowedHosts: readonly string[]
  readonly allowedOrigins: readonly string[]
}

const loopbackNames = ['localhost', '127.0.0.1', '[::1]']

/**
 * A check of Host and Origin (MCP, "Security Warning": servers MUST validate Origin). On a loopback address only local
 * names are served, besides the configured ones; on others every Host is, unless hosts are configured. An Origin
 * must be on the list, or be a page of a host that is served. The probes of an orchestrator name the address that they
 * reach, so that any Host may ask for those; the metadata of OAuth may be read by every page.
 */
export function originCheck(options: OriginOptions): (request: IncomingMessage) => GatewayError | undefined {
  const local = loopbackNames.includes(options.host) || /^(::1|127(\.\d{1,3}){3})$/.test(options.host)
  const configured = [
    ...options.allowedHosts,
    ...(options.publicUrl ? [new URL(options.publicUrl).hostname] : []),
  ]
  const restricted = local || configured.length > 0
  const hosts = new Set(
    [...configured, options.host, ...(local ? loopbackNames : [])].map((name) => name.toLowerCase()),
  )
  const origins = new Set(options.allowedOrigins)
  const served = (host: string): boolean => !restricted || hosts.has(host)
  return ({ headers, url }) => {
    const host = hostName(headers.host)
    if (host === undefined || !(served(host) || isProbe(url))) return new GatewayError('host_denied')
    const { origin } = headers
    if (origin === undefined || isMetadata(url) || origins.has(origin)) return undefined
    const from = URL.canParse(origin) ? new URL(origin).hostname : undefined
    const own = restricted ? from !== undefined && hosts.has(from) : from === host
    return own ? undefined : new GatewayError('origin_denied')
  }
}

/** What says nothing of anybody and takes nothing: pages of clients have to find it before they can log in. */
const isMetadata = (url = ''): boolean => url.startsWith('/.well-known/')

const isProbe = (url = ''): boolean => /^\/(livez|readyz)(\?|$)/.test(url)

/** The name in a Host header, without its port; undefined where the header is not a plain host. */
function hostName(header: string | undefined): string | undefined {
  return /^(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:\d{1,5})?$/i.exec(header ?? '')?.[1]?.toLowerCase()
}
