// A short-lived signed note for servers that want to know who calls: never the client's own token.
import { sign, type KeyObject } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { newId } from '../base/id.ts'
import type { IdentityNote } from '../registry/server.ts'
import type { UpstreamCaller } from './caller.ts'

export interface IdentitySignerOptions {
  /** The key that signs now (Ed25519), and its id as published at `/.well-known/jwks.json`. */
  readonly key: () => { readonly privateKey: KeyObject; readonly kid: string }
  readonly issuer: () => string
  readonly clock: Clock
}

const identityLifeS = 60
/** One is used as long as this much of its life is left. */
const leastLeftMs = 30_000

/** The subject of what the gateway asks for itself. */
const gatewaySubject = 'gateway'

/**
 * Makes the JWTs (RFC 7519) of one server for one caller: `iss` our public URL, `aud` the server, `sub` the user's id, and
 * no more claims than the registration names. Another `typ` than that of access tokens keeps them apart (RFC 8725, 3.11).
 */
export class IdentityHeader {
  readonly #options: IdentitySignerOptions
  readonly #note: IdentityNote
  readonly #audience: string
  readonly #caller: UpstreamCaller | undefined
  #made: { readonly text: string; readonly kid: string; readonly untilMs: number } | undefined

  constructor(
    options: IdentitySignerOptions,
    given: {
      readonly note: IdentityNote
      readonly serverUrl: string
      readonly caller: UpstreamCaller | undefined
    },
  ) {
    this.#options = options
    this.#note = given.note
    this.#audience = given.note.audience ?? given.serverUrl
    this.#caller = given.caller
  }

  get name(): string {
    return this.#note.header
  }

  /** The value to send now. Signs about twice a minute. */
  get value(): string {
    const { clock, key } = this.#options
    const nowMs = clock.now()
    const { kid } = key()
    if (this.#made?.kid === kid && nowMs < this.#made.untilMs) return this.#made.text
    const text = signIdentity(this.#options, {
      caller: this.#caller,
      audience: this.#audience,
      claims: this.#note.claims,
    })
    this.#made = { text, kid, untilMs: nowMs + identityLifeS * 1000 - leastLeftMs }
    return text
  }
}

/** The note itself; without a caller it is the gateway's own. */
export function signIdentity(
  { key, issuer, clock }: IdentitySignerOptions,
  of: {
    readonly caller: UpstreamCaller | undefined
    readonly audience: string
    readonly claims: IdentityNote['claims']
  },
): string {
  const { privateKey, kid } = key()
  const nowS = Math.floor(clock.now() / 1000)
  const head = { alg: 'EdDSA', typ: 'tollbridge-identity+jwt', kid }
  const body = {
    iss: issuer(),
    aud: of.audience,
    sub: of.caller?.userId ?? gatewaySubject,
    iat: nowS,
    exp: nowS + identityLifeS,
    jti: newId('idn', nowS * 1000),
    ...claimsOf(of.caller, of.claims),
  }
  const signed = `${encode(head)}.${encode(body)}`
  return `${signed}.${sign(null, Buffer.from(signed), privateKey).toString('base64url')}`
}

function claimsOf(
  caller: UpstreamCaller | undefined,
  claims: IdentityNote['claims'],
): Record<string, unknown> {
  if (!caller) return {}
  const { username, accountId: account, roles, groups = [] } = caller
  const all = { username, account, roles, groups }
  return Object.fromEntries(claims.map((name) => [name, all[name]]))
}

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
