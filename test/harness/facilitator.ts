// A facilitator of x402 payments over real HTTP: verifies and settles, never twice, and fails in every way it is told to.
import { createHmac, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** `late`: settles, and does not answer. */
export type Manner = 'well' | 'failing' | 'hanging' | 'refusing' | 'late'
type Path = '/verify' | '/settle'

export interface Requirements {
  readonly scheme: string
  readonly network: string
  readonly amount: string
  readonly asset: string
  readonly payTo: string
  readonly maxTimeoutSeconds: number
  readonly extra?: Record<string, unknown>
}

interface Permit {
  readonly permitted: { readonly token: string; readonly amount: string }
  readonly from: string
  readonly spender: string
  readonly nonce: string
  readonly deadline: string
  readonly witness: { readonly to: string; readonly facilitator?: string; readonly validAfter: string }
}

interface Transfer {
  readonly from: string
  readonly to: string
  readonly value: string
  readonly validAfter: string
  readonly validBefore: string
  readonly nonce: string
}

export interface Payment {
  readonly x402Version: number
  readonly resource: { readonly url: string }
  readonly accepted: Requirements
  readonly payload: {
    readonly signature: string
    readonly permit2Authorization?: Permit
    readonly authorization?: Transfer
  }
}

interface Asked {
  readonly x402Version: number
  readonly paymentPayload: Payment
  readonly paymentRequirements: Requirements
}

/** What moved, once for each payment. */
export interface Moved {
  readonly from: string
  readonly to: string
  readonly amount: bigint
  readonly transaction: string
}

export const facilitatorAddress = `0x${'fa'.repeat(20)}`
const spender = '0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002'

/** Stands for an elliptic curve: only the payer and the facilitator know the secret. */
const sign = (secret: string, authorization: object): string =>
  `0x${createHmac('sha512', secret).update(JSON.stringify(authorization)).digest('hex')}`

/** Someone with tokens, known to the facilitator. */
export class Payer {
  readonly address = `0x${randomBytes(20).toString('hex')}`
  readonly secret = randomBytes(16).toString('hex')
  balance: bigint

  constructor(balance = 10n ** 12n) {
    this.balance = balance
  }

  /** A payment by the first of these ways with this scheme, as a client signs it. */
  pay(
    required: { readonly accepts: readonly Requirements[]; readonly resource: { readonly url: string } },
    { scheme = 'upto', change = {} }: { scheme?: string; change?: Partial<Requirements> } = {},
  ): Payment {
    const found = required.accepts.find((each) => each.scheme === scheme)
    if (!found) throw new Error(`nothing to pay by ${scheme}`)
    const accepted = { ...found, ...change }
    const seconds = Math.floor(Date.now() / 1000)
    const until = String(seconds + accepted.maxTimeoutSeconds)
    const nonce = `0x${randomBytes(32).toString('hex')}`
    const common = { x402Version: 2, resource: required.resource, accepted }
    if (scheme === 'exact') {
      const authorization: Transfer = {
        from: this.address,
        to: accepted.payTo,
        value: accepted.amount,
        validAfter: String(seconds - 60),
        validBefore: until,
        nonce,
      }
      return { ...common, payload: { signature: sign(this.secret, authorization), authorization } }
    }
    const permit2Authorization: Permit = {
      permitted: { token: accepted.asset, amount: accepted.amount },
      from: this.address,
      spender,
      nonce,
      deadline: until,
      witness: {
        to: accepted.payTo,
        facilitator: String(accepted.extra?.['facilitatorAddress']),
        validAfter: String(seconds - 60),
      },
    }
    const signature = sign(this.secret, permit2Authorization)
    return { ...common, payload: { signature, permit2Authorization } }
  }
}

export class TestFacilitator {
  /** How it answers from now on. */
  readonly manners: Record<Path, Manner> = { '/verify': 'well', '/settle': 'well' }
  /** Whether it tells again what it has settled, where the same is asked for again. */
  isIdempotent = true
  /** Done while the next payment is being verified. */
  meanwhile: (() => Promise<unknown>) | undefined
  readonly moved: Moved[] = []
  readonly asked: {
    readonly path: string
    readonly authorization: string | undefined
    readonly body: Asked
  }[] = []
  readonly #network: string
  readonly #payers = new Map<string, Payer>()
  readonly #used = new Map<string, Moved>()
  #server = createServer()
  #port = 0

  constructor(network: string) {
    this.#network = network
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  newPayer(balance?: bigint): Payer {
    const payer = new Payer(balance)
    this.#payers.set(payer.address, payer)
    return payer
  }

  timesAsked(path: Path): number {
    return this.asked.filter((each) => each.path === path).length
  }

  /** Listens, if it does not; after `die` on the same port again. */
  async live(): Promise<this> {
    if (this.#server.listening) return this
    this.#server = createServer((request, response) => void this.#serve(request, response))
    await new Promise<void>((done) => this.#server.listen(this.#port, '127.0.0.1', done))
    this.#port = (this.#server.address() as AddressInfo).port
    return this
  }

  /** Closes the port and every connection. */
  async die(): Promise<void> {
    if (!this.#server.listening) return
    const closed = new Promise((done) => this.#server.close(done))
    this.#server.closeAllConnections()
    await closed
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const say = (status: number, body: object) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    const path = request.url ?? ''
    if (path === '/supported') {
      const extra = { facilitatorAddress }
      const kinds = ['exact', 'upto'].map((scheme) => ({
        x402Version: 2,
        scheme,
        network: this.#network,
        extra,
      }))
      return void say(200, { kinds, extensions: [], signers: {} })
    }
    if (path !== '/verify' && path !== '/settle') return void say(404, {})
    let text = ''
    for await (const chunk of request) text += String(chunk)
    const body = JSON.parse(text) as Asked
    this.asked.push({ path, authorization: request.headers.authorization, body })
    const meanwhile = this.meanwhile
    if (path === '/verify') this.meanwhile = undefined
    if (path === '/verify') await meanwhile?.()
    const manner = this.manners[path]
    if (manner === 'failing') return void say(500, { error: 'out of order' })
    if (manner === 'hanging') return
    const network = body.paymentRequirements.network
    if (manner === 'refusing' && path === '/verify')
      return void say(200, { isValid: false, invalidReason: 'insufficient_funds' })
    if (manner === 'refusing')
      return void say(200, { success: false, errorReason: 'insufficient_funds', transaction: '', network })
    if (path === '/verify') {
      const invalidReason = this.#problem(body, (signed, asked) => signed === asked)
      return void say(
        200,
        invalidReason === undefined ? { isValid: true } : { isValid: false, invalidReason },
      )
    }
    const answer = this.#settle(body)
    if (manner !== 'late') say(200, answer)
  }

  #settle(asked: Asked): object {
    const { scheme, network, payTo, amount: units } = asked.paymentRequirements
    const amount = BigInt(units)
    const { from, nonce } = signedOf(asked.paymentPayload)
    const known = this.#used.get(`${from} ${nonce}`)
    if (known && this.isIdempotent && known.amount === amount)
      return { success: true, transaction: known.transaction, network, payer: from }
    const errorReason = this.#problem(asked, (signed, wanted) =>
      scheme === 'upto' ? wanted <= signed : wanted === signed,
    )
    if (errorReason !== undefined) return { success: false, errorReason, transaction: '', network }
    const moved = { from, to: payTo, amount, transaction: `0x${randomBytes(32).toString('hex')}` }
    this.moved.push(moved)
    this.#used.set(`${from} ${nonce}`, moved)
    const payer = this.#payers.get(from)
    if (payer) payer.balance -= amount
    return { success: true, transaction: moved.transaction, network, payer: from }
  }

  /** Why this cannot be settled. `fits` compares what was signed with what is wanted. */
  #problem(
    { paymentPayload, paymentRequirements: wanted }: Asked,
    fits: (signed: bigint, wanted: bigint) => boolean,
  ): string | undefined {
    const { payload, accepted } = paymentPayload
    const { from, to, nonce, amount, until } = signedOf(paymentPayload)
    const payer = this.#payers.get(from)
    const signed = payload.permit2Authorization ?? payload.authorization ?? {}
    if (!payer || sign(payer.secret, signed) !== payload.signature) return 'invalid_signature'
    if (to !== wanted.payTo || accepted.network !== wanted.network || accepted.asset !== wanted.asset)
      return 'invalid_requirements'
    if (!fits(amount, BigInt(wanted.amount))) return 'invalid_amount'
    if (this.#used.has(`${from} ${nonce}`)) return 'nonce_already_used'
    if (until * 1000 < Date.now()) return 'expired'
    return payer.balance < BigInt(wanted.amount) ? 'insufficient_funds' : undefined
  }
}

function signedOf({ payload }: Payment) {
  const { permit2Authorization: permit, authorization } = payload
  if (permit)
    return {
      from: permit.from,
      to: permit.witness.to,
      nonce: permit.nonce,
      amount: BigInt(permit.permitted.amount),
      until: Number(permit.deadline),
    }
  if (!authorization) throw new Error('a payment is signed')
  const { from, to, nonce, value, validBefore } = authorization
  return { from, to, nonce, amount: BigInt(value), until: Number(validBefore) }
}
