// Liveness and readiness: whether the process runs, and whether it should be sent work.
import { GatewayError } from '../base/errors.ts'
import { Answer, defineRoute, type Route } from './api/route.ts'
import { z } from 'zod'

/** One condition of readiness. Resolves when it holds, rejects when it does not. */
interface HealthCheck {
  /** For example `store`. */
  readonly name: string
  readonly check: () => Promise<void> | void
}

export interface HealthOptions {
  readonly checks: readonly HealthCheck[]
  /** True from the first moment of shutting down. */
  isDraining(): boolean
  /** A check that takes longer than this has failed. */
  readonly timeoutMs: number
}

interface Verdict {
  readonly name: string
  readonly ok: boolean
}

/**
 * `GET /livez` answers as long as the event loop turns. `GET /readyz` answers 200 where every check holds and the
 * gateway is not draining, else 503; `?verbose` lists the checks. Neither says why a check fails: that is in the log.
 */
export function healthRoutes(options: HealthOptions): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/livez',
      summary: 'Whether the process runs',
      permission: 'public',
      contentType: 'text/plain',
      handler: () => text('ok\n', 200),
    }),
    defineRoute({
      method: 'GET',
      path: '/readyz',
      summary: 'Whether the gateway takes work',
      permission: 'public',
      query: z.object({ verbose: z.string().optional().describe('Lists every check; needs no value.') }),
      contentType: 'text/plain',
      errors: [503],
      handler: async ({ query }) => readiness(await runChecks(options), query.verbose !== undefined),
    }),
  ]
}

/** Runs all checks at once; draining is the first of them. */
export async function runChecks(options: HealthOptions): Promise<Verdict[]> {
  const verdicts = options.checks.map(async ({ name, check }) => ({
    name,
    ok: await holds(check, options.timeoutMs),
  }))
  return [{ name: 'not-draining', ok: !options.isDraining() }, ...(await Promise.all(verdicts))]
}

async function holds(check: HealthCheck['check'], timeoutMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new GatewayError('internal')), timeoutMs)
  })
  try {
    await Promise.race([Promise.resolve().then(check), late])
    return true
  } catch {
    return false
  } finally {
    clearTimeout(timer)
  }
}

function readiness(verdicts: readonly Verdict[], verbose: boolean): Answer {
  const ready = verdicts.every(({ ok }) => ok)
  const lines = verdicts.map(({ name, ok }) => `[${ok ? '+' : '-'}]${name} ${ok ? 'ok' : 'failed'}\n`)
  const summary = ready ? 'ready\n' : 'not ready\n'
  return text(verbose ? lines.join('') + summary : summary, ready ? 200 : 503)
}

const text = (body: string, status: number): Answer =>
  new Answer('text/plain; charset=utf-8', body, { status })
