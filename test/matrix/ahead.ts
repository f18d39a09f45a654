// Runs a list of jobs some ahead of whoever asks for their results in order.

export class Ahead<T, R> {
  readonly #jobs: readonly T[]
  readonly #run: (job: T) => Promise<R>
  readonly #parallel: number
  readonly #results = new Map<T, Promise<R>>()

  /** `run` must not reject. At most `parallel` jobs run at a time, in the order of the list. */
  constructor(jobs: readonly T[], run: (job: T) => Promise<R>, parallel: number) {
    this.#jobs = jobs
    this.#run = run
    this.#parallel = parallel
  }

  /** The result of one job; starts it, and those after it, where they have not been. */
  async of(job: T): Promise<R> {
    const at = this.#jobs.indexOf(job)
    for (const next of this.#jobs.slice(at, at + this.#parallel))
      if (!this.#results.has(next)) this.#results.set(next, this.#run(next))
    return this.#results.get(job) as Promise<R>
  }

  /** Waits for everything that was started. */
  async settled(): Promise<void> {
    await Promise.all(this.#results.values())
  }
}
