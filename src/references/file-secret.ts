// A secret in a file, as Kubernetes mounts and Vault agents keep it: read again whenever the file is another one.
import { constants } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import type { Clock } from '../base/clock.ts'
import { maxSecretBytes, SecretProblem, secretOf, type SecretSource } from './named-secret.ts'

/** Without a look at the file a value counts as fresh for this long. */
const freshMs = 500

export interface FileSecretOptions {
  readonly path: string
  readonly clock: Clock
  /** Others on this machine can read the file; told once for each state of it. */
  readonly onExposed: () => void
}

interface Held {
  readonly identity: string
  readonly value: string
  lookedAtMs: number
}

export class FileSecret implements SecretSource {
  readonly #options: FileSecretOptions
  #held: Held | undefined
  #looking: Promise<string> | undefined

  constructor(options: FileSecretOptions) {
    this.#options = options
  }

  get current(): string | undefined {
    if (!this.#held) return undefined
    return this.#options.clock.monotonicMs() - this.#held.lookedAtMs < freshMs ? this.#held.value : undefined
  }

  /** One look at a time, whoever asks. */
  get(): Promise<string> {
    const { current } = this
    if (current !== undefined) return Promise.resolve(current)
    this.#looking ??= this.#look().finally(() => (this.#looking = undefined))
    return this.#looking
  }

  close(): void {}

  async #look(): Promise<string> {
    const { path, clock } = this.#options
    const lookedAtMs = clock.monotonicMs()
    try {
      // A symbolic link is followed: Kubernetes replaces a whole folder by one.
      const identity = identityOf(await stat(path, { bigint: true }))
      if (this.#held?.identity === identity) {
        this.#held.lookedAtMs = lookedAtMs
        return this.#held.value
      }
      return await this.#read(lookedAtMs)
    } catch (error) {
      this.#held = undefined
      if (error instanceof SecretProblem) throw error
      const { code = 'unknown' } = error as NodeJS.ErrnoException
      throw new SecretProblem(`cannot be read from its file (${code})`, { cause: error })
    }
  }

  async #read(lookedAtMs: number): Promise<string> {
    // A pipe would keep whoever opens it waiting.
    const file = await open(this.#options.path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const status = await file.stat({ bigint: true })
      if (!status.isFile()) throw new SecretProblem('is not in a regular file')
      if (status.size > maxSecretBytes) throw new SecretProblem(`is larger than ${maxSecretBytes} bytes`)
      const buffer = Buffer.alloc(maxSecretBytes + 1)
      let bytes = 0
      for (let read = -1; read !== 0 && bytes < buffer.length; bytes += read)
        ({ bytesRead: read } = await file.read(buffer, bytes, buffer.length - bytes, bytes))
      if (bytes > maxSecretBytes) throw new SecretProblem(`is larger than ${maxSecretBytes} bytes`)
      const value = secretOf(buffer.subarray(0, bytes))
      if (status.mode & 0o004n) this.#options.onExposed()
      this.#held = { identity: identityOf(status), value, lookedAtMs }
      return value
    } finally {
      await file.close()
    }
  }
}

interface Status {
  readonly dev: bigint
  readonly ino: bigint
  readonly size: bigint
  readonly mtimeNs: bigint
  readonly ctimeNs: bigint
}

const identityOf = ({ dev, ino, size, mtimeNs, ctimeNs }: Status): string =>
  [dev, ino, size, mtimeNs, ctimeNs].join('.')
