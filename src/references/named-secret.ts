// A named secret as the configuration declares it: where its value comes from, and which servers may use it.
import { z } from 'zod'
import { globProblem } from '../base/glob.ts'

export const secretName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const origins = ['env', 'file', 'command'] as const

const serverGlob = z.string('must be a list of globs').check(({ value, issues }) => {
  const message = globProblem(value)
  if (message !== undefined) issues.push({ code: 'custom', message, input: value })
})
const wholeNumber = (min: number, max: number) => {
  const message = `must be a whole number from ${min} to ${max}`
  return z.int(message).min(min, message).max(max, message).optional()
}

export const namedSecret = z
  .strictObject({
    env: z
      .string('must be a name of a variable')
      .regex(/^[A-Za-z_]\w*$/, 'must be a name of a variable')
      .refine((name) => !name.startsWith('TOLLBRIDGE_'), 'must not be a variable of the gateway itself')
      .optional()
      .describe('A variable of the environment, read at the start.'),
    file: z
      .string('must be an absolute path')
      .regex(/^\/[^\0]*$/, 'must be an absolute path')
      .optional()
      .describe('A file, read again when it changes.'),
    command: z
      .array(z.string('must be a list of texts').max(8192), 'must be a list: a program and its arguments')
      .min(1, 'must name a program')
      .max(64, 'must have at most 64 entries')
      .refine(([program = '']) => /^\/|^[^/]+$/.test(program), 'must begin with a name or an absolute path')
      .optional()
      .describe('A program and its arguments, run without a shell; what it writes is the secret.'),
    timeoutMs: wholeNumber(100, 60_000).describe('Of the command; 10000 by default. Milliseconds.'),
    cacheSeconds: wholeNumber(0, 86_400).describe('The value of a command is kept; 300 by default. Seconds.'),
    servers: z
      .array(serverGlob, 'must be a list of globs')
      .min(1, 'must name a server, or ["*"] for all')
      .max(200, 'must have at most 200 entries')
      .describe('Names of the servers that may refer to it, as globs.'),
  })
  .check(({ value, issues }) => {
    const given = origins.filter((name) => value[name] !== undefined)
    const fault = (path: string[], message: string) =>
      issues.push({ code: 'custom', path, message, input: value })
    if (given.length !== 1) fault([], 'needs exactly one of env, file and command')
    for (const name of ['timeoutMs', 'cacheSeconds'] as const)
      if (value[name] !== undefined && value.command === undefined) fault([name], 'goes with command only')
  })

export type NamedSecret = z.output<typeof namedSecret>

/** Why a secret cannot be used, in words that complete "the secret NAME"; never its value, path or output. */
export class SecretProblem extends Error {}

/** Where one value comes from. */
export interface SecretSource {
  /** The value, where it is known and fresh. */
  readonly current: string | undefined
  /** Rejects with SecretProblem. */
  get(): Promise<string>
  /** Ends what is running. */
  close(): void
}

export const maxSecretBytes = 65_536

/** Text as a secret: without the line ends that editors and programs put behind it. Throws SecretProblem. */
export function secretOf(bytes: Uint8Array): string {
  const text = decode(bytes).replace(/[\r\n]+$/, '')
  if (text === '') throw new SecretProblem('is empty')
  return text
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new SecretProblem('is no text in UTF-8', { cause })
  }
}
