// The gateway's stream of settled calls: what it brings makes the screen's lists stale, so that they are asked for anew.
import { useQueryClient, type QueryKey } from '@tanstack/react-query'
import { useEffect, useState } from 'react'

export type LiveState = 'connecting' | 'live' | 'reconnecting' | 'paused'

/** Calls may come by the thousand; a list is asked for at most so often. */
const everyMs = 1000
/** After a stream that was refused for good, such as by a login that has ended. */
const retryMs = 5000

/**
 * Follows the stream while the screen is shown and `isPaused` is not set. Each of `keys` is invalidated soon after a
 * call has settled, and once after the stream was away, for what was missed.
 */
export function useLive(keys: readonly QueryKey[], isPaused = false): LiveState {
  const queries = useQueryClient()
  const [state, setState] = useState<LiveState>('connecting')
  const [attempt, setAttempt] = useState(0)
  const names = JSON.stringify(keys)
  useEffect(() => {
    if (isPaused) return undefined
    const stream = new EventSource('/api/v1/billing/cost/stream')
    const refresh = throttled(() => {
      for (const queryKey of JSON.parse(names) as QueryKey[]) void queries.invalidateQueries({ queryKey })
    })
    let retry: ReturnType<typeof setTimeout> | undefined
    stream.addEventListener('open', () => {
      setState('live')
      if (attempt > 0) refresh.run()
    })
    stream.addEventListener('call', refresh.run)
    stream.addEventListener('lost', refresh.run)
    stream.addEventListener('error', () => {
      setState('reconnecting')
      // Otherwise the browser tries again by itself.
      if (stream.readyState === EventSource.CLOSED)
        retry = setTimeout(() => setAttempt((made) => made + 1), retryMs)
    })
    return () => {
      clearTimeout(retry)
      refresh.stop()
      stream.close()
    }
  }, [queries, names, isPaused, attempt])
  return isPaused ? 'paused' : state
}

/** Runs `work` at once, and again at the end of a second in which it was wanted. */
function throttled(work: () => void): { run: () => void; stop: () => void } {
  let timer: ReturnType<typeof setTimeout> | undefined
  let isWanted = false
  const end = (): void => {
    timer = undefined
    if (isWanted) run()
  }
  const run = (): void => {
    isWanted = timer !== undefined
    if (timer !== undefined) return
    work()
    timer = setTimeout(end, everyMs)
  }
  return { run, stop: () => clearTimeout(timer) }
}
