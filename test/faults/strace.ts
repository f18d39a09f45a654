// System calls of the gateway as strace tells them, and the faults that strace can put into them.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** Throws with what to do where strace is missing: a test that did not look must not pass. */
export function requireStrace(): void {
  if (spawnSync('strace', ['-V']).status !== 0)
    throw new Error('strace is not installed; run test/harness/tools.sh as root, or install it')
}

/**
 * The command line before the gateway's own. strace runs as its grandchild (`-D`), so that signals reach the gateway
 * itself; `-s` shows whole buffers, so that a record's text is found in the bytes that were written.
 */
export const straceTo = (file: string, ...expressions: string[]): string[] => [
  ...`strace -D -f -q -y -s 65536 -o ${file} -e signal=none`.split(' '),
  ...expressions.flatMap((expression) => ['-e', expression]),
]

/** Whether the trace is complete: its program has ended. */
export const isEnded = (file: string, pid: number): boolean =>
  new RegExp(`^${pid} +\\+\\+\\+ `, 'm').test(readFileSync(file, 'latin1'))

/** One system call, with the order of its beginning and its end among all those traced. */
export interface SystemCall {
  readonly name: string
  /** Descriptor with what it names, buffers, counts; as strace prints them. */
  readonly text: string
  readonly begun: number
  readonly ended: number
  readonly result: string
}

interface Pending {
  readonly name: string
  readonly text: string
  readonly begun: number
}

/** Reads a trace made with `-f`: calls of several threads may overlap. */
export function readTrace(file: string): SystemCall[] {
  const calls: SystemCall[] = []
  const pending = new Map<string, Pending>()
  for (const [at, line] of readFileSync(file, 'latin1').split('\n').entries()) {
    const whole = /^(\d+) +(\w+)\((.*)$/.exec(line)
    const resumed = /^(\d+) +<\.\.\. (\w+) resumed>(.*)$/.exec(line)
    const [, thread = '', name = '', rest = ''] = whole ?? resumed ?? []
    const text = rest.replace(/ <unfinished \.\.\.>$/, '')
    const result = /\) += (.*)$/.exec(rest)?.[1]
    if (whole && result === undefined) pending.set(thread, { name, text, begun: at })
    else if (result !== undefined) {
      const start = resumed ? pending.get(thread) : { name, text: '', begun: at }
      pending.delete(thread)
      if (start) calls.push({ ...start, text: start.text + text, ended: at, result })
    }
  }
  return calls
}
