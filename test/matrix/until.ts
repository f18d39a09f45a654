// Waiting with a deadline: for a condition, or for a promise.
import { setTimeout as sleep } from 'node:timers/promises'

/** Polls until the condition holds; rejects with what was waited for. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string,
  deadlineMs = 5000,
): Promise<void> {
  const end = performance.now() + deadlineMs
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`waited ${deadlineMs} ms for ${what}`)
    await sleep(10)
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
