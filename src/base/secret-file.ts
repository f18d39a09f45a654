// The master secret's file in the data folder: made once, readable by its owner alone, rewritten where a secret is replaced.
import {
  chmodSync,
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { randomToken } from './id.ts'
import { newMasterSecret, parseMasterSecret } from './master-secret.ts'

/** Where the secret of a data folder is. */
export const secretPath = (dataPath: string): string => join(dataPath, 'secret.key')

/** A secret on each line: the first is in use, those after it are being replaced by it. */
export class SecretFile {
  readonly #path: string
  #lines: readonly [string, ...string[]]

  private constructor(path: string, lines: readonly [string, ...string[]]) {
    this.#path = path
    this.#lines = lines
  }

  /**
   * The file of a data folder; made there, with mode 0600, where there is none. Two processes that start together get
   * the same one. `problem` says what is wrong with a file that must not be used as it is: readable by others, or weak.
   */
  static open(dataPath: string): SecretFile | { readonly problem: string } {
    const path = secretPath(dataPath)
    mkdirSync(dataPath, { recursive: true, mode: 0o700 })
    const text = readIfThere(path) ?? create(path)
    const mode = statSync(path).mode & 0o777
    if (mode & 0o077) {
      return {
        problem: `${path} can be read by others (mode ${mode.toString(8).padStart(4, '0')}); run chmod 600 on it`,
      }
    }
    const [first = '', ...rest] = text.split('\n').map((line) => line.trim())
    const lines = [first, ...rest.filter((line) => line !== '')] as const
    for (const line of lines) {
      const secret = parseMasterSecret(line)
      if ('problem' in secret) return { problem: `${path}: ${secret.problem}` }
    }
    return new SecretFile(path, [...lines])
  }

  /** The secret in use, then those that it replaces. */
  get secrets(): readonly Uint8Array[] {
    return this.#lines.map((line) => parseMasterSecret(line) as Uint8Array)
  }

  /** Puts a fresh secret before the others; on disk when this returns. */
  add(): void {
    this.#write([newMasterSecret(), ...this.#lines])
  }

  /** Forgets all secrets but the first; on disk when this returns. */
  forgetFormer(): void {
    if (this.#lines.length > 1) this.#write([this.#lines[0]])
  }

  #write(lines: readonly [string, ...string[]]): void {
    const written = draft(this.#path, lines)
    renameSync(written, this.#path)
    syncFolder(this.#path)
    this.#lines = lines
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Written whole under another name and then linked, so that nobody ever reads half a secret. */
function create(path: string): string {
  const written = draft(path, [newMasterSecret()])
  try {
    linkSync(written, path)
    syncFolder(path)
  } catch (error) {
    // Another process was faster; its secret counts.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    rmSync(written, { force: true })
  }
  return readFileSync(path, 'utf8').trim()
}

/** A file beside `path`, on disk, for its owner alone. */
function draft(path: string, lines: readonly string[]): string {
  const name = `${path}.${randomToken(6)}`
  const file = openSync(name, 'wx', 0o600)
  try {
    writeSync(file, `${lines.join('\n')}\n`)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  chmodSync(name, 0o600)
  return name
}

/** A new name is on disk only when its folder is. */
function syncFolder(path: string): void {
  const folder = openSync(dirname(path), 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}
