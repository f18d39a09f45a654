// Guarantees of the egress filter: no spelling of an inner address passes, and what was vetted is what is connected to.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { GatewayError } from '../base/errors.ts'
import { classifyAddress, Egress, type Resolve } from './egress.ts'
import { Connector } from './http1/connector.ts'

const codeOf = (run: () => unknown): string => {
  try {
    run()
    return 'allowed'
  } catch (error) {
    if (error instanceof GatewayError) return error.code
    throw error
  }
}

const metadata = ['169.254.169.254', '169.254.170.2', '[fd00:ec2::254]', '[fe80::1]', '100.100.100.200']
const inner = [
  '127.0.0.1',
  '127.1',
  '2130706433',
  '0x7f.1',
  '0177.0.0.1',
  '127.255.255.254',
  '0.0.0.0',
  'localhost',
  'localhost.',
  'LOCALHOST',
  'a.localhost',
  '10.1.2.3',
  '172.16.0.1',
  '192.168.1.1',
  '100.64.0.1',
  '198.18.0.1',
  '192.0.2.1',
  '224.0.0.1',
  '240.0.0.1',
  '255.255.255.255',
  '[::]',
  '[::1]',
  '[::ffff:7f00:1]',
  '[::ffff:127.0.0.1]',
  '[::ffff:0:7f00:1]',
  '[::7f00:1]',
  '[::127.0.0.1]',
  '[2002:7f00:1::]',
  '[2002:a00:1::1]',
  '[2002:808:808::1]',
  '[64:ff9b::7f00:1]',
  '[64:ff9b::a9fe:a9fe]',
  '[64:ff9b:1::]',
  '[64:ff9b:1::808:808]',
  '[2001:0:53aa:64c:0:fbff:80ff:fffe]',
  '[2a00::5efe:7f00:1]',
  '[fec0::1]',
  '[fc00::1]',
  '[fd12:3456::1]',
  '[ff02::1]',
  '[100::1]',
  '[2001:db8::1]',
  '[4000::1]',
]

describe('a URL of a server', () => {
  test.each([...inner, ...metadata])('with host %s is refused by an empty allow list', (host) => {
    expect(codeOf(() => new Egress([]).checkUrl(`http://${host}/mcp`))).toBe('egress_denied')
  })

  test.each([
    ...metadata,
    '0.0.0.0',
    '[::]',
    '[::ffff:169.254.169.254]',
    '[64:ff9b::a9fe:a9fe]',
    '[fec0::1]',
  ])('with host %s is refused even where everything is allowed', (host) => {
    const egress = new Egress(['loopback', 'private', '0.0.0.0/0', '::/0'])
    expect(codeOf(() => egress.checkUrl(`https://${host}/`))).toBe('egress_denied')
  })

  test.each(['8.8.8.8', '[2606:4700::1111]', '[64:ff9b::808:808]', 'mcp.example.com', 'example.com.'])(
    'with public host %s is allowed',
    (host) => expect(codeOf(() => new Egress([]).checkUrl(`https://${host}/mcp`))).toBe('allowed'),
  )

  test('may be loopback or private only where the list says so', () => {
    expect(codeOf(() => new Egress(['loopback']).checkUrl('http://127.1:99/'))).toBe('allowed')
    expect(codeOf(() => new Egress(['loopback']).checkUrl('http://localhost.:99/'))).toBe('allowed')
    expect(codeOf(() => new Egress(['loopback']).checkUrl('http://10.0.0.1/'))).toBe('egress_denied')
    expect(codeOf(() => new Egress(['private']).checkUrl('http://[fd12::1]/'))).toBe('allowed')
    expect(codeOf(() => new Egress(['private']).checkUrl('http://127.0.0.1/'))).toBe('egress_denied')
    expect(codeOf(() => new Egress(['100.64.0.0/10']).checkUrl('http://100.64.3.4/'))).toBe('allowed')
    expect(codeOf(() => new Egress(['10.0.0.0/24']).checkUrl('http://10.0.1.1/'))).toBe('egress_denied')
    expect(codeOf(() => new Egress(['10.0.0.0/24']).checkUrl('http://[::ffff:10.0.0.9]/'))).toBe('allowed')
  })

  test.each([
    'https://ok@evil.example/',
    'https://a:b@evil.example/',
    'https://@evil.example/',
    'https://example.com//evil',
    'https://example.com/a?b=c',
    'https://example.com/a?',
    'https://example.com/a#b',
    'https://example.com/#',
    'https://example.com/..%2fadmin',
    'https://example.com/%2e%2e/admin',
    'https://example.com/%252e/admin',
    'https://example.com/a/../b',
    'https://example.com/./b',
    'https://example.com/a\\b',
    'https:\\\\example.com/',
    'https:/example.com/',
    'https://example.com/a b',
    'https://example.com/a\r\nx',
    'https://example.com/%0d%0a',
    'ftp://example.com/',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'https://',
    'https://[fe80::1%25eth0]/',
    'https://example.com:99999/',
    '',
  ])('%j is refused for its form', (url) => {
    expect(codeOf(() => new Egress(['loopback']).checkUrl(url))).toBe('unprocessable')
  })

  test('an allow list with an unknown word is refused', () => {
    expect(() => new Egress(['everything'])).toThrow(/everything/)
  })

  test('text that is no address is never one', () => {
    expect(classifyAddress('example.com')).toBe('denied-always')
  })
})

describe('a connection', () => {
  const cleanups: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0)) await cleanup()
  })

  async function hitCounter() {
    let hits = 0
    const server = createServer((_, response) => {
      hits++
      response.end('hit')
    })
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    cleanups.push(() => new Promise((closed) => server.close(closed)))
    return { port: (server.address() as AddressInfo).port, hits: () => hits }
  }

  const request = (egress: Egress, origin: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const connector = new Connector(new URL(origin), { filter: egress, timeoutMs: 2000 })
      if (connector.refusal) return reject(connector.refusal)
      const socket = connector.open((bytes) => resolve(Number(bytes.toString().split(' ')[1])))
      cleanups.push(async () => socket.destroy())
      socket.on('error', reject)
      socket.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
    })

  const answering =
    (...addresses: string[]): Resolve =>
    (_, done) =>
      done(
        null,
        addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
      )

  test('to a name that now resolves to an inner address is refused with no hit (DNS rebinding)', async () => {
    const target = await hitCounter()
    const egress = new Egress([], { resolve: answering('127.0.0.1') })
    egress.checkUrl('http://rebound.example/')
    await expect(request(egress, `http://rebound.example:${target.port}`)).rejects.toMatchObject({
      code: 'egress_denied',
    })
    expect(target.hits()).toBe(0)
  })

  test('is refused where only one of several addresses is inner', async () => {
    const target = await hitCounter()
    const egress = new Egress([], { resolve: answering('8.8.8.8', '127.0.0.1') })
    await expect(request(egress, `http://mixed.example:${target.port}`)).rejects.toMatchObject({
      code: 'egress_denied',
    })
    expect(target.hits()).toBe(0)
  })

  test('goes to the vetted address and resolves once', async () => {
    const target = await hitCounter()
    let resolved = 0
    const egress = new Egress(['loopback'], {
      resolve: (name, done) => {
        // The second answer would be denied: asking again would show.
        resolved++
        answering(resolved === 1 ? '127.0.0.1' : '169.254.169.254')(name, done)
      },
    })
    expect(await request(egress, `http://pinned.example:${target.port}`)).toBe(200)
    expect(resolved).toBe(1)
    expect(target.hits()).toBe(1)
  })

  test('to a literal address is checked though nothing is looked up', async () => {
    const target = await hitCounter()
    await expect(request(new Egress([]), `http://127.0.0.1:${target.port}`)).rejects.toMatchObject({
      code: 'egress_denied',
    })
    expect(target.hits()).toBe(0)
  })

  test('to a name without an address fails', async () => {
    const egress = new Egress([], { resolve: answering() })
    await expect(request(egress, 'http://empty.example')).rejects.toThrow(/no address/)
  })
})
