// What child processes use: the memory and the number of each child with all that it started, held to a limit.
import { readFileSync } from 'node:fs'
import { kill, processes } from './processes.ts'

/** Of one child and everything that it started; 0: no limit. */
export interface ChildLimits {
  /** Resident, summed up; what processes share counts for each of them. */
  readonly maxMemoryBytes: number
  readonly maxProcesses: number
}

interface Watched {
  /** Called once. */
  readonly onOver: (what: string) => void
}

const everyMs = 1000
/** Looking takes no more than this part of the time, however many processes the machine has. */
const share = 0.01

/**
 * Looks at all children together, now and then, while there are any. Where there is no `/proc` (not Linux) nothing is
 * limited.
 */
export class ChildWatch {
  readonly #limits: ChildLimits
  readonly #children = new Map<number, Watched>()
  /** Undefined where nothing can be seen of other processes. */
  readonly #pageBytes = pageBytes()
  #timer: NodeJS.Timeout | undefined

  constructor(limits: ChildLimits) {
    this.#limits = limits
  }

  /** `onOver` hears which limit the child is over, in words for its failure; returns how to stop watching. */
  add(pid: number, onOver: Watched['onOver']): () => void {
    const { maxMemoryBytes, maxProcesses } = this.#limits
    if (this.#pageBytes === undefined || (maxMemoryBytes === 0 && maxProcesses === 0)) return () => {}
    this.#children.set(pid, { onOver })
    this.#plan(everyMs)
    return () => void this.#children.delete(pid)
  }

  #plan(delayMs: number): void {
    if (this.#timer) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      if (this.#children.size === 0) return
      const from = performance.now()
      this.#look()
      this.#plan(Math.max(everyMs, (performance.now() - from) / share))
    }, delayMs)
    this.#timer.unref()
  }

  #look(): void {
    const own = processes().filter(({ session }) => this.#children.has(session))
    const { maxMemoryBytes, maxProcesses } = this.#limits
    for (const [leader, all] of Map.groupBy(own, ({ session }) => session)) {
      const bytes = all.reduce((sum, { pages }) => sum + pages * (this.#pageBytes ?? 0), 0)
      const isTooMany = maxProcesses > 0 && all.length > maxProcesses
      const isTooLarge = maxMemoryBytes > 0 && bytes > maxMemoryBytes
      if (!isTooMany && !isTooLarge) continue
      const { onOver } = this.#children.get(leader) ?? {}
      this.#children.delete(leader)
      // Also those that made groups of their own, which the end of the child's group does not reach.
      for (const { pid } of all) if (pid !== leader) kill(pid)
      onOver?.(
        isTooMany
          ? 'The process started more processes than it may (stdio.maxProcesses).'
          : 'The process used more memory than it may (stdio.maxMemoryMib).',
      )
    }
  }
}

/** Undefined where there is no `/proc`. */
function pageBytes(): number | undefined {
  try {
    const [, kilobytes] =
      /^KernelPageSize:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/smaps', 'latin1')) ?? []
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024
  } catch {
    return undefined
  }
}
