// References to named secrets: how a registration writes them, and which of its fields may hold them.
import type { Server } from './server.ts'

/** A text that stands for a secret of the configuration. */
export interface SecretReference {
  readonly name: string
  /** A word and a space before the secret, in a header such as `Bearer ${secret:crm}`; else empty. */
  readonly prefix: string
}

/** A field that may hold a reference. */
export interface SecretPlace {
  /** JSON pointer. */
  readonly field: string
  /** The value travels in a header, and may have a prefix where it is one of `transport.headers`. */
  readonly kind: 'header' | 'credential' | 'variable'
}

const reference = /^([!-#%-~]{1,64} )?\$\{secret:([A-Za-z0-9][A-Za-z0-9._-]{0,63})\}$/

/** Undefined where the text is no reference, or one that is written otherwise. */
export function findReference(text: string): SecretReference | undefined {
  const [, prefix = '', name] = reference.exec(text) ?? []
  return name === undefined ? undefined : { name, prefix }
}

/** Whether a text asks for anything else's value, in whatever form. */
export const looksLikeReference = (text: string): boolean => /\$\{\s*[\w-]+\s*:/.test(text)

/** Whether this field may hold this reference. */
export const fits = ({ prefix }: SecretReference, { kind }: SecretPlace): boolean =>
  prefix === '' || kind === 'header'

type Parts = Pick<Server, 'transport' | 'auth'>

/** Members of `auth` that are secrets, whatever its type. */
const authSecrets = new Set(['value', 'password', 'token', 'clientSecret', 'privateKey'])

/** The same with what `each` makes of every secret value. */
export function mapSecrets<T extends Parts>(
  parts: T,
  each: (value: string, place: SecretPlace) => string,
): T {
  const { transport, auth } = parts
  const mapped = Object.entries(auth).map(([name, value]: [string, unknown]) =>
    typeof value === 'string' && authSecrets.has(name)
      ? [name, each(value, { field: `/auth/${name}`, kind: 'credential' })]
      : [name, value],
  )
  return { ...parts, transport: mapTransport(transport, each), auth: Object.fromEntries(mapped) }
}

function mapTransport(
  transport: Server['transport'],
  each: (value: string, place: SecretPlace) => string,
): Server['transport'] {
  if (transport.type === 'aggregate' || transport.type === 'built-in') return transport
  const mapAll = (values: Readonly<Record<string, string>>, kind: SecretPlace['kind'], folder: string) =>
    Object.fromEntries(
      Object.entries(values).map(([name, value]) => [
        name,
        each(value, { field: `${folder}/${name}`, kind }),
      ]),
    )
  if (transport.type === 'stdio')
    return { ...transport, env: mapAll(transport.env, 'variable', '/transport/env') }
  if (!transport.headers) return transport
  return { ...transport, headers: mapAll(transport.headers, 'header', '/transport/headers') }
}

/** The names that a registration refers to, each once, with the field that does so first. */
export function referencesOf(parts: Parts): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  mapSecrets(parts, (value, place) => {
    const name = findReference(value)?.name
    if (name !== undefined && !found.has(name)) found.set(name, place.field)
    return value
  })
  return found
}
