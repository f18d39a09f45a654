// An authenticator in software: makes passkeys and signs with them as a browser and a device together would (WebAuthn Level 3).
import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'

const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url')
const sha256 = (bytes: Uint8Array | string): Buffer => createHash('sha256').update(bytes).digest()

/** The little of CBOR that an attestation needs: small integers, bytes, texts and maps. */
function cbor(value: number | Uint8Array | string | Map<number | string, unknown>): Buffer {
  const head = (major: number, n: number): Buffer =>
    n < 24
      ? Buffer.of((major << 5) | n)
      : n < 256
        ? Buffer.of((major << 5) | 24, n)
        : Buffer.of((major << 5) | 25, n >> 8, n & 255)
  if (typeof value === 'number') return value < 0 ? head(1, -1 - value) : head(0, value)
  if (typeof value === 'string') return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)])
  if (value instanceof Map)
    return Buffer.concat([
      head(5, value.size),
      ...[...value].flatMap(([key, member]) => [cbor(key), cbor(member as Parameters<typeof cbor>[0])]),
    ])
  return Buffer.concat([head(2, value.length), value])
}

interface Options {
  /** The page that asks; by default the gateway's own. */
  readonly origin: string
  readonly rpId: string
  /** Whether the device has verified who holds it. */
  readonly isVerified?: boolean
}

export class Authenticator {
  readonly credential = randomBytes(16)
  readonly #key: KeyObject
  readonly #publicKey: Map<number | string, unknown>
  counter = 0
  userHandle = ''

  constructor() {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const { x = '', y = '' } = publicKey.export({ format: 'jwk' })
    this.#key = privateKey
    this.#publicKey = new Map<number, unknown>([
      [1, 2],
      [3, -7],
      [-1, 1],
      [-2, Buffer.from(x, 'base64url')],
      [-3, Buffer.from(y, 'base64url')],
    ])
  }

  /** The answer to `PublicKeyCredentialCreationOptionsJSON`. */
  create(asked: { challenge: string; user: { id: string } }, options: Options): object {
    this.userHandle = asked.user.id
    const attested = Buffer.concat([
      Buffer.alloc(16),
      Buffer.of(0, this.credential.length),
      this.credential,
      cbor(this.#publicKey),
    ])
    const data = Buffer.concat([this.#data(options, 0x40), attested])
    const attestation = new Map<string, unknown>([
      ['fmt', 'none'],
      ['attStmt', new Map()],
      ['authData', data],
    ])
    const clientData = this.#clientData('webauthn.create', asked.challenge, options)
    return this.#answer({
      clientDataJSON: base64url(clientData),
      attestationObject: base64url(cbor(attestation)),
      transports: ['internal'],
    })
  }

  /** The answer to `PublicKeyCredentialRequestOptionsJSON`. */
  get(asked: { challenge: string }, options: Options): object {
    this.counter++
    const data = this.#data(options, 0)
    const clientData = this.#clientData('webauthn.get', asked.challenge, options)
    const signature = sign('sha256', Buffer.concat([data, sha256(clientData)]), this.#key)
    return this.#answer({
      clientDataJSON: base64url(clientData),
      authenticatorData: base64url(data),
      signature: base64url(signature),
      userHandle: this.userHandle,
    })
  }

  #answer(response: object): object {
    const id = base64url(this.credential)
    return { id, rawId: id, type: 'public-key', clientExtensionResults: {}, response }
  }

  #data({ rpId, isVerified = true }: Options, more: number): Buffer {
    const count = Buffer.alloc(4)
    count.writeUInt32BE(this.counter)
    return Buffer.concat([sha256(rpId), Buffer.of(0x01 | (isVerified ? 0x04 : 0) | more), count])
  }

  #clientData(type: string, challenge: string, { origin }: Options): Buffer {
    return Buffer.from(JSON.stringify({ type, challenge, origin, crossOrigin: false }))
  }
}
