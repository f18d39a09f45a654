// Waiting with a deadline: for a condition, or for a promise.
import { setTimeout as sleep } from 'node:timers/promises'

/** Polls until there is something, or it is so; resolves with it, and rejects with what was waited for. */
export async function until<T>(
  look: () => T | Promise<T>,
  what = look.toString(),
  deadlineMs = 10_000,
): Promise<Exclude<T, undefined | null | false>> {
  const end = performance.now() + deadlineMs
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== null && found !== false)
      return found as Exclude<T, undefined | null | false>
    if (performance.now() > end) throw new Error(`waited ${deadlineMs} ms for ${what}`)
    await sleep(5)
  }
}

export class TooLate extends Error {}

/** The promise, or a `TooLate` at the deadline. */
export async function within<T>(promise: Promise<T>, deadlineMs: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TooLate(`${what}: nothing within ${deadlineMs} ms`)), deadlineMs)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
