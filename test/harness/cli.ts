// A command line without a terminal: everything that it says is kept.
import type { Io } from '../../src/commands/io.ts'

export interface RecordingIo {
  readonly io: Io
  /** Lines of data. */
  readonly out: string[]
  /** Lines for people. */
  readonly talk: string[]
}

/** Nobody can be asked, and `secret-password` is on standard input, unless `given` says otherwise. */
export function recordingIo(env: Io['env'], given: Partial<Io> = {}): RecordingIo {
  const out: string[] = []
  const talk: string[] = []
  const io: Io = {
    out: (line) => out.push(line),
    talk: (line) => talk.push(line),
    env,
    interactive: false,
    ask: () => Promise.reject(new Error('nobody to ask')),
    readInput: () => Promise.resolve('secret-password\n'),
    ...given,
  }
  return { io, out, talk }
}
