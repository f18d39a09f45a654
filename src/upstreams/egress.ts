// Which addresses the gateway may connect to: URLs are checked when registered, resolved addresses at every connection.
import { lookup as systemLookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'
import { GatewayError } from '../base/errors.ts'

type Address = ipaddr.IPv4 | ipaddr.IPv6
type Range = [Address, number]

/** Resolves a name to all its addresses; injected in tests. */
export type Resolve = (
  hostname: string,
  done: (error: Error | null, addresses: readonly { address: string; family: number }[]) => void,
) => void

/** `denied-always` cannot be allowed by any setting. */
export type AddressClass = 'public' | 'loopback' | 'private' | 'special' | 'denied-always'

const ranges = (...cidrs: string[]): Range[] => cidrs.map((cidr) => ipaddr.parseCIDR(cidr))

/** Metadata services of the clouds, link-local, "this host" and multicast: never an MCP server. */
const deniedAlways = ranges(
  '0.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/4',
  '255.255.255.255/32',
  '100.100.100.200/32', // Alibaba
  '168.63.129.16/32', // Azure
  '192.0.0.192/32', // Oracle
  '::/128',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
  'fd00:ec2::/32', // AWS
  'fd20:ce::254/128', // Google
)

const globalUnicast = ipaddr.parseCIDR('2000::/3')
const ipv4Compatible = ipaddr.parseCIDR('::/96')
const nat64 = ipaddr.parseCIDR('64:ff9b::/96')

const within = (address: Address, range: Range): boolean =>
  address.kind() === range[0].kind() && address.match(range)

/** The IPv4 address that an IPv6 address carries, for every scheme that routes to it; undefined where there is none. */
function embeddedIpv4(address: ipaddr.IPv6): ipaddr.IPv4 | undefined {
  const bytes = address.toByteArray()
  const at = (offset: number, mask = 0): ipaddr.IPv4 =>
    new ipaddr.IPv4(bytes.slice(offset, offset + 4).map((byte) => byte ^ mask))
  const range = address.range()
  if (range === '6to4') return at(2)
  if (range === 'teredo') return at(12, 0xff)
  if (range === 'rfc6052' || range === 'rfc6145' || within(address, ipv4Compatible)) return at(12)
  // ISATAP (RFC 5214): an interface id of [02]00:5efe and the address.
  const [, , , , high = 0, low] = address.parts
  return (high & ~0x0200) === 0 && low === 0x5efe ? at(12) : undefined
}

/** Classifies an address as written by the resolver or the URL parser. `special` needs an explicit CIDR. */
export function classifyAddress(text: string): AddressClass {
  if (!ipaddr.isValid(text)) return 'denied-always'
  // `process` turns an IPv4-mapped address into the IPv4 address that it is.
  const address = ipaddr.process(text)
  if (deniedAlways.some((range) => within(address, range))) return 'denied-always'
  const range: string = address.range()
  if (range === 'loopback') return 'loopback'
  if (range === 'private' || range === 'uniqueLocal') return 'private'
  if (address.kind() === 'ipv4') return range === 'unicast' ? 'public' : 'special'
  const carried = embeddedIpv4(address as ipaddr.IPv6)
  if (carried) {
    const inner = classifyAddress(carried.toString())
    if (inner === 'denied-always') return inner
    // NAT64's well-known prefix is how hosts without IPv4 reach public IPv4 servers; the other schemes are dead.
    return inner === 'public' && within(address, nat64) ? 'public' : 'special'
  }
  return range === 'unicast' && within(address, globalUnicast) ? 'public' : 'special'
}

const dnsLookup: Resolve = (hostname, done) =>
  systemLookup(hostname, { all: true, verbatim: true }, (error, addresses) => done(error, addresses ?? []))

/** The filter in front of every HTTP upstream (OWASP SSRF; MCP "Security Best Practices", SSRF). */
export class Egress {
  readonly #allowed = new Set<AddressClass>(['public'])
  readonly #allowedRanges: Range[] = []
  readonly #resolve: Resolve

  /** `allow` holds `loopback`, `private` and CIDRs; throws a TypeError for anything else. */
  constructor(allow: readonly string[], options: { resolve?: Resolve } = {}) {
    this.#resolve = options.resolve ?? dnsLookup
    for (const entry of allow) {
      if (entry === 'loopback' || entry === 'private') this.#allowed.add(entry)
      else if (ipaddr.isValidCIDR(entry)) this.#allowedRanges.push(ipaddr.parseCIDR(entry))
      else throw new TypeError(`egress allow list: "${entry}" is not loopback, private or a CIDR`)
    }
  }

  allowsAddress(text: string): boolean {
    const kind = classifyAddress(text)
    if (this.#allowed.has(kind)) return true
    if (kind === 'denied-always') return false
    const address = ipaddr.process(text)
    return this.#allowedRanges.some((range) => within(address, range))
  }

  /**
   * A URL as a registration may have it. Throws `unprocessable` for a form that is refused, `egress_denied` for an
   * address that is. Names other than localhost are resolved, and then checked, at each connection.
   */
  checkUrl(text: string): URL {
    const url = parseServerUrl(text)
    const host = bareHostname(url)
    const local = host === 'localhost' || host.endsWith('.localhost')
    const denied = local ? !this.#allowed.has('loopback') : isIP(host) !== 0 && !this.allowsAddress(host)
    if (denied) throw new GatewayError('egress_denied', { data: { host } })
    return url
  }

  /** In place of `dns.lookup`: the answer is vetted, and is what the socket connects to (no second resolution). */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    this.#resolve(hostname, (error, addresses) => {
      const first = addresses[0]
      if (error || !first) callback(error ?? new Error('the name has no address'), '')
      else if (!addresses.every(({ address }) => this.allowsAddress(address)))
        callback(new GatewayError('egress_denied'), '')
      else if (options.all) callback(null, [...addresses])
      else callback(null, first.address, first.family)
    })
  }
}

const bareHostname = (url: URL): string => url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')

const refuse = (detail: string): never => {
  throw new GatewayError('unprocessable', { detail, fields: [{ field: '/transport/url', message: detail }] })
}

/**
 * Reads the URL of a server strictly, before the URL parser can repair it: no credentials, query, fragment,
 * backslash, empty or dot segment, and no escaped separator, since each lets two readers see two addresses.
 */
function parseServerUrl(text: string): URL {
  const parts = /^(https?):\/\/([^/?#\\\s]+)(\/[^\s]*)?$/i.exec(text)
  const [, , authority = '', path = ''] = parts ?? []
  if (!parts) return refuse('The URL must be http:// or https://, a host, and a path.')
  if (authority.includes('@'))
    return refuse('The URL must not hold a user name or password; set them under auth.')
  if (path.includes('?') || path.includes('#'))
    return refuse('The URL must not hold a query or fragment; set a key under auth with in: "query".')
  if (!/^(\/([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)*$/.test(path) || path.includes('//'))
    return refuse('The path of the URL holds characters that are not allowed, or an empty segment.')
  if (/%(2e|2f|5c|25|7f|[01][0-9a-f])/i.test(path) || /\/\.{1,2}(\/|$)/.test(path))
    return refuse('The path of the URL must not hold dot segments or escaped separators.')
  if (!URL.canParse(text)) return refuse('The URL is not valid.')
  const url = new URL(text)
  return url.hostname === '' ? refuse('The URL has no host.') : url
}
