// Starts the bench's processes, pins them to cores, and reads what they used of CPU and memory from /proc.
import { execFileSync, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

const hasCommand = (name: string): boolean => {
  try {
    execFileSync('sh', ['-c', `command -v ${name}`], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

export const hasWrk = hasCommand('wrk')
/** Pinning needs a second core for the load. */
export const canPin = hasCommand('taskset') && availableParallelism() > 1
/** What is measured runs on core 0, upstream and load on core 1. */
export const measuredCore = 0
export const otherCore = 1

/** A command line that runs on one core where that is possible. */
export const onCore = (core: number, command: readonly string[]): string[] =>
  canPin ? ['taskset', '-c', String(core), ...command] : [...command]

/** Moves a running process, its threads and its children to a core. */
export function pin(pid: number, core: number): void {
  if (!canPin) return
  for (const one of treeOf(pid))
    execFileSync('taskset', ['-acp', String(core), String(one)], { stdio: 'ignore' })
}

export interface Running {
  readonly pid: number
  /** From its `ready URL` line. */
  readonly url: string
  stop(): Promise<void>
}

/** Ends a child and waits for it. */
async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  await ended
}

/** Starts `node FILE ARGS` on a core and waits for its line `ready URL`. */
export async function startScript(core: number, file: string, args: readonly string[]): Promise<Running> {
  const [command = '', ...rest] = onCore(core, [process.execPath, file, ...args])
  const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'inherit'] })
  const url = await new Promise<string>((resolve, reject) => {
    let printed = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed += text
      const ready = /^ready (\S+)$/m.exec(printed)
      if (ready?.[1] !== undefined) resolve(ready[1])
    })
    child.once('exit', (code) => reject(new Error(`${file} ended with ${code} before it was ready`)))
  })
  return { pid: child.pid ?? 0, url, stop: () => stopChild(child) }
}

/** Direct children of a process. */
function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8')
        .trim()
        .split(' ')
        .filter(Boolean)
        .map(Number),
    )
  } catch {
    return []
  }
}

/** A process and everything below it. */
const treeOf = (pid: number): number[] => [pid, ...childrenOf(pid).flatMap(treeOf)]

/** CPU time in nanoseconds that the living threads of a process tree have used. */
export const cpuNs = (pid: number): number => treeOf(pid).reduce((sum, one) => sum + ownThreadsNs(one), 0)

/** CPU time in nanoseconds that the living threads of one process have used, without its children. */
export function ownThreadsNs(pid: number): number {
  let sum = 0
  for (const task of tasksOf(pid)) {
    try {
      sum += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0])
    } catch {
      // The thread ended in between.
    }
  }
  return sum
}

function tasksOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`)
  } catch {
    return []
  }
}

/** Resident memory in bytes of a process tree. */
export function rssBytes(pid: number): number {
  return treeOf(pid).reduce((sum, one) => {
    try {
      return (
        sum + Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${one}/status`, 'utf8'))?.[1] ?? 0) * 1024
      )
    } catch {
      return sum
    }
  }, 0)
}

/** CPU time in nanoseconds of the whole machine, in all cores; for seeing how much strangers used. */
export function machineBusyNs(): number {
  const fields =
    readFileSync('/proc/stat', 'utf8').split('\n')[0]?.trim().split(/\s+/).slice(1).map(Number) ?? []
  const [user = 0, nice = 0, system = 0, , , irq = 0, softIrq = 0, steal = 0] = fields
  return (user + nice + system + irq + softIrq + steal) * 1e7
}

/** CPU time in nanoseconds of this process and of those children that have ended. */
export function ownCpuNs(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ')[1]?.split(' ').map(Number) ?? []
  return fields.slice(11, 15).reduce((sum, ticks) => sum + ticks, 0) * 1e7
}
