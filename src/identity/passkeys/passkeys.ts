// Passkeys: a key pair on the user's device in place of a password (WebAuthn Level 3).
import {
  generateAuthenticationOptions,
  generateRegistrationOptions,
  verifyAuthenticationResponse,
  verifyRegistrationResponse,
  type AuthenticationResponseJSON,
  type PublicKeyCredentialCreationOptionsJSON,
  type PublicKeyCredentialRequestOptionsJSON,
  type RegistrationResponseJSON,
} from '@simplewebauthn/server'
import { z } from 'zod'
import type { Clock } from '../../base/clock.ts'
import { GatewayError } from '../../base/errors.ts'
import { newId, randomToken } from '../../base/id.ts'
import type { User } from '../user-store.ts'
import type { Users } from '../users.ts'
import type { Passkey, PasskeyStore } from './store.ts'

export interface PasskeysOptions {
  readonly store: PasskeyStore
  readonly users: Pick<Users, 'get'>
  readonly sealer: {
    seal(plaintext: string, context: string): string
    open(sealed: string, context: string): string
  }
  readonly clock: Clock
  readonly publicUrl: () => string
}

/** What a browser is asked, and the state that has to come back with its answer. */
export interface PasskeyQuestion<Asked> {
  readonly options: Asked
  readonly state: string
}

const stateShape = z.strictObject({
  kind: z.enum(['register', 'login']),
  challenge: z.string(),
  userId: z.string().optional(),
  endsAtMs: z.number(),
})

const context = 'passkey'
const questionMs = 5 * 60_000
const maxUsed = 10_000
const maxPerUser = 20

/** Each question is answered once, within five minutes, on a page of ours, by somebody whom the device has verified. */
export class Passkeys {
  readonly #options: PasskeysOptions
  readonly #used = new Map<string, number>()

  constructor(options: PasskeysOptions) {
    this.#options = options
  }

  /** Rejects with `unprocessable` where this installation has no name that passkeys could be for. */
  async askToRegister(
    user: Pick<User, 'id' | 'username'>,
  ): Promise<PasskeyQuestion<PublicKeyCredentialCreationOptionsJSON>> {
    const known = await this.#options.store.listOf(user.id)
    if (known.length >= maxPerUser)
      throw new GatewayError('unprocessable', {
        detail: `A user may have ${maxPerUser} passkeys; remove one.`,
      })
    const challenge = randomToken(32)
    const options = await generateRegistrationOptions({
      rpName: 'Tollbridge',
      rpID: this.#rpId,
      userName: user.username,
      userID: new Uint8Array(Buffer.from(user.id)),
      challenge: new Uint8Array(Buffer.from(challenge, 'base64url')),
      timeout: questionMs,
      excludeCredentials: known.map(({ credential, transports }) => ({
        id: credential,
        transports: [...transports],
      })),
      authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
    })
    return { options, state: this.#seal({ kind: 'register', challenge, userId: user.id }) }
  }

  /** Keeps the key that the browser made. Rejects with `validation_failed` where the answer is not one to that question. */
  async register(
    user: Pick<User, 'id'>,
    given: { state: string; response: unknown; name: string },
  ): Promise<Passkey> {
    const { store, clock } = this.#options
    const { challenge, userId } = this.#open(given.state, 'register')
    if (userId !== user.id) throw notAnswer()
    this.#use(challenge)
    const { verified, registrationInfo } = await verifyRegistrationResponse({
      response: given.response as RegistrationResponseJSON,
      expectedChallenge: challenge,
      expectedOrigin: this.#origin,
      expectedRPID: this.#rpId,
      requireUserVerification: true,
    }).catch((cause: unknown) => {
      throw notAnswer(cause)
    })
    if (!verified) throw notAnswer()
    const { id: credential, publicKey, counter, transports = [] } = registrationInfo.credential
    const nowMs = clock.now()
    const passkey: Passkey = {
      id: newId('psk', nowMs),
      userId: user.id,
      credential,
      publicKey: Buffer.from(publicKey).toString('base64url'),
      counter,
      transports,
      name: given.name,
      createdAtMs: nowMs,
    }
    await store.insert(passkey)
    return passkey
  }

  /** Asks whoever it is: the device knows which user its passkey is for. */
  async askToLogIn(): Promise<PasskeyQuestion<PublicKeyCredentialRequestOptionsJSON>> {
    const challenge = randomToken(32)
    const options = await generateAuthenticationOptions({
      rpID: this.#rpId,
      challenge: new Uint8Array(Buffer.from(challenge, 'base64url')),
      timeout: questionMs,
      userVerification: 'required',
    })
    return { options, state: this.#seal({ kind: 'login', challenge }) }
  }

  /** Who has answered. One answer for every fault: `unauthorized`. */
  async logIn(given: { state: string; response: unknown }): Promise<User> {
    const { store, users, clock } = this.#options
    const { challenge } = this.#open(given.state, 'login')
    this.#use(challenge)
    const response = given.response as AuthenticationResponseJSON
    const passkey = typeof response.id === 'string' ? await store.findByCredential(response.id) : undefined
    if (!passkey) throw notLoggedIn()
    const { verified, authenticationInfo } = await verifyAuthenticationResponse({
      response,
      expectedChallenge: challenge,
      expectedOrigin: this.#origin,
      expectedRPID: this.#rpId,
      requireUserVerification: true,
      credential: {
        id: passkey.credential,
        publicKey: new Uint8Array(Buffer.from(passkey.publicKey, 'base64url')),
        counter: passkey.counter,
      },
    }).catch((cause: unknown) => {
      throw notLoggedIn(cause)
    })
    if (!verified || !isHandleOf(response, passkey.userId)) throw notLoggedIn()
    const counts = { before: passkey.counter, after: authenticationInfo.newCounter, atMs: clock.now() }
    if (!(await store.use(passkey.id, counts))) throw notLoggedIn()
    const user = await users.get(passkey.userId).catch((cause: unknown) => {
      throw notLoggedIn(cause)
    })
    if (user.disabled) throw notLoggedIn()
    return user
  }

  list(userId: string): Promise<Passkey[]> {
    return this.#options.store.listOf(userId)
  }

  /** Rejects with `not_found`. */
  async remove(id: string, userId: string): Promise<void> {
    if (!(await this.#options.store.remove(id, userId))) throw new GatewayError('not_found')
  }

  get #origin(): string {
    return new URL(this.#options.publicUrl()).origin
  }

  /** Passkeys are for a name, not for an address. */
  get #rpId(): string {
    const { hostname } = new URL(this.#options.publicUrl())
    if (/^(\d{1,3}(\.\d{1,3}){3}|\[.*\])$/.test(hostname))
      throw new GatewayError('unprocessable', {
        detail: `Passkeys are for a host name, and this gateway is at ${hostname}; set --public-url, for example to http://localhost:8080.`,
      })
    return hostname
  }

  #seal(state: Omit<z.output<typeof stateShape>, 'endsAtMs'>): string {
    const { sealer, clock } = this.#options
    return sealer.seal(JSON.stringify({ ...state, endsAtMs: clock.now() + questionMs }), context)
  }

  #open(text: string, kind: 'register' | 'login'): z.output<typeof stateShape> {
    const fault = kind === 'register' ? notAnswer() : notLoggedIn()
    let state: z.output<typeof stateShape>
    try {
      state = stateShape.parse(JSON.parse(this.#options.sealer.open(text, context)))
    } catch {
      throw fault
    }
    const isLate = this.#options.clock.now() >= state.endsAtMs
    if (state.kind !== kind || isLate || this.#used.has(state.challenge)) throw fault
    return state
  }

  #use(challenge: string): void {
    const nowMs = this.#options.clock.now()
    for (const [old, untilMs] of this.#used)
      if (untilMs <= nowMs || this.#used.size > maxUsed) this.#used.delete(old)
    this.#used.set(challenge, nowMs + questionMs)
  }
}

/** A device that names a user names the one whose key it used. */
function isHandleOf({ response }: AuthenticationResponseJSON, userId: string): boolean {
  const { userHandle } = response
  return userHandle === undefined || Buffer.from(userHandle, 'base64url').toString() === userId
}

const notAnswer = (cause?: unknown): GatewayError =>
  new GatewayError('validation_failed', {
    cause,
    fields: [{ field: '/response', message: 'is no answer to the question, or it is too old; ask again' }],
  })

const notLoggedIn = (cause?: unknown): GatewayError =>
  new GatewayError('unauthorized', {
    detail: 'This passkey is not known here, or the answer is too old.',
    cause,
  })
