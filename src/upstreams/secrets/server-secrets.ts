// One server's registration with the secrets in it that it refers to, as they are now.
import { findReference, mapSecrets, referencesOf, type SecretPlace } from '../../registry/secret-reference.ts'
import type { Server } from '../../registry/server.ts'

/** The secrets that the configuration names. */
export interface SecretReader {
  /** The value, where it is known and fresh; undefined where it has to be waited for, or must not be used. */
  current(secret: string, server: string): string | undefined
  /** Rejects with an Error whose message holds no secret and may be shown to whoever looks after the server. */
  get(secret: string, server: string): Promise<string>
}

/** Where the configuration names none. */
export const noSecrets: SecretReader = {
  current: () => undefined,
  get: (secret) => Promise.reject(new Error(`There is no secret ${secret}.`)),
}

/** Longest value that goes into a header or a variable. */
const maxChars = 32_768
const inHeader = /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/

/** Whether a registration cannot be used as it stands. */
export const hasReferences = (server: Server): boolean => referencesOf(server).size > 0

type Referring = Pick<Server, 'name' | 'transport' | 'auth'>

export class ServerSecrets<T extends Referring> {
  readonly #server: T
  readonly #reader: SecretReader
  readonly #names: readonly string[]
  #filled: { readonly values: readonly string[]; readonly server: T } | undefined

  constructor(server: T, reader: SecretReader) {
    this.#server = server
    this.#reader = reader
    this.#names = [...referencesOf(server).keys()]
  }

  /** The server as it is to be used now, the same object until a value changes; undefined where `get` must wait. */
  get current(): T | undefined {
    const values: string[] = []
    for (const name of this.#names) {
      const value = this.#reader.current(name, this.#server.name)
      if (value === undefined) return undefined
      values.push(value)
    }
    // What cannot be filled in is said by `get`.
    return this.#filled && isSame(this.#filled.values, values) ? this.#filled.server : undefined
  }

  /** Rejects as `SecretReader.get`, and where a value cannot be sent where it is wanted. */
  async get(): Promise<T> {
    const { name: server } = this.#server
    const values = await Promise.all(this.#names.map((name) => this.#reader.get(name, server)))
    if (this.#filled && isSame(this.#filled.values, values)) return this.#filled.server
    const byName = new Map(this.#names.map((name, index) => [name, values[index] ?? '']))
    const filled = mapSecrets(this.#server, (value, place) => {
      const reference = findReference(value)
      if (!reference) return value
      const secret = byName.get(reference.name) ?? ''
      check(reference.name, secret, placeOf(place, this.#server))
      return reference.prefix + secret
    })
    this.#filled = { values, server: filled }
    return filled
  }
}

const isSame = (a: readonly string[], b: readonly string[]): boolean =>
  a.every((value, index) => value === b[index])

type Carrier = 'header' | 'variable' | 'text'

/** What carries the value to the server. */
function placeOf({ kind }: SecretPlace, { auth }: Referring): Carrier {
  if (kind !== 'credential') return kind
  if (auth.type === 'bearer') return 'header'
  return auth.type === 'api-key' && auth.in === 'header' ? 'header' : 'text'
}

/** A value may come from anywhere: none becomes a header or a variable of its own. */
function check(name: string, value: string, carrier: Carrier): void {
  if (value.length > maxChars) throw new Error(`The secret ${name} is too long to be sent.`)
  if (carrier === 'header' && !inHeader.test(value))
    throw new Error(`The secret ${name} holds characters that cannot be sent in a header.`)
  if (value.includes('\0')) throw new Error(`The secret ${name} holds a NUL.`)
}
