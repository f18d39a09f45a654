// The files of a backup: their names, the manifest that describes them, and copies that are on disk when they are told of.
import { hash, createHash } from 'node:crypto'
import {
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { newerText, unknownSteps } from '../../db/sqlite-snapshot.ts'
import { CliError } from '../io.ts'

export const databaseName = 'tollbridge.db'
export const keyName = 'secret.key'
const manifestName = 'manifest.json'
const format = 1
const maxManifestBytes = 1024 * 1024
const chunkBytes = 1024 * 1024

const sha256 = z.string().regex(/^[0-9a-f]{64}$/)
const count = z.int().min(0)
const described = z.strictObject({ bytes: count, sha256 })

const manifestShape = z.strictObject({
  format: z.literal(format),
  /** Version of the program. */
  version: z.string(),
  engine: z.literal('sqlite'),
  /** ISO 8601, UTC. */
  createdAt: z.string(),
  /** Steps that the schema has seen. */
  schema: z.array(z.string()).min(1),
  database: described,
  /** Absent: the secret key is elsewhere. */
  secretKey: described.optional(),
  mark: z.strictObject({
    records: count,
    transfers: count,
    totals: z.array(z.strictObject({ currency: z.string(), amount: z.string() })).readonly(),
  }),
})

export type Manifest = z.output<typeof manifestShape>
type Described = z.output<typeof described>

/** Writes the manifest, with a hash of itself; on disk when this returns. */
export function writeManifest(folder: string, manifest: Omit<Manifest, 'format' | 'engine'>): Manifest {
  // Parsed, so that its members are in the order in which they are read again.
  const whole = manifestShape.parse({ format, engine: 'sqlite', ...manifest })
  const text = JSON.stringify({ ...whole, sha256: hash('sha256', JSON.stringify(whole)) }, undefined, 2)
  const path = join(folder, manifestName)
  writeFileSync(path, `${text}\n`, { mode: 0o600, flag: 'wx' })
  syncPath(path)
  return whole
}

/** Throws CliError for what is no backup, is not whole, or was made by a newer version. */
export function readManifest(folder: string): Manifest {
  const path = join(folder, manifestName)
  const { sha256: own, ...rest } = parse(readText(path))
  if (typeof rest['format'] === 'number' && rest['format'] > format)
    throw new CliError(`${folder} was made by a newer version of Tollbridge; use that version.`)
  const { data: manifest } = manifestShape.safeParse(rest)
  if (!manifest || own !== hash('sha256', JSON.stringify(manifest)))
    throw new CliError(`${path} is damaged; use another backup.`)
  const unknown = unknownSteps(manifest.schema)
  if (unknown.length > 0) throw new CliError(`${folder} cannot be used. ${newerText(unknown)}`)
  return manifest
}

function readText(path: string): string {
  try {
    if (statSync(path).size > maxManifestBytes) return ''
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new CliError(`There is no backup: ${path} cannot be read (${code ?? 'unknown'}).`)
  }
}

function parse(text: string): Record<string, unknown> {
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(text))
  } catch {
    return {}
  }
}

/** Length and hash of a file. */
export const describeFile = (path: string): Described => readThrough(path, () => {})

/** Copies a file (0600) and hashes what it copied; on disk when this returns. */
export function copyFile(from: string, to: string): Described {
  const target = openSync(to, 'wx', 0o600)
  try {
    const copied = readThrough(from, (chunk) => {
      for (let at = 0; at < chunk.length;) at += writeSync(target, chunk, at)
    })
    fsyncSync(target)
    return copied
  } finally {
    closeSync(target)
  }
}

function readThrough(path: string, each: (chunk: Buffer) => void): Described {
  const file = openSync(path, 'r')
  try {
    const sum = createHash('sha256')
    const buffer = Buffer.alloc(chunkBytes)
    let bytes = 0
    for (let read = readSync(file, buffer); read > 0; read = readSync(file, buffer)) {
      const chunk = buffer.subarray(0, read)
      sum.update(chunk)
      each(chunk)
      bytes += read
    }
    return { bytes, sha256: sum.digest('hex') }
  } finally {
    closeSync(file)
  }
}

/** Whether a file is the one that was described. */
export const isSame = (a: Described, b: Described): boolean => a.bytes === b.bytes && a.sha256 === b.sha256

/** Puts a file, or the names in a folder, on disk. */
export function syncPath(path: string): void {
  const handle = openSync(path, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}
