// The master secret's file in the data folder: made once, readable by its owner alone.
import {
  chmodSync,
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { randomToken } from './id.ts'
import { newMasterSecret, parseMasterSecret } from './keyring.ts'

/** Where the secret of a data folder is. */
export const secretPath = (dataPath: string): string => join(dataPath, 'secret.key')

/**
 * The master secret of a data folder; made there, with mode 0600, where there is none. Two processes that start
 * together get the same one. `problem` says what is wrong with a file that must not be used as it is: readable by
 * others, or weak.
 */
export function openSecretFile(dataPath: string): Uint8Array | { readonly problem: string } {
  const path = secretPath(dataPath)
  mkdirSync(dataPath, { recursive: true, mode: 0o700 })
  const text = readIfThere(path) ?? create(path)
  const mode = statSync(path).mode & 0o777
  if (mode & 0o077) {
    return {
      problem: `${path} can be read by others (mode ${mode.toString(8).padStart(4, '0')}); run chmod 600 on it`,
    }
  }
  const secret = parseMasterSecret(text)
  return 'problem' in secret ? { problem: `${path}: ${secret.problem}` } : secret
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
  const draft = `${path}.${randomToken(6)}`
  const file = openSync(draft, 'wx', 0o600)
  try {
    writeSync(file, `${newMasterSecret()}\n`)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  chmodSync(draft, 0o600)
  try {
    linkSync(draft, path)
  } catch (error) {
    // Another process was faster; its secret counts.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    rmSync(draft, { force: true })
  }
  return readFileSync(path, 'utf8').trim()
}
