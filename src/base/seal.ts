// Sealed text: secrets at rest, encrypted and bound to the place where they belong.
import { createCipheriv, createDecipheriv, hash, randomBytes } from 'node:crypto'
import { GatewayError } from './errors.ts'

const version = 'v1'
const nonceBytes = 12
const tagBytes = 16

/**
 * AES-256-GCM with a random 96-bit nonce (NIST SP 800-38D, 8.2.2). A sealed text is
 * `v1.<key id>.<nonce>.<ciphertext and tag>`, the last two in base64url; the key id is no secret and tells which
 * key a text was sealed with.
 */
export class Seal {
  readonly #key: Uint8Array
  readonly keyId: string

  /** `key` has 32 bytes. */
  constructor(key: Uint8Array) {
    this.#key = key
    this.keyId = hash('sha256', Buffer.concat([Buffer.from('seal-key-id:'), key]), 'hex').slice(0, 12)
  }

  /** Encrypts. `context` names where the text belongs (`server:srv_…`); it opens nowhere else. */
  seal(plaintext: string, context: string): string {
    const nonce = randomBytes(nonceBytes)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce, { authTagLength: tagBytes })
    cipher.setAAD(this.#bound(context))
    const sealed = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final(), cipher.getAuthTag()])
    return [version, this.keyId, nonce.toString('base64url'), sealed.toString('base64url')].join('.')
  }

  /** Decrypts; throws `internal` where the text was changed, belongs elsewhere or was sealed with another key. */
  open(sealed: string, context: string): string {
    const [format, keyId, nonceText = '', bodyText = '', ...rest] = sealed.split('.')
    const nonce = Buffer.from(nonceText, 'base64url')
    const body = Buffer.from(bodyText, 'base64url')
    if (format !== version || nonce.length !== nonceBytes || body.length < tagBytes || rest.length > 0)
      throw unopened('the sealed text has no known format')
    if (keyId !== this.keyId) throw unopened(`the text was sealed with key ${keyId}, ours is ${this.keyId}`)
    const decipher = createDecipheriv('aes-256-gcm', this.#key, nonce, { authTagLength: tagBytes })
    decipher.setAAD(this.#bound(context))
    decipher.setAuthTag(body.subarray(-tagBytes))
    try {
      return Buffer.concat([decipher.update(body.subarray(0, -tagBytes)), decipher.final()]).toString('utf8')
    } catch {
      throw unopened(`the sealed text was changed, or does not belong to ${context}`)
    }
  }

  #bound(context: string): Buffer {
    return Buffer.from(`${version}.${this.keyId}.${context}`)
  }
}

/** The id of the key that a text was sealed with; undefined where it is no sealed text. */
export const sealKeyId = (sealed: string): string | undefined =>
  sealed.startsWith(`${version}.`) ? sealed.split('.')[1] : undefined

/** How every text begins that a key has sealed. */
export const sealPrefix = (keyId: string): string => `${version}.${keyId}.`

const unopened = (why: string): GatewayError =>
  new GatewayError('internal', {
    detail:
      'A stored credential cannot be opened; check TOLLBRIDGE_SECRET_KEY, or enter the credential again.',
    cause: new Error(why),
  })
