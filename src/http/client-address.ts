// Who asks: the address of the connection, or what a trusted proxy in front of the gateway says of it.
import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'

/** The address that a request comes from, for records, the audit log and lockouts; empty where it is not known. */
export type FindClientAddress = (request: Pick<IncomingMessage, 'socket' | 'headers'>) => string

const named: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1/128'],
  private: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
}

/**
 * Reads `X-Forwarded-For` from proxies that are trusted: `loopback`, `private`, addresses and CIDRs. It is read from the
 * right, since each hop appends whom it heard and the left is whatever the client wrote: the first address that is no
 * proxy of ours is the client. What cannot be read ends the search at the hop that said it. `Forwarded` (RFC 7239) and
 * all other headers never count: a proxy that does not know them passes the client's own on.
 */
export function clientAddresses(trusted: readonly string[]): FindClientAddress {
  if (trusted.length === 0) return ({ socket }) => plain(socket.remoteAddress ?? '')
  const proxies = proxyList(trusted)
  const isProxy = (address: string): boolean => {
    const family = isIP(address)
    return family !== 0 && proxies.check(address, family === 4 ? 'ipv4' : 'ipv6')
  }
  return ({ socket, headers }) => {
    let address = plain(socket.remoteAddress ?? '')
    if (!isProxy(address)) return address
    // Node joins repeated headers of this name with commas, in their order.
    const hops = String(headers['x-forwarded-for'] ?? '').split(',')
    for (const hop of hops.toReversed()) {
      const before = readHop(hop.trim())
      if (before === undefined) return address
      address = before
      if (!isProxy(address)) return address
    }
    return address
  }
}

function proxyList(trusted: readonly string[]): BlockList {
  const list = new BlockList()
  for (const each of trusted.flatMap((entry) => named[entry] ?? [entry])) {
    const [address = '', bits] = each.split('/')
    const family = isIP(address) === 4 ? 'ipv4' : 'ipv6'
    list.addSubnet(address, bits === undefined ? (family === 'ipv4' ? 32 : 128) : Number(bits), family)
  }
  return list
}

/** An address with or without a port; undefined where it is none, such as `unknown` or a name. */
function readHop(text: string): string | undefined {
  const [, bracketed, withPort] = /^\[([^\]]*)\](?::\d+)?$|^([\d.]+):\d+$/.exec(text) ?? []
  const address = bracketed ?? withPort ?? text
  return isIP(address) !== 0 && !address.includes('%') ? plain(address) : undefined
}

/** A socket that listens to both families calls IPv4 addresses `::ffff:192.0.2.1` (RFC 4291, section 2.5.5.2). */
const plain = (address: string): string =>
  /^::ffff:\d/i.test(address) && isIP(address.slice(7)) === 4 ? address.slice(7) : address
