// The master secret of an installation: a fresh one, and the rules that a given one must pass.
import { hash, randomBytes } from 'node:crypto'

const minBytes = 32
const howToFix =
  'set 32 random bytes, for example from `openssl rand -hex 32`, or unset it to have one generated'

/** The master secrets: the first seals, those after it are being replaced by it. */
export interface MasterSecrets {
  readonly secrets: readonly Uint8Array[]
  /** Puts a fresh one before the others, durably; absent where this process cannot change what it was given. */
  add?(): void
  /** Forgets all but the first, durably. */
  forgetFormer?(): void
}

/** A fresh master secret as text: 32 random bytes in hex. */
export const newMasterSecret = (): string => randomBytes(minBytes).toString('hex')

/**
 * Reads a configured master secret: hex or base64 (either alphabet) of at least 32 bytes, or any other text of at
 * least 32 characters, which is hashed. What can be guessed is refused with a `problem` that says how to fix it.
 */
export function parseMasterSecret(text: string): Uint8Array | { readonly problem: string } {
  const secret = text.trim()
  if (/change.?me|password|example|default|replace.?me|your.?secret/i.test(secret) || isMonotonous(secret))
    return { problem: `the secret can be guessed; ${howToFix}` }
  const isHex = /^(?:[0-9a-f]{2})+$/i.test(secret)
  const decoded = isHex ? Buffer.from(secret, 'hex') : decodeBase64(secret)
  if (decoded && decoded.length >= minBytes)
    return isMonotonous(decoded) ? { problem: `the secret can be guessed; ${howToFix}` } : decoded
  if (isHex || secret.length < minBytes)
    return { problem: `the secret is shorter than ${minBytes} bytes; ${howToFix}` }
  return hash('sha256', secret, 'buffer')
}

function decodeBase64(text: string): Buffer | undefined {
  return /^[A-Za-z0-9+/_-]+={0,2}$/.test(text) ? Buffer.from(text, 'base64') : undefined
}

/** Whether a secret is a repetition or a sequence: few different values, or few different steps between them. */
function isMonotonous(secret: string | Uint8Array): boolean {
  const values =
    typeof secret === 'string' ? Array.from(secret, (letter) => letter.charCodeAt(0)) : [...secret]
  const steps = values.map((value, i) => value - (values[i - 1] ?? value))
  return new Set(values).size < 8 || new Set(steps).size < 8 || isPeriodic(values)
}

function isPeriodic(values: readonly number[]): boolean {
  for (let period = 1; period <= values.length / 2; period++)
    if (values.every((value, i) => i < period || value === values[i - period])) return true
  return false
}
