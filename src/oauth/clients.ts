// Which clients there are: those that registered themselves, and those that are known by their metadata's URL.
import { timingSafeEqual } from 'node:crypto'
import type { JWK } from 'jose'
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { newId, randomToken } from '../base/id.ts'
import type { Keyring } from '../base/keyring.ts'
import { Attempts } from './attempts.ts'
import { isClientUrl, type ClientDocuments } from './client-documents.ts'
import type { ClientStore, OwnedClient } from './client-store.ts'
import type { ClientAssertions } from './client-assertion.ts'
import { jwtBearer, readMetadata, type AuthMethod, type Client } from './client.ts'
import { OauthError } from './oauth-error.ts'

export interface ClientsOptions {
  readonly store: ClientStore
  readonly documents: ClientDocuments
  readonly keyring: Keyring
  readonly clock: Clock
  /** Whether clients may register themselves (RFC 7591). */
  readonly registration: boolean
  /** Whether a client id may be the URL of a metadata document. */
  readonly metadataDocuments: boolean
  /** Registered clients at once. */
  readonly maxClients: number
  /** Registrations from one address; default 20. */
  readonly registrationsPerHour?: number
  /** Verifies what clients sign to prove themselves. */
  readonly assertions: ClientAssertions
  /** Clients that one user may have. Default 100. */
  readonly maxOwned?: number
}

/** A new client, with its secret where it asked for one; that is shown this once. */
export interface Registered {
  readonly client: Client
  readonly secret?: string
  readonly issuedAtMs: number
}

/** What a client authenticates with at the token endpoint (RFC 6749, section 2.3.1). */
export interface ClientProof {
  readonly clientId: string
  readonly secret: string | undefined
  readonly method: AuthMethod
  /** What it signed, where that is how it authenticates. */
  readonly assertion?: string
}

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const fetchesPerMinute = 20
const clientText = /^ocl_[0-9a-hjkmnp-tv-z]{26}$/

export class Clients {
  readonly #options: ClientsOptions
  readonly #registrations: Attempts
  readonly #fetches: Attempts

  constructor(options: ClientsOptions) {
    this.#options = options
    const { registrationsPerHour: max = 20 } = options
    this.#registrations = new Attempts(options.clock, { max, windowMs: hourMs })
    this.#fetches = new Attempts(options.clock, { max: fetchesPerMinute, windowMs: 60_000 })
  }

  /**
   * Registers a client (RFC 7591). `slow_down` where one address makes too many in an hour, or where there are too many; those
   * that nobody used within a day make room.
   */
  async register(json: unknown, from: { ip: string }): Promise<Registered> {
    const { store, keyring, clock, registration, maxClients } = this.#options
    if (!registration)
      throw new OauthError(
        'invalid_client_metadata',
        'Clients cannot register themselves here; ask its operator.',
      )
    const waitS = this.#registrations.count(from.ip)
    if (waitS !== undefined)
      throw new OauthError('slow_down', 'Too many clients were registered from here; try again later.', {
        retryAfterS: waitS,
      })
    const metadata = readMetadata(json, 'client_secret_basic')
    if ((await store.count()) >= maxClients) await this.purge()
    if ((await store.count()) >= maxClients)
      throw new OauthError('slow_down', 'There are too many clients; try again later.', { retryAfterS: 3600 })
    const issuedAtMs = clock.now()
    const secret = hasSecret(metadata.authMethod) ? `ocs_${randomToken(32)}` : undefined
    const client: Client = {
      ...metadata,
      id: newId('ocl', issuedAtMs),
      ...(secret !== undefined && { secretMac: keyring.refreshTokenMac(secret) }),
    }
    await store.insert(client, issuedAtMs)
    return { client, issuedAtMs, ...(secret !== undefined && { secret }) }
  }

  /** A client by its id. Rejects with `invalid_client` where there is none, `slow_down` where too much is fetched. */
  async get(id: string, from: { ip: string }): Promise<Client> {
    const { store, documents, metadataDocuments } = this.#options
    if (isClientUrl(id) && metadataDocuments) {
      // Whoever makes us fetch names the address: that is limited.
      const waitS = documents.isKnown(id) ? undefined : this.#fetches.count(from.ip)
      if (waitS !== undefined)
        throw new OauthError('slow_down', 'Too many unknown clients; try again later.', {
          retryAfterS: waitS,
        })
      return documents.find(id)
    }
    const client = clientText.test(id) ? await store.find(id) : undefined
    if (!client) throw new OauthError('invalid_client', 'There is no such client; register it anew.')
    return client
  }

  /** The client that asks the token endpoint, once it has shown who it is. */
  async authenticate(proof: ClientProof, from: { ip: string }): Promise<Client> {
    const { store, clock } = this.#options
    const client = await this.get(proof.clientId, from)
    const proven = isRightWay(client, proof) && (await this.#isProven(client, proof))
    if (!proven)
      throw new OauthError('invalid_client', 'The client did not authenticate in the way that it registered.')
    if (client.host === undefined) await store.noteUse(client.id, clock.now())
    return client
  }

  /** Makes a client that acts for a user by itself; with public keys it has no secret. */
  async createOwned(
    ownerId: string,
    { name, keys }: { name: string; keys?: readonly JWK[] | undefined },
  ): Promise<Registered> {
    const { store, keyring, clock, maxOwned = 100 } = this.#options
    if ((await store.listOwned({ limit: maxOwned, ownerId })).length >= maxOwned)
      throw new GatewayError('unprocessable', { detail: `You have ${maxOwned} clients; delete one first.` })
    const issuedAtMs = clock.now()
    const base = { id: newId('ocl', issuedAtMs), name, ownerId, redirectUris: [] }
    const grants = { grantTypes: ['client_credentials', jwtBearer] as const }
    if (keys) {
      const client: Client = { ...base, ...grants, authMethod: 'private_key_jwt', keys }
      await store.insert(client, issuedAtMs)
      return { client, issuedAtMs }
    }
    const secret = `ocs_${randomToken(32)}`
    const secretMac = keyring.refreshTokenMac(secret)
    const client: Client = { ...base, ...grants, authMethod: 'client_secret_basic', secretMac }
    await store.insert(client, issuedAtMs)
    return { client, secret, issuedAtMs }
  }

  /** Clients of users by id: at most `limit` of those after `afterId`, of one user or of all. */
  listOwned(page: {
    limit: number
    afterId?: string | undefined
    ownerId?: string | undefined
  }): Promise<OwnedClient[]> {
    return this.#options.store.listOwned(page)
  }

  /** Whether a registered client is still there. */
  async isThere(id: string): Promise<boolean> {
    return (await this.#options.store.find(id)) !== undefined
  }

  /** Removes a user's client; `not_found` where there is none, or it is not this user's. */
  async deleteOwned(id: string, ownerId: string | undefined): Promise<void> {
    if (!(await this.#options.store.deleteOwned(id, ownerId))) throw new GatewayError('not_found')
  }

  async #isProven({ id, authMethod, keys = [], secretMac }: Client, proof: ClientProof): Promise<boolean> {
    if (authMethod === 'private_key_jwt')
      return this.#options.assertions.verify(proof.assertion ?? '', { id, keys })
    if (authMethod === 'none') return proof.secret === undefined
    const mac = this.#options.keyring.refreshTokenMac(proof.secret ?? '')
    return secretMac !== undefined && timingSafeEqual(mac, secretMac)
  }

  /** Deletes clients that were not used within a day, or for 90 days, and that no grant names. */
  purge(): Promise<void> {
    const nowMs = this.#options.clock.now()
    return this.#options.store.purge({ unusedBeforeMs: nowMs - dayMs, idleBeforeMs: nowMs - 90 * dayMs })
  }
}

const hasSecret = (method: AuthMethod): boolean =>
  method === 'client_secret_basic' || method === 'client_secret_post'

/** A client of a user may send its secret in either way; one that registered itself said in which. */
const isRightWay = ({ authMethod, ownerId }: Client, { method }: ClientProof): boolean =>
  authMethod === method || (ownerId !== undefined && hasSecret(authMethod) && hasSecret(method))
