// The keys of this installation, all derived from one master secret, and the rules that secret must pass.
import { createHmac, createPrivateKey, createPublicKey, hash, hkdfSync, randomBytes } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { Seal } from './seal.ts'

const minBytes = 32
const howToFix =
  'set 32 random bytes, for example from `openssl rand -hex 32`, or unset it to have one generated'

/** PKCS#8 wrapping of a raw Ed25519 seed (RFC 8410, section 7). */
const ed25519Prefix = Buffer.from('302e020100300506032b657004220420', 'hex')

/** Our public signing key as published (RFC 8037). */
export interface SigningJwk {
  readonly kty: 'OKP'
  readonly crv: 'Ed25519'
  readonly x: string
  /** The key's RFC 7638 thumbprint. */
  readonly kid: string
  readonly alg: 'EdDSA'
  readonly use: 'sig'
}

/** Separate keys by purpose (HKDF-SHA-256, RFC 5869). The same secret gives the same keys on every node. */
export class Keyring {
  readonly signingKey: KeyObject
  readonly verifyingKey: KeyObject
  readonly publicJwk: SigningJwk
  readonly #seal: Seal
  readonly #apiKeyKey: Uint8Array
  readonly #refreshTokenKey: Uint8Array
  readonly #fingerprintKey: Uint8Array

  /** `master` has at least 32 bytes and comes from `parseMasterSecret`. */
  constructor(master: Uint8Array) {
    this.#seal = new Seal(derive(master, 'seal'))
    this.#apiKeyKey = derive(master, 'api-key')
    this.#refreshTokenKey = derive(master, 'refresh-token')
    this.#fingerprintKey = derive(master, 'fingerprint')
    const der = Buffer.concat([ed25519Prefix, derive(master, 'token-signing')])
    this.signingKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    this.verifyingKey = createPublicKey(this.signingKey)
    this.publicJwk = publish(this.verifyingKey)
  }

  /** Encrypts a secret for storage; see `Seal.seal`. */
  seal(plaintext: string, context: string): string {
    return this.#seal.seal(plaintext, context)
  }

  /** Decrypts what `seal` made for the same context; see `Seal.open`. */
  open(sealed: string, context: string): string {
    return this.#seal.open(sealed, context)
  }

  /** What is stored of an API key: 32 bytes that are of no use without this keyring. */
  apiKeyMac(key: string): Buffer {
    return createHmac('sha256', this.#apiKeyKey).update(key).digest()
  }

  /** What is stored of a request under an idempotency key: bodies hold passwords, so a plain hash could be guessed. */
  fingerprintMac(text: string): Buffer {
    return createHmac('sha256', this.#fingerprintKey).update(text).digest()
  }

  /** What is stored of a refresh token. */
  refreshTokenMac(token: string): Buffer {
    return createHmac('sha256', this.#refreshTokenKey).update(token).digest()
  }
}

function derive(master: Uint8Array, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', master, 'tollbridge', `v1 ${purpose}`, 32))
}

function publish(key: KeyObject): SigningJwk {
  const x = key.export({ format: 'jwk' }).x ?? ''
  const kid = hash('sha256', `{"crv":"Ed25519","kty":"OKP","x":"${x}"}`, 'base64url')
  return { kty: 'OKP', crv: 'Ed25519', x, kid, alg: 'EdDSA', use: 'sig' }
}

/** A fresh master secret as text: 32 random bytes in hex. */
export const newMasterSecret = (): string => randomBytes(minBytes).toString('hex')

/**
 * Reads a configured master secret: hex or base64 (either alphabet) of at least 32 bytes, or any other text of at
 * least 32 characters, which is hashed. What can be guessed is refused with a `problem` that says how to fix it.
 */
export function parseMasterSecret(text: string): Uint8Array | { readonly problem: string } {
  const secret = text.trim()
  if (/change.?me|password|example|default|replace.?me|your.?secret/i.test(secret) || isMonotonous(secret))
    return { problem: `the secret can be guessed; ${howToFix}` }
  const isHex = /^(?:[0-9a-f]{2})+$/i.test(secret)
  const decoded = isHex ? Buffer.from(secret, 'hex') : decodeBase64(secret)
  if (decoded && decoded.length >= minBytes)
    return isMonotonous(decoded) ? { problem: `the secret can be guessed; ${howToFix}` } : decoded
  if (isHex || secret.length < minBytes)
    return { problem: `the secret is shorter than ${minBytes} bytes; ${howToFix}` }
  return hash('sha256', secret, 'buffer')
}

function decodeBase64(text: string): Buffer | undefined {
  return /^[A-Za-z0-9+/_-]+={0,2}$/.test(text) ? Buffer.from(text, 'base64') : undefined
}

/** Whether a secret is a repetition or a sequence: few different values, or few different steps between them. */
function isMonotonous(secret: string | Uint8Array): boolean {
  const values =
    typeof secret === 'string' ? Array.from(secret, (letter) => letter.charCodeAt(0)) : [...secret]
  const steps = values.map((value, i) => value - (values[i - 1] ?? value))
  return new Set(values).size < 8 || new Set(steps).size < 8 || isPeriodic(values)
}

function isPeriodic(values: readonly number[]): boolean {
  for (let period = 1; period <= values.length / 2; period++)
    if (values.every((value, i) => i < period || value === values[i - period])) return true
  return false
}
