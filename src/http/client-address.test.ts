// The address of a client behind proxies: only what a trusted one says counts, and only the part it heard itself.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { clientAddresses } from './client-address.ts'

const asked = (remoteAddress: string | undefined, forwarded?: string) =>
  ({
    socket: { remoteAddress },
    headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
  }) as Parameters<ReturnType<typeof clientAddresses>>[0]

describe('without trusted proxies', () => {
  const find = clientAddresses([])
  test.each([
    ['203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['2001:db8::1', '2001:db8::1'],
    [undefined, ''],
  ])('%s is the client, whatever it says of itself', (socket, expected) => {
    expect(find(asked(socket))).toBe(expected)
    expect(find(asked(socket, '198.51.100.1'))).toBe(expected)
  })
})

describe('behind trusted proxies', () => {
  const find = clientAddresses(['10.0.0.0/8', '192.0.2.1', '2001:db8:1::/48', 'loopback'])

  test.each([
    ['the address that the proxy heard', '10.0.0.1', '203.0.113.7', '203.0.113.7'],
    [
      'the rightmost that is no proxy',
      '10.0.0.1',
      '1.1.1.1, 203.0.113.7, 10.2.3.4, 192.0.2.1',
      '203.0.113.7',
    ],
    ['not what the client wrote left of it', '10.0.0.1', '127.0.0.1, 10.0.0.9, 203.0.113.7', '203.0.113.7'],
    ['the connection where it is no proxy', '203.0.113.9', '198.51.100.1', '203.0.113.9'],
    ['a neighbour of a proxy itself', '192.0.2.2', '198.51.100.1', '192.0.2.2'],
    ['the proxy where it says nothing', '10.0.0.1', undefined, '10.0.0.1'],
    ['the proxy where it says something else', '10.0.0.1', 'unknown', '10.0.0.1'],
    ['the last hop that can be read', '10.0.0.1', '203.0.113.7, _hidden, 10.0.0.5', '10.0.0.5'],
    ['the first hop where all are proxies', '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
    ['an address with its port', '127.0.0.1', '203.0.113.7:4711', '203.0.113.7'],
    ['an IPv6 address', '::1', '2001:db8::7', '2001:db8::7'],
    ['an IPv6 address with its port', '::ffff:127.0.0.1', '[2001:db8::7]:443', '2001:db8::7'],
    ['an IPv6 proxy', '2001:db8:1::9', '203.0.113.7', '203.0.113.7'],
    ['a mapped address', '10.0.0.1', '::ffff:203.0.113.7', '203.0.113.7'],
    ['no zone', '10.0.0.1', 'fe80::1%eth0', '10.0.0.1'],
    ['no empty hop', '10.0.0.1', '203.0.113.7,', '10.0.0.1'],
  ])('is %s', (_what, socket, forwarded, expected) => {
    expect(find(asked(socket, forwarded))).toBe(expected)
  })

  test('never depends on what is written left of the client, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary-ascii' }), (written) => {
        expect(find(asked('10.0.0.1', `${written}, 203.0.113.7, 10.0.0.2`))).toBe('203.0.113.7')
      }),
    )
  })

  test('is an address, or what the connection said, for any header', () => {
    const hop = fc.oneof(fc.ipV4(), fc.ipV6(), fc.string(), fc.constant('10.0.0.2'))
    fc.assert(
      fc.property(fc.array(hop), (hops) => {
        expect(find(asked('10.0.0.1', hops.join(',')))).toMatch(/^[\da-f:.]+$/i)
      }),
    )
  })
})

test('private means the private ranges of both families', () => {
  const find = clientAddresses(['private'])
  for (const proxy of ['10.1.2.3', '172.31.0.1', '192.168.0.1', 'fd12::1'])
    expect(find(asked(proxy, '203.0.113.7'))).toBe('203.0.113.7')
  for (const other of ['172.32.0.1', '127.0.0.1', '100.64.0.1', '2001:db8::1'])
    expect(find(asked(other, '203.0.113.7'))).toBe(other)
})
