// Splits a byte stream into lines with a cap, copying a line only where it spans chunks.

const lf = 0x0a
const cr = 0x0d
const empty = Buffer.alloc(0)

/** Lines end in LF; a CR before it and empty lines are dropped. */
export class LineReader {
  readonly #maxBytes: number
  readonly #onLine: (line: Buffer) => void
  #held: Buffer = empty
  #heldBytes = 0

  constructor(maxBytes: number, onLine: (line: Buffer) => void) {
    this.#maxBytes = maxBytes
    this.#onLine = onLine
  }

  /** Takes the next chunk, which must not be changed later. False once a line is larger than the cap. */
  push(chunk: Buffer): boolean {
    let start = 0
    for (let end = chunk.indexOf(lf); end !== -1; end = chunk.indexOf(lf, start)) {
      const line = chunk.subarray(start, end)
      start = end + 1
      if (this.#heldBytes + line.length > this.#maxBytes) return false
      this.#emit(this.#heldBytes > 0 ? this.#take(line) : line)
    }
    const rest = start === 0 ? chunk : chunk.subarray(start)
    if (this.#heldBytes + rest.length > this.#maxBytes) return false
    if (rest.length > 0) this.#hold(rest)
    return true
  }

  #emit(line: Buffer): void {
    const end = line.at(-1) === cr ? line.length - 1 : line.length
    if (end > 0) this.#onLine(end === line.length ? line : line.subarray(0, end))
  }

  #hold(bytes: Buffer): void {
    const needed = this.#heldBytes + bytes.length
    if (needed > this.#held.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#held.length * 2, 1024))
      this.#held.copy(larger, 0, 0, this.#heldBytes)
      this.#held = larger
    }
    bytes.copy(this.#held, this.#heldBytes)
    this.#heldBytes = needed
  }

  #take(last: Buffer): Buffer {
    this.#hold(last)
    const line = this.#held.subarray(0, this.#heldBytes)
    this.#held = empty
    this.#heldBytes = 0
    return line
  }
}
