// The write-ahead log before SQLite reads it: SQLite would drop everything behind a damaged frame without a word.
import { existsSync, readFileSync, statSync } from 'node:fs'
import { damaged } from './sqlite-file.ts'

// sqlite.org/fileformat2.html section 4.1: the log's header, then frames of a header and a page each.
const logHeaderBytes = 32
const frameHeaderBytes = 24
const magic = 0x377f0682
/** A running writer may be in the middle of a frame that is read here; what is broken stays broken. */
const looks = 3

/**
 * Throws SqliteRefusal where transactions lie behind a frame that is broken. Every commit is synced before the next
 * one is begun, so what a power loss leaves broken is at most the last transaction, which nobody was told of; SQLite
 * drops that rightly. A frame that is broken further in was durable once: this is damage, and what follows it would
 * be lost. Only for logs that were written with `synchronous=FULL`. A log larger than `maxBytes` is not looked at.
 */
export function checkWal(file: string, maxBytes: number): void {
  const log = `${file}-wal`
  for (let look = 1; existsSync(log) && statSync(log).size <= maxBytes; look++) {
    if (!isBroken(readFileSync(log))) return
    if (look === looks) throw damaged(file, 'its write-ahead log is broken')
  }
}

function isBroken(log: Buffer): boolean {
  const header = log.subarray(0, logHeaderBytes)
  // The header is synced before the first frame is trusted: without it, nothing was.
  if (header.length < logHeaderBytes || header.every((byte) => byte === 0)) return false
  const isBigEndian = header.readUInt32BE(0) === magic + 1
  if (!isBigEndian && header.readUInt32BE(0) !== magic) return true
  const sums = addTo([0, 0], header.subarray(0, 24), isBigEndian)
  if (!matches(sums, header, 24)) return true
  const pageBytes = header.readUInt32BE(8)
  if (pageBytes < 512 || pageBytes > 65_536) return true

  const frameBytes = frameHeaderBytes + pageBytes
  const salts = header.subarray(16, 24)
  let at = logHeaderBytes
  for (let last = sums; at + frameBytes <= log.length; at += frameBytes) {
    const frame = log.subarray(at, at + frameBytes)
    if (!hasSalts(frame, salts)) break
    const next = addTo(
      addTo(last, frame.subarray(0, 8), isBigEndian),
      frame.subarray(frameHeaderBytes),
      isBigEndian,
    )
    if (!matches(next, frame, 16)) break
    last = next
  }
  return holdsMore(log.subarray(at), frameBytes, salts)
}

/** Whether a later transaction was begun behind the end of one, in what SQLite would drop. */
function holdsMore(rest: Buffer, frameBytes: number, salts: Buffer): boolean {
  let isCommitted = false
  for (let at = 0; at + frameHeaderBytes <= rest.length; at += frameBytes) {
    const frame = rest.subarray(at, at + frameHeaderBytes)
    // Frames of an older log, which this one overwrites, have other salts.
    if (!hasSalts(frame, salts)) continue
    if (isCommitted) return true
    isCommitted = frame.readUInt32BE(4) !== 0
  }
  return false
}

const hasSalts = (frame: Buffer, salts: Buffer): boolean => frame.subarray(8, 16).equals(salts)

type Sums = readonly [number, number]

function addTo([first, second]: Sums, bytes: Buffer, isBigEndian: boolean): Sums {
  for (let at = 0; at + 8 <= bytes.length; at += 8) {
    first = (first + second + (isBigEndian ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at))) >>> 0
    second = (second + first + (isBigEndian ? bytes.readUInt32BE(at + 4) : bytes.readUInt32LE(at + 4))) >>> 0
  }
  return [first, second]
}

const matches = ([first, second]: Sums, bytes: Buffer, at: number): boolean =>
  bytes.readUInt32BE(at) === first && bytes.readUInt32BE(at + 4) === second
