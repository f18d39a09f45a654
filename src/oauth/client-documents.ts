// Clients whose id is the URL of their metadata: fetched, checked, and remembered for a while.
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { isObject } from '../base/is-object.ts'
import { readMetadata, type Client } from './client.ts'
import { OauthError } from './oauth-error.ts'

/** What came from a URL: JSON, and for how long it may be kept. */
export interface FetchedJson {
  readonly value: unknown
  readonly maxAgeS?: number | undefined
}

export interface ClientDocumentsOptions {
  /** Fetches JSON through the filter for outgoing connections; rejects where there is none to be had. */
  readonly fetchJson: (url: string) => Promise<FetchedJson>
  readonly clock: Clock
  /** Default 1000. */
  readonly maxCached?: number
  /** Default 16. */
  readonly maxFetching?: number
}

interface Entry {
  readonly found: Client | OauthError
  readonly endsAtMs: number
}

const minuteMs = 60_000
const leastMs = minuteMs
const mostMs = 24 * 60 * minuteMs
const usualMs = 60 * minuteMs

/** OAuth Client ID Metadata Document (draft-ietf-oauth-client-id-metadata-document), as MCP 2025-11-25 takes it up. */
export class ClientDocuments {
  readonly #options: ClientDocumentsOptions
  readonly #cached = new Map<string, Entry>()
  readonly #fetching = new Map<string, Promise<Client | OauthError>>()

  constructor(options: ClientDocumentsOptions) {
    this.#options = options
  }

  /** Whether `find` would have to ask for it. */
  isKnown(url: string): boolean {
    const entry = this.#cached.get(url)
    return entry !== undefined && this.#options.clock.monotonicMs() < entry.endsAtMs
  }

  /** The client; rejects with OauthError `invalid_client` where its document cannot be had or is not usable. */
  async find(url: string): Promise<Client> {
    const found = this.isKnown(url) ? this.#cached.get(url)?.found : await this.#share(url)
    if (!found || found instanceof OauthError) throw found ?? unusable('it is gone')
    return found
  }

  #share(url: string): Promise<Client | OauthError> {
    const shared = this.#fetching.get(url)
    if (shared) return shared
    if (this.#fetching.size >= (this.#options.maxFetching ?? 16))
      throw new GatewayError('overloaded', { retryAfterS: 1 })
    const fetching = this.#fetch(url).finally(() => this.#fetching.delete(url))
    this.#fetching.set(url, fetching)
    return fetching
  }

  async #fetch(url: string): Promise<Client | OauthError> {
    const { fetchJson, clock, maxCached = 1000 } = this.#options
    let entry: Entry
    try {
      const { value, maxAgeS } = await fetchJson(url)
      const keptMs = maxAgeS === undefined ? usualMs : Math.min(mostMs, Math.max(leastMs, maxAgeS * 1000))
      entry = { found: readDocument(url, value), endsAtMs: clock.monotonicMs() + keptMs }
    } catch (error) {
      const found = error instanceof OauthError ? error : unusable('it cannot be fetched')
      entry = { found, endsAtMs: clock.monotonicMs() + leastMs }
    }
    this.#cached.delete(url)
    const [oldest] = this.#cached.keys()
    if (oldest !== undefined && this.#cached.size >= maxCached) this.#cached.delete(oldest)
    this.#cached.set(url, entry)
    return entry.found
  }
}

/** Whether a client id is a URL that may name a document: https, with a path, and written in the one plain way. */
export function isClientUrl(id: string): boolean {
  if (id.length > 500 || !/^https:\/\/[^/?#@\\\s]+\/[^?#\\\s]+$/.test(id) || !URL.canParse(id)) return false
  return new URL(id).href === id
}

function readDocument(url: string, value: unknown): Client {
  if (!isObject(value) || value['client_id'] !== url) throw unusable('its client_id is not its own URL')
  if ('client_secret' in value) throw unusable('it holds a secret')
  try {
    const metadata = readMetadata(value, 'none')
    if (metadata.authMethod !== 'none' && metadata.authMethod !== 'private_key_jwt')
      throw unusable('token_endpoint_auth_method must be none or private_key_jwt')
    return { ...metadata, id: url, host: new URL(url).host }
  } catch (error) {
    throw error instanceof OauthError ? unusable(error.message) : error
  }
}

const unusable = (why: string): OauthError =>
  new OauthError('invalid_client', `The metadata document of the client cannot be used: ${why}`)
