// Variables whose values are in files: `NAME_FILE` has the path of what `NAME` would hold.
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'

type Environment = Readonly<Record<string, string | undefined>>

interface Fault {
  readonly where: string
  readonly message: string
}

const maxBytes = 65_536

/**
 * The environment with the values of those files. What is wrong with one is added to `faults`; one that others can
 * read is worth a warning. `nameOf` gives the variable that a value really came from.
 */
export function readVariableFiles(
  env: Environment,
  names: readonly string[],
  faults: Fault[],
): { env: Environment; warnings: string[]; nameOf: (name: string) => string } {
  const values: Record<string, string> = {}
  const warnings: string[] = []
  for (const name of names) {
    const where = `${name}_FILE`
    const path = env[where]
    if (!path) continue
    if (env[name]) {
      faults.push({ where, message: `is set beside ${name}; keep one of them` })
      continue
    }
    try {
      const { text, isExposed } = readSmallFile(path)
      values[name] = text
      if (isExposed) warnings.push(`${where}: ${path} can be read by others; run chmod o-r on it`)
    } catch (error) {
      faults.push({ where, message: `cannot read ${path}: ${reasonOf(error)}` })
    }
  }
  return { env: { ...env, ...values }, warnings, nameOf: (name) => (name in values ? `${name}_FILE` : name) }
}

/** Text without the line ends behind it. Throws where the file is not a regular one, or empty, or too large. */
function readSmallFile(path: string): { text: string; isExposed: boolean } {
  // A pipe would keep whoever opens it waiting.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const status = fstatSync(file)
    if (!status.isFile()) throw new Error('it is not a regular file')
    const buffer = Buffer.alloc(maxBytes + 1)
    let bytes = 0
    for (let read = -1; read !== 0 && bytes < buffer.length; bytes += read)
      read = readSync(file, buffer, bytes, buffer.length - bytes, bytes)
    if (bytes > maxBytes) throw new Error(`it is larger than ${maxBytes} bytes`)
    const text = buffer.toString('utf8', 0, bytes).replace(/[\r\n]+$/, '')
    if (text === '') throw new Error('it is empty')
    return { text, isExposed: (status.mode & 0o004) !== 0 }
  } finally {
    closeSync(file)
  }
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ENOENT') return 'there is no such file'
  return code === 'EACCES' ? 'it may not be read' : message
}
