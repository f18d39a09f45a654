// The processes of this machine, as far as the children of the gateway need them (proc_pid_stat(5)).
import { closeSync, openSync, readdirSync, readSync } from 'node:fs'

/** One process, as `/proc/PID/stat` has it (proc_pid_stat(5)). */
export interface ProcessLine {
  readonly pid: number
  /** Its session: a child of ours leads one, and what it starts stays in it unless it leaves on purpose. */
  readonly session: number
  readonly pages: number
}

const buffer = Buffer.allocUnsafe(1024)

/** At once, whoever it is; nothing where it has gone. */
export function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has gone, or is of another user by now.
  }
}

/** Those that are there now; none where there is no `/proc` (not Linux). */
export function processes(): ProcessLine[] {
  return names().flatMap((name) => (/^\d/.test(name) ? (readStat(name) ?? []) : []))
}

/** Undefined where the process has gone meanwhile. */
function readStat(pid: string): ProcessLine | undefined {
  try {
    const file = openSync(`/proc/${pid}/stat`, 'r')
    const length = readSync(file, buffer, 0, buffer.length, 0)
    closeSync(file)
    const text = buffer.toString('latin1', 0, length)
    // The name of the program comes second, in parentheses, and may hold any character.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ', 22)
    return { pid: Number(pid), session: Number(fields[3]), pages: Number(fields[21]) }
  } catch {
    return undefined
  }
}

function names(): string[] {
  try {
    return readdirSync('/proc')
  } catch {
    return []
  }
}

/** Kills what a child of ours started and did not end with its process group: those that made groups of their own. */
export function killSession(leader: number): void {
  for (const { pid, session } of processes()) if (session === leader) kill(pid)
}
