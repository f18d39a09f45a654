// What the fixture's processes have written down for the test, read from the file that they share.
import { closeSync, openSync, readSync, writeFileSync } from 'node:fs'

export class Journal {
  readonly path: string
  readonly #lines = new Set<string>()
  #rest = ''
  #offset = 0

  constructor(path: string) {
    this.path = path
    writeFileSync(path, '')
  }

  /** Whether a line was written until now. */
  has(line: string): boolean {
    this.#read()
    return this.#lines.has(line)
  }

  #read(): void {
    const file = openSync(this.path, 'r')
    const chunk = Buffer.alloc(64 * 1024)
    try {
      for (;;) {
        const size = readSync(file, chunk, 0, chunk.length, this.#offset)
        if (size === 0) return
        this.#offset += size
        const lines = (this.#rest + chunk.toString('utf8', 0, size)).split('\n')
        this.#rest = lines.pop() ?? ''
        for (const line of lines) this.#lines.add(line)
      }
    } finally {
      closeSync(file)
    }
  }
}
