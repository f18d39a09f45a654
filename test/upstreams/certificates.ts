// An authority for one test run, and certificates of it, written as DER by hand: no keys are kept in files.
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto'

const der = (tag: number, ...parts: Buffer[]): Buffer => {
  const content = Buffer.concat(parts)
  const { length } = content
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}
const sequence = (...parts: Buffer[]): Buffer => der(0x30, ...parts)
const oid = (...bytes: number[]): Buffer => der(0x06, Buffer.from(bytes))
const time = (text: string): Buffer => der(0x18, Buffer.from(text))
const bitString = (bytes: Buffer): Buffer => der(0x03, Buffer.from([0]), bytes)

const ecdsaWithSha256 = sequence(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02))
const name = (common: string): Buffer =>
  sequence(der(0x31, sequence(oid(0x55, 0x04, 0x03), der(0x0c, Buffer.from(common)))))
const extension = (id: number, value: Buffer): Buffer => sequence(oid(0x55, 0x1d, id), der(0x04, value))
const pem = (bytes: Buffer): string =>
  `-----BEGIN CERTIFICATE-----\n${bytes.toString('base64').replaceAll(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`

interface Issuer {
  readonly common: string
  readonly key: KeyObject
}

let serial = 0

function certificate(subject: string, publicKey: KeyObject, issuer: Issuer, extensions: Buffer[]): string {
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([1, ++serial])),
    ecdsaWithSha256,
    name(issuer.common),
    sequence(time('20200101000000Z'), time('21200101000000Z')),
    name(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  )
  return pem(sequence(body, ecdsaWithSha256, bitString(sign('sha256', body, issuer.key))))
}

/** X.509 (RFC 5280) as far as TLS needs it: one authority, and certificates for names and IPv4 addresses. */
export function newAuthority(common = 'Test authority') {
  const own = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const issuer = { common, key: own.privateKey }
  const isAuthority = extension(0x13, sequence(der(0x01, Buffer.from([0xff]))))
  return {
    ca: certificate(common, own.publicKey, issuer, [isAuthority]),
    issue(hosts: readonly string[]): { cert: string; key: string } {
      const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const alternatives = hosts.map((host) =>
        /^[\d.]+$/.test(host)
          ? der(0x87, Buffer.from(host.split('.').map(Number)))
          : der(0x82, Buffer.from(host)),
      )
      const forHosts = extension(0x11, sequence(...alternatives))
      return {
        cert: certificate(hosts[0] ?? '', keys.publicKey, issuer, [forHosts]),
        key: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
      }
    },
  }
}
