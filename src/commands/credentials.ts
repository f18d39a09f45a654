// Saved logins: one private file with a login for each gateway, changed under a lock so that no refresh gets lost.
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Io } from './io.ts'

export interface Login {
  readonly username: string
  readonly token: string
  readonly refreshToken: string
  readonly expiresAtMs: number
}

export interface Credentials {
  /** The gateway that was logged in to last; the default for commands without `--url`. */
  readonly current?: string
  readonly logins: Readonly<Record<string, Login>>
}

const staleLockMs = 15_000

export const credentialsPath = (io: Io): string =>
  join(
    io.env['XDG_CONFIG_HOME'] || join(io.env['HOME'] || homedir(), '.config'),
    'tollbridge',
    'credentials.json',
  )

/** What is saved; empty where there is nothing or nothing readable. */
export function readCredentials(io: Io): Credentials {
  try {
    const saved = JSON.parse(readFileSync(credentialsPath(io), 'utf8')) as Partial<Credentials>
    return { ...saved, logins: saved.logins ?? {} }
  } catch {
    return { logins: {} }
  }
}

/**
 * Changes the file: reads it again under the lock, so that two commands that refresh at once do not use the same
 * refresh token twice, which the gateway would take for theft.
 */
export async function changeCredentials(
  io: Io,
  change: (saved: Credentials) => Promise<Credentials> | Credentials,
): Promise<Credentials> {
  const path = credentialsPath(io)
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  await takeLock(`${path}.lock`)
  try {
    const changed = await change(readCredentials(io))
    writeFileSync(`${path}.new`, `${JSON.stringify(changed, undefined, 2)}\n`, { mode: 0o600 })
    renameSync(`${path}.new`, path)
    return changed
  } finally {
    rmSync(`${path}.lock`, { force: true })
  }
}

async function takeLock(path: string): Promise<void> {
  for (;;) {
    try {
      closeSync(openSync(path, 'wx', 0o600))
      return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    if (ageMs(path) > staleLockMs) rmSync(path, { force: true })
    else await sleep(50)
  }
}

function ageMs(path: string): number {
  try {
    return Date.now() - statSync(path).mtimeMs
  } catch {
    return 0
  }
}
