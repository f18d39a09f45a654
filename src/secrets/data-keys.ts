// The data keys of a running gateway: opened at start, replaced on demand, forgotten when nothing needs them any more.
import { randomBytes } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { derivedKeys, deriveKey, Keyring, macPurposes, type DataKeys as Keys } from '../base/keyring.ts'
import type { Log } from '../base/log.ts'
import type { MasterSecrets } from '../base/master-secret.ts'
import { Seal } from '../base/seal.ts'
import type { DataKeyRow, DataKeyStore } from './data-key-store.ts'

/** Text that the gateway keeps sealed. */
export interface SealedTexts {
  /** What it is, for people. */
  readonly holds: string
  /** Seals with the newest key what others sealed; how many texts that were. */
  reseal(): Promise<number>
  /** How many texts other keys have sealed. */
  countSealedOtherwise(): Promise<number>
}

export interface DataKeysOptions {
  readonly store: DataKeyStore
  readonly master: MasterSecrets
  readonly clock: Clock
  readonly log: Log
  /** How long a retired key opens what clients still hold, and verifies tokens. Default: 24 hours. */
  readonly keepMs?: number
}

/** A data key as it may be shown: nothing of the key itself. */
export interface ShownKey {
  readonly id: string
  readonly purpose: string
  readonly createdAtMs: number
  readonly retiredAtMs?: number
}

export interface Rotated {
  /** Whether the master secret was replaced too; else it is the environment's. */
  readonly masterReplaced: boolean
  /** Whether the former keys are forgotten already; else they open and verify what they made for a while. */
  readonly formerForgotten: boolean
  /** How many texts were sealed anew, by what they hold. */
  readonly resealed: readonly { readonly holds: string; readonly texts: number }[]
}

interface OpenKey extends ShownKey {
  readonly key: Uint8Array
}

const dayMs = 24 * 60 * 60 * 1000
const rotating = ['seal', 'signing'] as const
const macPurpose = (name: string): string => `mac:${name}`

/**
 * Everything stored is sealed, signed and hashed by data keys, and these are sealed by the master secret (envelope
 * encryption, NIST SP 800-57 part 1, 5.3.6). So both can be replaced while calls go on.
 */
export class DataKeys {
  readonly #options: DataKeysOptions
  readonly keyring: Keyring
  #keys: readonly OpenKey[]
  #texts: readonly SealedTexts[] = []
  #onCompromised: () => void = () => {}
  #isRotating = false

  private constructor(options: DataKeysOptions, keys: readonly OpenKey[]) {
    this.#options = options
    this.#keys = keys
    this.keyring = new Keyring(toKeys(keys))
  }

  /**
   * Opens the keys of a store, and makes them where there are none. Keys that a former master secret sealed are sealed
   * by the one in use, which is durable before the former one is forgotten. Rejects with `internal` where no given
   * secret opens them.
   */
  static async open(options: DataKeysOptions): Promise<DataKeys> {
    const { store, master, log } = options
    await addMissing(options)
    const { keys, sealedByFormer } = openAll(await store.list(), master.secrets)
    if (sealedByFormer) {
      await store.rewrap(wrapAll(keys, newest(master.secrets)))
      log.info({}, 'the keys of the store are sealed with the new master secret; the former one can go')
    }
    master.forgetFormer?.()
    return new DataKeys(options, keys)
  }

  /** Says what is sealed, and who has to hear that tokens are no longer what they seem. To be called once, first. */
  watch(texts: readonly SealedTexts[], onCompromised: () => void): void {
    this.#texts = texts
    this.#onCompromised = onCompromised
  }

  get list(): readonly ShownKey[] {
    return this.#keys.map(({ key: _key, ...shown }) => shown)
  }

  /** How many texts are sealed by retired keys; a sweep seals them anew. */
  async countSealedOtherwise(): Promise<number> {
    const counts = await Promise.all(this.#texts.map((texts) => texts.countSealedOtherwise()))
    return counts.reduce((sum, count) => sum + count, 0)
  }

  /**
   * Replaces the keys that seal and sign, seals everything stored anew, and replaces the master secret where it is a
   * file. Calls go on meanwhile. With `compromised` the former keys are forgotten at once: tokens that they signed and
   * states that clients hold are refused. May be repeated where it rejected half-way; `conflict` where one is running.
   */
  async rotate({ compromised = false } = {}): Promise<Rotated> {
    if (this.#isRotating)
      throw new GatewayError('conflict', {
        detail: 'The keys are being replaced already; ask again when it is done.',
      })
    this.#isRotating = true
    try {
      await this.#replaceKeys()
      const resealed = await this.#reseal()
      const masterReplaced = await this.#replaceMaster()
      const formerForgotten = compromised && (await this.#forgetNow())
      if (compromised) this.#onCompromised()
      return { masterReplaced, formerForgotten, resealed }
    } finally {
      this.#isRotating = false
    }
  }

  /** Seals anew what retired keys have sealed, and forgets those that are old enough; call it now and then. */
  async sweep(): Promise<void> {
    if (this.#isRotating || this.#keys.every(({ retiredAtMs }) => retiredAtMs === undefined)) return
    await this.#reseal()
    const { clock, keepMs = dayMs } = this.#options
    const oldestMs = clock.now() - keepMs
    await this.#forget(({ retiredAtMs = Infinity }) => retiredAtMs <= oldestMs)
  }

  async #replaceKeys(): Promise<void> {
    const { store, clock } = this.#options
    await this.#reload()
    const nowMs = clock.now()
    const fresh = rotating.map((purpose) => keyOf(purpose, new Uint8Array(randomBytes(32)), nowMs))
    const retired = this.#keys.filter(isInUse).filter(({ purpose }) => isReplaceable(purpose))
    await store.replace(
      wrapAll(fresh, newest(this.#options.master.secrets)),
      retired.map(({ id }) => id),
      nowMs,
    )
    await this.#reload()
  }

  async #reseal(): Promise<Rotated['resealed']> {
    const done: { holds: string; texts: number }[] = []
    for (const texts of this.#texts) done.push({ holds: texts.holds, texts: await texts.reseal() })
    return done
  }

  /** The file has both secrets until the store is known to have the new one. */
  async #replaceMaster(): Promise<boolean> {
    const { store, master } = this.#options
    if (!master.add || !master.forgetFormer) return false
    master.add()
    await store.rewrap(wrapAll(this.#keys, newest(master.secrets)))
    master.forgetFormer()
    return true
  }

  /** What was being sealed when the keys were replaced has been written by now, or is in a moment. */
  async #forgetNow(): Promise<boolean> {
    for (let tries = 0; tries < 10; tries++) {
      if (await this.#forget(() => true)) return true
      await this.#reseal()
    }
    return false
  }

  /** Forgets those retired keys that `isDue`, but never while a text is sealed by any of them; false says that one is. */
  async #forget(isDue: (key: OpenKey) => boolean): Promise<boolean> {
    const due = this.#keys.filter((key) => !isInUse(key) && isDue(key))
    if (due.length === 0) return true
    if ((await this.countSealedOtherwise()) > 0) return false
    await this.#options.store.remove(due.map(({ id }) => id))
    await this.#reload()
    return true
  }

  /** What the store has counts: an earlier change may have reached it although it seemed to fail. */
  async #reload(): Promise<void> {
    const { store, master } = this.#options
    this.#keys = openAll(await store.list(), master.secrets).keys
    this.keyring.adopt(toKeys(this.#keys))
  }
}

/** A store from before there were data keys was sealed with keys derived from its master secret: they become its first. */
async function addMissing({ store, master, clock }: DataKeysOptions): Promise<void> {
  const known = new Set((await store.list()).map(({ purpose }) => purpose))
  const oldest = master.secrets.at(-1) ?? newest(master.secrets)
  const { seal, signing, mac } = derivedKeys(oldest)
  const wanted = [
    ...seal.map((key) => ({ purpose: 'seal', key })),
    ...signing.map((key) => ({ purpose: 'signing', key })),
    ...macPurposes.map((name) => ({ purpose: macPurpose(name), key: mac[name] })),
  ]
  const missing = wanted.filter(({ purpose }) => !known.has(purpose))
  if (missing.length === 0) return
  const keys = missing.map(({ purpose, key }) => keyOf(purpose, key, clock.now()))
  await store.add(wrapAll(keys, newest(master.secrets)))
}

/** Ids tell keys apart and nothing of the keys. Those of first keys are the same on every node. */
const keyOf = (purpose: string, key: Uint8Array, createdAtMs: number): OpenKey => ({
  id: `${purpose}:${new Seal(deriveKey(key, 'id')).keyId}`,
  purpose,
  key,
  createdAtMs,
})

const wrapping = (secret: Uint8Array): Seal => new Seal(deriveKey(secret, 'data-keys'))
const contextOf = (id: string): string => `data-key:${id}`

function wrapAll(keys: readonly OpenKey[], secret: Uint8Array): DataKeyRow[] {
  const seal = wrapping(secret)
  return keys.map(({ key, ...shown }) => ({
    ...shown,
    sealed: seal.seal(Buffer.from(key).toString('base64url'), contextOf(shown.id)),
  }))
}

function openAll(
  rows: readonly DataKeyRow[],
  secrets: readonly Uint8Array[],
): { keys: OpenKey[]; sealedByFormer: boolean } {
  const seals = secrets.map(wrapping)
  let sealedByFormer = false
  const keys = rows.map(({ sealed, ...shown }) => {
    const seal = seals.find(({ keyId }) => sealed.split('.')[1] === keyId)
    if (!seal) throw unopened()
    sealedByFormer ||= seal !== seals[0]
    return { ...shown, key: new Uint8Array(Buffer.from(seal.open(sealed, contextOf(shown.id)), 'base64url')) }
  })
  return { keys, sealedByFormer }
}

function toKeys(keys: readonly OpenKey[]): Keys {
  const of = (purpose: string) => [
    ...keys.filter((key) => key.purpose === purpose && isInUse(key)),
    ...keys.filter((key) => key.purpose === purpose && !isInUse(key)),
  ]
  const mac = macPurposes.map((name) => [name, of(macPurpose(name))[0]?.key])
  return {
    seal: of('seal').map(({ key }) => key),
    signing: of('signing').map(({ key }) => key),
    mac: Object.fromEntries(mac) as Keys['mac'],
  }
}

const isInUse = ({ retiredAtMs }: ShownKey): boolean => retiredAtMs === undefined
const isReplaceable = (purpose: string): boolean => rotating.some((name) => name === purpose)

function newest(secrets: readonly Uint8Array[]): Uint8Array {
  const [secret] = secrets
  if (!secret) throw new GatewayError('internal', { cause: new Error('there is no master secret') })
  return secret
}

const unopened = (): GatewayError =>
  new GatewayError('internal', {
    detail:
      'The keys of this store were sealed with another master secret. Start with that one, or give it as TOLLBRIDGE_PREVIOUS_SECRET_KEY beside the new one.',
  })
