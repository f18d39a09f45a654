// The log: JSON lines on standard error (pretty on a terminal), with every field that can hold a secret redacted.
import { pino, destination, type DestinationStream } from 'pino'
import { createRequire } from 'node:module'

export interface Log {
  error(fields: object, message: string): void
  warn(fields: object, message: string): void
  info(fields: object, message: string): void
  debug(fields: object, message: string): void
}

export type LogLevel = 'silent' | 'error' | 'warn' | 'info' | 'debug' | 'trace'

/** Names of fields that are never written, at the top and one level down. */
const secretFields = [
  'password',
  'token',
  'refreshToken',
  'accessToken',
  'secret',
  'key',
  'value',
  'authorization',
  'cookie',
  'env',
  'headers',
  'body',
  'arguments',
  'secretKey',
  'databaseUrl',
]

/** The process's log. Control characters in values stay escaped, since every line is JSON (trust A 66). */
export function createLog(level: LogLevel, stream?: DestinationStream): Log {
  const redact = { paths: secretFields.flatMap((name) => [name, `*.${name}`]), censor: '[redacted]' }
  const base = { level, redact, base: undefined, timestamp: () => `,"time":"${new Date().toISOString()}"` }
  if (stream) return pino(base, stream)
  if (!process.stderr.isTTY) return pino(base, destination({ dest: 2, sync: true }))
  const target = createRequire(import.meta.url).resolve('pino-pretty')
  return pino({ ...base, transport: { target, options: { destination: 2, ignore: 'pid,hostname' } } })
}

/** A log that drops everything; for tests and library use. */
export const silentLog: Log = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} }
