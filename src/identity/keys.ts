// API keys: made, shown once, rotated, limited to servers, and recognised by a MAC.
import { timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { newId, randomToken } from '../base/id.ts'
import type { Keyring } from '../base/keyring.ts'
import type { Log } from '../base/log.ts'
import { keyPrefix, type ApiKey, type KeyStore, type StoredKey } from './key-store.ts'
import { callerOf } from './user-store.ts'
import type { Principal } from './principal.ts'
import type { Revocations } from './revocations.ts'

/** `POST /keys`; `expiresAt` is ISO 8601 with a zone, `servers` are names. */
export const keyInput = z.strictObject({
  name: z.string().trim().min(1).max(100),
  expiresAt: z.iso.datetime({ offset: true }).optional(),
  servers: z
    .array(z.string().regex(/^[a-z0-9-]{1,64}$/, 'must be the name of a server'))
    .min(1)
    .max(100)
    .optional(),
})
export type KeyInput = z.output<typeof keyInput>

/** `POST /keys/{id}/rotate`: how long the old secret works beside the new one; by default not at all. */
export const keyRotation = z.strictObject({ overlapSeconds: z.int().min(0).max(604_800).default(0) })

/** `tb_`, the 26 characters of the key's id, `_`, and a secret of 32 bytes. */
const keyText = /^tb_([0-9a-hjkmnp-tv-z]{26})_[A-Za-z0-9_-]{43}$/

/** A key together with its text, which is not stored and cannot be shown again. */
export interface ShownKey {
  readonly apiKey: ApiKey
  readonly key: string
}

/** Whose keys: a user's own, or all where `userId` is absent. */
export interface KeyScope {
  readonly userId?: string
}

export interface KeysOptions {
  readonly store: KeyStore
  readonly keyring: Keyring
  readonly revocations: Revocations
  readonly clock: Clock
  readonly log: Log
  /** Keys a user may have at once; default 200. */
  readonly maxPerUser?: number
}

export class Keys {
  readonly #options: KeysOptions
  #used = new Map<string, number>()
  #writing = false

  constructor(options: KeysOptions) {
    this.#options = options
  }

  async create(userId: string, input: KeyInput): Promise<ShownKey> {
    const { store, keyring, clock, maxPerUser = 200 } = this.#options
    const nowMs = clock.now()
    const expiresAtMs = input.expiresAt === undefined ? undefined : Date.parse(input.expiresAt)
    if (expiresAtMs !== undefined && expiresAtMs <= nowMs)
      throw new GatewayError('validation_failed', {
        fields: [{ field: '/expiresAt', message: 'must be in the future' }],
      })
    if ((await store.count(userId)) >= maxPerUser)
      throw new GatewayError('unprocessable', {
        detail: `A user may have ${maxPerUser} keys; delete one that is not used.`,
      })
    const id = newId('key', nowMs)
    const key = newKeyText(id)
    await store.insert({
      id,
      user_id: userId,
      name: input.name,
      mac: keyring.apiKeyMac(key),
      previous_mac: null,
      previous_until: null,
      servers: input.servers === undefined ? null : JSON.stringify(input.servers),
      created_at: nowMs,
      expires_at: expiresAtMs ?? null,
      last_used_at: null,
      suspended_by: null,
    })
    return { apiKey: await this.get(id, { userId }), key }
  }

  /** A key in scope; `not_found` for another's exactly as for none. */
  async get(id: string, scope: KeyScope): Promise<ApiKey> {
    return (await this.#getStored(id, scope)).key
  }

  /** Keys in scope, oldest first: at most `limit` of those after `afterId`. */
  list(page: { limit: number; afterId?: string | undefined }, scope: KeyScope): Promise<ApiKey[]> {
    return this.#options.store.list(page.limit, page.afterId ?? '', scope.userId)
  }

  /** Gives the key a new secret under the same id. The old one ends at once, or after `overlapSeconds`. */
  async rotate(id: string, rotation: z.output<typeof keyRotation>, scope: KeyScope): Promise<ShownKey> {
    const { store, keyring, clock, revocations } = this.#options
    const stored = await this.#getStored(id, scope)
    const key = newKeyText(id)
    const overlaps = rotation.overlapSeconds > 0
    await store.update(id, {
      mac: keyring.apiKeyMac(key),
      previous_mac: overlaps ? stored.mac : null,
      previous_until: overlaps ? clock.now() + rotation.overlapSeconds * 1000 : null,
    })
    // With an overlap too: what is cached does not know yet that the old secret ends.
    revocations.publish({ keyId: id })
    return { apiKey: await this.get(id, scope), key }
  }

  /**
   * Keeps a key from being used, or lets it be used again. What somebody else suspended, its owner cannot take back
   * (`forbidden`).
   */
  async suspend(id: string, isSuspended: boolean, by: KeyScope & { readonly byId: string }): Promise<ApiKey> {
    const { store, revocations } = this.#options
    const { key } = await this.#getStored(id, by)
    const isOwnDoing = key.suspendedBy === undefined || key.suspendedBy === by.byId
    if (by.userId !== undefined && !isOwnDoing)
      throw new GatewayError('forbidden', { detail: 'An administrator has suspended this key; ask them.' })
    await store.update(id, { suspended_by: isSuspended ? (key.suspendedBy ?? by.byId) : null })
    if (isSuspended) revocations.publish({ keyId: id })
    return this.get(id, by)
  }

  async delete(id: string, scope: KeyScope): Promise<void> {
    await this.#getStored(id, scope)
    await this.#options.store.delete(id)
    this.#options.revocations.publish({ keyId: id })
  }

  /** Who a key belongs to; undefined where it is wrong, has ended, or its user may not log in. Malformed: no query. */
  async verify(text: string): Promise<Principal | undefined> {
    const { store, keyring, clock } = this.#options
    const idPart = keyText.exec(text)?.[1]
    if (idPart === undefined) return undefined
    const given = keyring.apiKeyMac(text)
    const found = await store.findWithUser(`key_${idPart}`)
    // An unknown id costs the same comparison as a wrong secret.
    const endsAtMs = secretEnd(found?.stored ?? { mac: new Uint8Array(given.length) }, given)
    if (!found || endsAtMs === undefined || found.user.disabled) return undefined
    if (found.stored.key.suspendedBy !== undefined) return undefined
    const { key } = found.stored
    const expiresAtMs = Math.min(endsAtMs, key.expiresAtMs ?? Infinity)
    if (clock.now() >= expiresAtMs) return undefined
    return {
      ...callerOf(found.user),
      via: 'key',
      keyId: key.id,
      ...(key.servers === undefined ? {} : { servers: key.servers }),
      ...(expiresAtMs === Infinity ? {} : { expiresAtMs }),
    }
  }

  /** Notes that a key was used; written soon, several together, and never waited for. */
  noteUse(keyId: string): void {
    this.#used.set(keyId, this.#options.clock.now())
    if (!this.#writing) void this.#writeUses()
  }

  async #writeUses(): Promise<void> {
    this.#writing = true
    while (this.#used.size > 0) {
      const uses = this.#used
      this.#used = new Map()
      try {
        await this.#options.store.touch(uses)
      } catch (error) {
        this.#options.log.warn({ err: error, keys: uses.size }, 'the last use of keys was not written')
      }
    }
    this.#writing = false
  }

  async #getStored(id: string, scope: KeyScope): Promise<StoredKey> {
    const stored = await this.#options.store.find(id)
    if (!stored || (scope.userId !== undefined && stored.key.userId !== scope.userId))
      throw new GatewayError('not_found')
    return stored
  }
}

/** A fresh text for a key's id: its public part and 256 random bits. */
export const newKeyText = (id: string): string => `${keyPrefix(id)}_${randomToken(32)}`

/** Until when the given secret works: for ever, until an overlap's end, or (undefined) not at all. */
function secretEnd(stored: Pick<StoredKey, 'mac' | 'previous'>, given: Uint8Array): number | undefined {
  const isCurrent = timingSafeEqual(stored.mac, given)
  const isPrevious = timingSafeEqual(stored.previous?.mac ?? new Uint8Array(given.length), given)
  if (isCurrent) return Infinity
  return isPrevious ? stored.previous?.untilMs : undefined
}
