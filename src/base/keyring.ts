// The keys of this installation, by purpose: what seals, signs and fingerprints.
import { createHmac, createPrivateKey, createPublicKey, hash, hkdfSync } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { GatewayError } from './errors.ts'
import { Seal, sealKeyId } from './seal.ts'

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

/** What keyed hashes are made of. These keys never change: what was hashed cannot be hashed anew. */
export const macPurposes = ['api-key', 'refresh-token', 'fingerprint', 'audit'] as const
type MacPurpose = (typeof macPurposes)[number]

/** Keys of 32 bytes each; the first of a list is used, those after it only open or verify what they once made. */
export interface DataKeys {
  readonly seal: readonly Uint8Array[]
  /** Seeds of Ed25519 keys. */
  readonly signing: readonly Uint8Array[]
  readonly mac: Readonly<Record<MacPurpose, Uint8Array>>
}

/** The keys that a store starts with: one for each purpose (HKDF-SHA-256, RFC 5869). */
export function derivedKeys(master: Uint8Array): DataKeys {
  const mac = Object.fromEntries(macPurposes.map((purpose) => [purpose, deriveKey(master, purpose)]))
  return {
    seal: [deriveKey(master, 'seal')],
    signing: [deriveKey(master, 'token-signing')],
    mac: mac as Record<MacPurpose, Uint8Array>,
  }
}

/** 32 bytes for one purpose. `master` comes from `parseMasterSecret`. */
export function deriveKey(master: Uint8Array, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', master, 'tollbridge', `v1 ${purpose}`, 32))
}

interface Signer {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  readonly jwk: SigningJwk
}

export class Keyring {
  #seals: readonly Seal[] = []
  #signers: readonly Signer[] = []
  readonly #mac: DataKeys['mac']

  constructor(keys: DataKeys) {
    this.#mac = keys.mac
    this.adopt(keys)
  }

  /** Seals and signs with other keys from now on. */
  adopt({ seal, signing }: Pick<DataKeys, 'seal' | 'signing'>): void {
    this.#seals = seal.map((key) => new Seal(key))
    this.#signers = signing.map(toSigner)
  }

  /** Id of the key that seals now; it stands in each sealed text. */
  get sealKeyId(): string {
    return first(this.#seals).keyId
  }

  get signingKey(): KeyObject {
    return first(this.#signers).privateKey
  }

  /** Of the key that signs now. */
  get publicJwk(): SigningJwk {
    return first(this.#signers).jwk
  }

  /** Of all keys whose tokens are taken. */
  get publicJwks(): SigningJwk[] {
    return this.#signers.map(({ jwk }) => jwk)
  }

  /** The public key of a token's `kid`. */
  findVerifyingKey(kid: string | undefined): KeyObject | undefined {
    return this.#signers.find(({ jwk }) => jwk.kid === kid)?.publicKey
  }

  /** Encrypts a secret for storage; see `Seal.seal`. */
  seal(plaintext: string, context: string): string {
    return first(this.#seals).seal(plaintext, context)
  }

  /** Decrypts what `seal` made for the same context; see `Seal.open`. */
  open(sealed: string, context: string): string {
    const keyId = sealKeyId(sealed)
    const seal = this.#seals.find((each) => each.keyId === keyId) ?? first(this.#seals)
    return seal.open(sealed, context)
  }

  /** What is stored of an API key: 32 bytes that are of no use without this keyring. */
  apiKeyMac(key: string): Buffer {
    return this.#hmac('api-key', key)
  }

  /** What is stored of a request under an idempotency key: bodies hold passwords, so a plain hash could be guessed. */
  fingerprintMac(text: string): Buffer {
    return this.#hmac('fingerprint', text)
  }

  /** Signs a mark of the audit log's chain: who can only write to the store cannot make it. */
  auditMac(text: string): Buffer {
    return this.#hmac('audit', text)
  }

  /** What is stored of a refresh token. */
  refreshTokenMac(token: string): Buffer {
    return this.#hmac('refresh-token', token)
  }

  #hmac(purpose: MacPurpose, text: string): Buffer {
    return createHmac('sha256', this.#mac[purpose]).update(text).digest()
  }
}

function first<Key>(keys: readonly Key[]): Key {
  const [key] = keys
  if (key === undefined) throw new GatewayError('internal', { cause: new Error('a keyring has no key') })
  return key
}

function toSigner(seed: Uint8Array): Signer {
  const der = Buffer.concat([ed25519Prefix, seed])
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  const publicKey = createPublicKey(privateKey)
  const x = publicKey.export({ format: 'jwk' }).x ?? ''
  const kid = hash('sha256', `{"crv":"Ed25519","kty":"OKP","x":"${x}"}`, 'base64url')
  return { privateKey, publicKey, jwk: { kty: 'OKP', crv: 'Ed25519', x, kid, alg: 'EdDSA', use: 'sig' } }
}
